#include "tests/faults/failing_new.h"

#include <dlfcn.h>
#include <execinfo.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace mlac::test {
namespace {

constexpr int64_t kNever = INT64_MAX;
std::atomic<int64_t> allocations_left = kNever;
std::atomic<int64_t> last_to_fail = 0;  // as allocations_left counts: 0, -1, -2, ...
std::atomic<size_t> smallest = 0, spared = 0;
thread_local size_t with_memory = 0;

// Whether nlohmann::basic_json::json_value::destroy asks, by the names of the functions that have called; the program exports them
// (CMakeLists.txt).
bool IsInJsonDestructor() {
  std::array<void*, 40> callers;  // unoptimised containers call each other deeply
  const int count = backtrace(callers.data(), static_cast<int>(callers.size()));
  for (int i = 0; i < count; ++i) {
    Dl_info info;
    if (dladdr(callers[static_cast<size_t>(i)], &info) == 0 || info.dli_sname == nullptr) continue;
    if (std::strstr(info.dli_sname, "10json_value7destroyE") != nullptr) return true;
  }
  return false;
}

bool Fails(size_t size) {
  if (allocations_left.load(std::memory_order_relaxed) == kNever || with_memory > 0 || size < smallest) return false;
  const int64_t left = allocations_left.fetch_sub(1);
  if (left > 0 || left < last_to_fail) return false;
  if (!IsInJsonDestructor()) return true;
  ++spared;
  return false;
}

void* Allocate(size_t size) { return Fails(size) ? nullptr : std::malloc(size == 0 ? 1 : size); }

void* AllocateAligned(size_t size, size_t alignment) {
  void* memory = nullptr;
  return Fails(size) || posix_memalign(&memory, alignment < sizeof(void*) ? sizeof(void*) : alignment, size == 0 ? 1 : size) != 0 ? nullptr
                                                                                                                                  : memory;
}

void* OrThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

FailingNew::FailingNew(size_t nth, size_t count, size_t min_bytes) {
  std::array<void*, 2> callers;
  backtrace(callers.data(), static_cast<int>(callers.size()));  // the first one loads a library
  last_to_fail = count == kAllBehind ? INT64_MIN : 1 - static_cast<int64_t>(count);
  smallest = min_bytes;
  spared = 0;
  allocations_left = static_cast<int64_t>(nth);
}
FailingNew::~FailingNew() { allocations_left = kNever; }
bool FailingNew::struck() const { return allocations_left < 0; }
size_t FailingNew::num_spared() const { return spared; }

WithMemory::WithMemory() { ++with_memory; }
WithMemory::~WithMemory() { --with_memory; }

}  // namespace mlac::test

using mlac::test::Allocate;
using mlac::test::AllocateAligned;
using mlac::test::OrThrow;

void* operator new(size_t size) { return OrThrow(Allocate(size)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new(size_t size, std::align_val_t alignment) { return OrThrow(AllocateAligned(size, static_cast<size_t>(alignment))); }
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return AllocateAligned(size, static_cast<size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept { std::free(memory); }

// Given by label, as in tests/support/system_faults.cc.
extern "C" void* FailingAlignedAlloc(size_t alignment, size_t size) __asm__("aligned_alloc");
void* FailingAlignedAlloc(size_t alignment, size_t size) { return AllocateAligned(size, alignment); }
