#include "base/free_space.h"

#include <sys/statvfs.h>

#include <filesystem>

namespace mlac {

std::optional<uint64_t> FreeBytes(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path there = fs::absolute(path, error);
  while (!error && !fs::exists(there, error) && there != there.parent_path()) there = there.parent_path();
  struct statvfs room = {};
  if (error || statvfs(there.c_str(), &room) != 0 || room.f_blocks == 0) return std::nullopt;
  return uint64_t{room.f_bavail} * room.f_frsize;
}

}  // namespace mlac
