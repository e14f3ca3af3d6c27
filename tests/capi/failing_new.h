#pragma once
// operator new of the test program, and of libmlac.so in it, which fails when it is told to.
#include <cstddef>

namespace mlac::test {

// While it lives, allocation number nth (from 0) of all threads fails, and those behind it if `all`; smaller ones than min_bytes neither count
// nor fail. One at a time.
class FailingNew {
 public:
  explicit FailingNew(size_t nth, bool all = false, size_t min_bytes = 0);
  FailingNew(const FailingNew&) = delete;
  FailingNew& operator=(const FailingNew&) = delete;
  ~FailingNew();

  bool struck() const;  // it came to that allocation
};

}  // namespace mlac::test
