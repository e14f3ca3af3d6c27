#pragma once
// A store with small artefacts, for tests of hub/.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <ostream>
#include <string>

#include "hub/aliases.h"
#include "hub/store.h"
#include "hub/verify.h"
#include "tests/support/test_support.h"

namespace mlac {

inline void PrintTo(const Damage& damage, std::ostream* out) { *out << damage.path << ": " << damage.message; }

namespace test {

// Most of the time of these tests would be that of syncs: a file system in memory has none, and every call fails there as elsewhere.
inline const bool kInMemory = access("/dev/shm", W_OK) == 0 && setenv("TMPDIR", "/dev/shm", 1) == 0;

class StoreFolder {
 public:
  // Files by path, as an artefact; gives its revision.
  std::string Add(const std::string& name, const std::map<std::string, std::string>& files, Record record = {.name = "", .revision = ""}) {
    const std::string source = folder / ("source" + std::to_string(++num_sources_));
    for (const auto& [path, content] : files) folder.Write(source.substr(folder.path().size() + 1) + "/" + path, content);
    record.name = name;
    return store.Add(source, record);
  }

  // The files of a revision, read through its folder.
  std::map<std::string, std::string> Read(const std::string& revision) const {
    std::map<std::string, std::string> files;
    const RevisionFolder opened = store.OpenFolder(revision);
    for (const ManifestEntry& entry : store.ReadManifest(revision).entries()) files[entry.path] = ReadWhole(opened.path() + "/" + entry.path);
    return files;
  }

  TemporaryFolder folder;
  Store store = Store::OpenOrCreate(folder / ".mlac");

 private:
  int num_sources_ = 0;
};

// Runs action in a child process and gives its status: what action returned, or 128 + the signal that ended it.
inline int InChild(const std::function<int()>& action) {
  const pid_t child = fork();
  if (child == 0) {
    int status = 99;
    try {
      status = action();
    } catch (...) {
    }
    _exit(status);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace test
}  // namespace mlac
