#pragma once
// How much room there is on a disk.
#include <cstdint>
#include <optional>
#include <string>

namespace mlac {

// Bytes that this user may still write where `path` lies, or where it would lie: the nearest folder above it that is there counts. Nothing
// where the file system does not say.
std::optional<uint64_t> FreeBytes(const std::string& path);

}  // namespace mlac
