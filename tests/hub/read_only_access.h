#pragma once
// What a user sees of a store that only somebody else may write to.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

namespace mlac::test {

// From construction to destruction the process may read what lies in `folder`, and not write there: root becomes another user for that
// time, any other user takes the right from its folders.
class ReadOnlyAccess {
 public:
  explicit ReadOnlyAccess(std::string folder) : folder_(std::move(folder)), was_root_(geteuid() == 0) {
    namespace fs = std::filesystem;
    if (was_root_) {
      chmod(fs::path(folder_).parent_path().c_str(), 0755);  // temporary folders are their maker's alone
      is_given_ = seteuid(65534) == 0;                       // nobody's number everywhere
      return;
    }
    ForEachFolder(0555);
    is_given_ = access(folder_.c_str(), W_OK) != 0;
  }
  ~ReadOnlyAccess() {
    if (!was_root_) ForEachFolder(0755);
    if (was_root_ && is_given_ && seteuid(0) != 0) _exit(98);
  }
  ReadOnlyAccess(const ReadOnlyAccess&) = delete;

  // False where the system does not let root become another user: nothing can be tested then.
  bool is_given() const { return is_given_; }

 private:
  void ForEachFolder(mode_t mode) const {
    chmod(folder_.c_str(), mode);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_))
      if (entry.is_directory() && !entry.is_symlink()) chmod(entry.path().c_str(), mode);
  }

  const std::string folder_;
  const bool was_root_;
  bool is_given_ = false;
};

}  // namespace mlac::test
