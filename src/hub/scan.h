#pragma once
// The manifest of files on disk, without reading again what has not changed since the last time.
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>

#include "hub/manifest.h"

namespace mlac {

struct ScanProgress {
  size_t num_files_done = 0, num_files = 0;
  uint64_t num_bytes_read = 0;
};

struct ScanOptions {
  std::string index_folder = {};  // where the index of `source` is kept between scans; "" or one that cannot be written: none is
  std::function<void(const ScanProgress&)> on_progress = {};
  // The system's clock in seconds, for tests. A file that changed less than 2 s before it was read may change again without a newer time stamp
  // (as git's "racy" entries), so that it is read again the next time.
  std::function<std::time_t()> now = {};
};

// source: a folder, all of whose files are taken, or one file, which is then the only entry, under its own name. Inside a folder nothing is
// taken of .git and of .mlac, and empty folders leave no trace. A link to a file inside the folder (or inside the cache of Hugging Face, or a
// store) counts as the file.
// Throws kNotFound; kInvalidInput for what OpenBeneath refuses (links that lead out, FIFOs, devices, second hard links), for names that no
// manifest can hold, and for a folder without files; kIo for a file that changes while it is read.
Manifest Scan(const std::string& source, const ScanOptions& options = {});

// Whether the text of an index is as it was written; a damaged one counts as none.
bool IsWholeIndex(std::string_view text);

}  // namespace mlac
