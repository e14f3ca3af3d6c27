#pragma once
// What is in folders: listed, synced, removed. By the system's own calls, because the iterators of std::filesystem (libstdc++ 12) end the
// process where there is no memory: what moves them on is noexcept and makes strings.
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

namespace mlac {

// Adds the names in a folder, in no order; gives an errno, 0 if that went well.
int ReadNames(const std::string& folder, std::vector<std::string>& names);

struct FolderEntry {
  std::string path;        // below the folder: "inner/model.safetensors"
  bool is_folder = false;  // itself: links are not followed
  bool is_link = false;
  bool is_file = false;  // links followed, as by `size`
  uint64_t size = 0;     // of a file
};

// Everything in a folder, each folder before what is in it, otherwise in the order of names. Throws kNotFound, kIo.
std::vector<FolderEntry> EntriesIn(const std::string& folder);

// Syncs the files and folders in a folder, and the folder itself; links are passed over. Throws as SyncFile.
void SyncTree(const std::string& folder);

// Removes a file, a link, or a folder with everything in it; what is not there is no error. The second one throws as ThrowSystem.
void RemoveAll(const std::string& path, std::error_code& error);
void RemoveAll(const std::string& path);

}  // namespace mlac
