#pragma once
// Makes a chosen call of the system's file functions fail, as a full or broken disk would. The functions stand in front of the C library's
// in every test program and pass all calls on unless a SystemFault says otherwise.
#include <cstddef>
#include <string_view>
#include <vector>

namespace mlac::test {

// From one call that a test makes fail to the next. Under the address sanitiser each takes twenty times as long, so there a fifth of them stand for all, which
// the other builds try.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr size_t kPointStep = 5;
#else
inline constexpr size_t kPointStep = 1;
#endif

// The functions that can fail. close does its work all the same, as Linux's; syscall counts openat2 alone.
std::vector<std::string_view> FaultyFunctions();

// While it lives, call number nth (from 0) of the function by this thread fails with this errno. Several may live at once, each with a
// count of its own, and go in the reverse order.
class SystemFault {
 public:
  static constexpr int kKill = -2;     // the process ends there, by SIGKILL: for a child of the test
  static constexpr int kPartial = -1;  // not an errno: read and write handle half of what they are given, the others do all

  SystemFault(std::string_view function, size_t nth, int error);
  SystemFault(const SystemFault&) = delete;
  SystemFault& operator=(const SystemFault&) = delete;
  ~SystemFault();

  bool struck() const { return struck_; }  // the call came

  // The error that this call of the function has to give, 0 for none.
  static int Strike(std::string_view function);

 private:
  std::string_view function_;
  size_t calls_before_;
  int error_;
  bool struck_ = false;
  SystemFault* other_;  // that lived before this one
};

}  // namespace mlac::test
