#pragma once
// operator new (and aligned_alloc, which tensors take) of the test program, and of libmlac.so in it, which fail when they are told to.
#include <cstddef>
#include <cstdint>

namespace mlac::test {

// While it lives, allocation number nth (from 0) of all threads fails, and so do those behind it up to `count` in all; smaller ones than
// min_bytes neither count nor fail. One at a time.
//
// One rule: what the destructor of nlohmann's values allocates never fails. It flattens the value into a vector first, so that deep nesting
// needs no stack, and has no way to say that there is no memory: std::terminate. That is so in the library, wherever such a value ends;
// num_spared() says how often it would have been.
class FailingNew {
 public:
  static constexpr size_t kAllBehind = SIZE_MAX;

  explicit FailingNew(size_t nth, size_t count = 1, size_t min_bytes = 0);
  FailingNew(const FailingNew&) = delete;
  FailingNew& operator=(const FailingNew&) = delete;
  ~FailingNew();

  bool struck() const;  // it came to that allocation
  size_t num_spared() const;
};

// While it lives, allocations of this thread neither count nor fail: for a client that a server runs beside.
class WithMemory {
 public:
  WithMemory();
  WithMemory(const WithMemory&) = delete;
  WithMemory& operator=(const WithMemory&) = delete;
  ~WithMemory();
};

}  // namespace mlac::test
