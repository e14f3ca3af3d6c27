#pragma once
// A folder of this process alone, for copies of what it reads from a store that it may not write to.
#include <string>

#include "base/file.h"

namespace mlac {

class PrivateFolder {
 public:
  // Made in the first of these that can be written: $CACHE_DIRECTORY (which systemd sets), $XDG_CACHE_HOME/mlac, $TMPDIR, /tmp. Folders
  // there that processes of this user left when they were killed are removed. Throws the system's reason where none can be written.
  PrivateFolder();
  ~PrivateFolder();  // removes it with everything in it
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  const std::string& path() const { return path_; }  // absolute

 private:
  std::string path_;
  FileDescriptor lock_;  // as long as it is held, nobody takes the folder for a leftover
};

}  // namespace mlac
