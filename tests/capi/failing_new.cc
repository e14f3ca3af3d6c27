#include "tests/capi/failing_new.h"

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace mlac::test {
namespace {

constexpr int64_t kNever = INT64_MAX;
std::atomic<int64_t> allocations_left = kNever;
std::atomic<bool> fail_all = false;
std::atomic<size_t> smallest = 0;

void* Allocate(size_t size) {
  if (allocations_left.load(std::memory_order_relaxed) != kNever && size >= smallest) {
    const int64_t left = allocations_left.fetch_sub(1);
    if (left == 0 || (left < 0 && fail_all)) return nullptr;
  }
  return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

FailingNew::FailingNew(size_t nth, bool all, size_t min_bytes) {
  fail_all = all;
  smallest = min_bytes;
  allocations_left = static_cast<int64_t>(nth);
}
FailingNew::~FailingNew() { allocations_left = kNever; }
bool FailingNew::struck() const { return allocations_left < 0; }

}  // namespace mlac::test

void* operator new(size_t size) {
  void* const memory = mlac::test::Allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(size_t size, const std::nothrow_t&) noexcept { return mlac::test::Allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
