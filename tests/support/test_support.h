#pragma once
// What tests of several folders share.
#include <cstddef>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace mlac::test {

// The step of a test over many inputs: under the address or thread sanitiser, whose code is slow, it tries every 8th.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kTryEvery = 8;
#else
constexpr size_t kTryEvery = 1;
#endif

// An empty folder under the system's temporary one; it goes with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }
  // Writes a file under that name, folders on the way included, and gives its path.
  std::string Write(std::string_view name, std::string_view content) const;
  // What is in it, sorted, as paths relative to it: "a", "folder", "folder/b".
  std::vector<std::string> List() const;

 private:
  std::string path_;
};

// Calls action and fails the test unless it throws Error with this code and exactly this message. Gives the error, for its hint.
Error ExpectError(ErrorCode code, std::string_view message, const std::function<void()>& action,
                  std::source_location where = std::source_location::current());

// Whether the system has openat2, without which no link is followed (base/file.h): kernels from before 5.6 have not, and emulators.
bool KernelChecksLinks();

// The whole content of a file; fails the test where there is none.
std::string ReadWhole(const std::string& path);

}  // namespace mlac::test
