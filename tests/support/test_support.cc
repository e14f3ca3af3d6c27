#include "tests/support/test_support.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace mlac::test {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  path_ = (fs::temp_directory_path() / "mlac-test-XXXXXX").string();
  if (mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(std::string_view name, std::string_view content) const {
  const std::string path = *this / name;
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
  return path;
}

std::vector<std::string> TemporaryFolder::List() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(path_)) names.push_back(entry.path().lexically_relative(path_).string());
  std::sort(names.begin(), names.end());
  return names;
}

Error ExpectError(ErrorCode code, std::string_view message, const std::function<void()>& action, std::source_location where) {
  try {
    action();
  } catch (const Error& error) {
    if (error.code() != code || error.message() != message)
      ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line()))
          << "expected " << KindOf(code).name << ": " << message << "\n   found " << KindOf(error.code()).name << ": " << error.message();
    return error;
  } catch (const std::exception& other) {
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "expected " << message << "\n   found " << other.what();
    return Error(ErrorCode::kInternal, "");
  }
  ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "expected " << message << "\n   found no error";
  return Error(ErrorCode::kInternal, "");
}

bool KernelChecksLinks() {
  return syscall(SYS_openat2, AT_FDCWD, "", nullptr, size_t{0}) >= 0 || (errno != ENOSYS && errno != EPERM);
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) ADD_FAILURE() << "no file " << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace mlac::test
