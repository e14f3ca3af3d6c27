#pragma once
// One file copied into another, sharing the blocks of the disk where the file system can.
#include <string>

#include "base/file.h"

namespace mlac {

// Makes the file `to` with the bytes of `from`, by a reflink (FICLONE) if possible, and gives the SHA-256 of what `to` then holds, read back from it:
// `from` may change meanwhile. from_name: for messages. mode: permissions, less the umask. Not synced. Throws kAlreadyExists if `to` is there, kIo, kResourceExhausted.
std::string CopyFile(const FileDescriptor& from, const std::string& from_name, const std::string& to, unsigned mode);

// SHA-256 of a file. Throws kIo.
std::string HashOfFile(const FileDescriptor& file, const std::string& name);

}  // namespace mlac
