#include "serve/memory_limit.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <mutex>
#include <sstream>

#include "base/error.h"

namespace mlac {
namespace {

// "VmData:     1234 kB" in bytes.
uint64_t FieldOf(const std::string& status, const std::string& name) {
  const size_t place = status.find("\n" + name + ":");
  if (place == std::string::npos) throw Error(ErrorCode::kIo, fmt::format("/proc/self/status has no {}", name));
  return std::stoull(status.substr(place + name.size() + 2)) << 10;
}

uint64_t MiB(uint64_t bytes) { return (bytes + (1 << 20) - 1) >> 20; }

}  // namespace

MemoryUse ReadMemoryUse() {
  std::ifstream status_file("/proc/self/status"), maps("/proc/self/maps");
  std::ostringstream text;
  text << status_file.rdbuf();
  MemoryUse use = {.anonymous = FieldOf(text.str(), "RssAnon"), .data = FieldOf(text.str(), "VmData")};
  // "begin-end perms offset device inode path": a line of a file has an inode.
  for (std::string line; std::getline(maps, line);) {
    std::istringstream fields(line);
    std::string range, permissions, offset, device;
    uint64_t inode = 0;
    fields >> range >> permissions >> offset >> device >> inode;
    const size_t dash = range.find('-');
    if (inode == 0 || dash == std::string::npos || permissions[0] != 'r') continue;
    use.mapped_files += std::stoull(range.substr(dash + 1), nullptr, 16) - std::stoull(range.substr(0, dash), nullptr, 16);
  }
  return use;
}

void CheckMemory(uint64_t limit, const std::string& models) {
  const MemoryUse use = ReadMemoryUse();
  const uint64_t needed = use.mapped_files + use.anonymous + kMemoryForRequests;
  if (needed > limit)
    throw Error(ErrorCode::kResourceExhausted,
                fmt::format("--memory {} MiB: {} need {} MiB (files {}, own {}, requests {})", limit >> 20, models, MiB(needed),
                            MiB(use.mapped_files), MiB(use.anonymous), kMemoryForRequests >> 20),
                "serve fewer models, or int8 folders (`mlac optimize --int8`)");
}

void LimitMemory(uint64_t limit) {
  static std::mutex mutex;  // as there is one limit of the process: the last to look is the last to set it
  const std::lock_guard lock(mutex);
  const MemoryUse use = ReadMemoryUse();
  // What was asked for and is not there (stacks of threads, above all) stays uncounted: it is not touched.
  const uint64_t data = limit - std::min(limit, use.mapped_files) + (use.data - std::min(use.data, use.anonymous));
  rlimit system_limit = {};
  getrlimit(RLIMIT_DATA, &system_limit);
  system_limit.rlim_cur = system_limit.rlim_max == RLIM_INFINITY ? data : std::min<rlim_t>(data, system_limit.rlim_max);
  if (setrlimit(RLIMIT_DATA, &system_limit) != 0) throw Error(ErrorCode::kIo, "the system does not limit the process's memory");
}

}  // namespace mlac
