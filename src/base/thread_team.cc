#include "base/thread_team.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/machine.h"

namespace mlac {
namespace {

// Waking a sleeping thread takes about 50 us, a spinning one 0.5 us; jobs of one forward pass follow each other within this time.
constexpr auto kSpinTime = std::chrono::microseconds(500);
// Beyond this, whoever is waited for may be waiting for this core: let it have it.
constexpr auto kSpinAloneTime = std::chrono::microseconds(20);
constexpr int kSpinsPerLook = 64;  // reads between two looks at the clock

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until ready() or until kSpinTime has passed; the last value of ready().
template <typename Ready>
bool SpinUntil(Ready ready) {
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < kSpinsPerLook; ++i) {
      if (ready()) return true;
      Pause();
    }
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited > kSpinTime) return ready();
    if (waited > kSpinAloneTime) sched_yield();
  }
}

// Has them leave their loop and waits for it.
void EndWorkers(std::vector<std::thread>& workers, std::atomic<bool>& stop, std::atomic<uint32_t>& generation) {
  stop = true;
  ++generation;
  generation.notify_all();
  for (std::thread& worker : workers) worker.join();
}

}  // namespace

size_t DefaultNumThreads() {
  if (const char* value = std::getenv("OMP_NUM_THREADS"); value != nullptr) {
    const long number = std::strtol(value, nullptr, 10);
    if (number > 0 && number <= 1024) return static_cast<size_t>(number);
  }
  return NumUsableCores();
}

ThreadTeam::ThreadTeam(size_t num_threads) : errors_(std::max<size_t>(1, num_threads)) {
  try {
    for (size_t thread = 1; thread < num_threads; ++thread) workers_.emplace_back([this, thread] { Work(thread); });
  } catch (...) {  // the system gives no more: those that run have to end before the team goes
    EndWorkers(workers_, stop_, generation_);
    throw;
  }
}

ThreadTeam::~ThreadTeam() { EndWorkers(workers_, stop_, generation_); }

void ThreadTeam::Execute(size_t thread) {
  try {
    (*job_)(thread);
  } catch (...) {
    errors_[thread] = std::current_exception();
  }
}

void ThreadTeam::Work(size_t thread) {
  uint32_t seen = 0;
  for (;;) {
    const auto called = [&] { return generation_.load(std::memory_order_acquire) != seen; };
    if (!SpinUntil(called)) generation_.wait(seen, std::memory_order_acquire);
    ++seen;
    if (stop_) return;
    Execute(thread);
    if (num_running_.fetch_sub(1, std::memory_order_acq_rel) == 1) num_running_.notify_one();
  }
}

void ThreadTeam::Run(const std::function<void(size_t)>& job) {
  if (workers_.empty()) return job(0);
  job_ = &job;
  num_running_.store(static_cast<uint32_t>(workers_.size()), std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  Execute(0);
  if (!SpinUntil([&] { return num_running_.load(std::memory_order_acquire) == 0; }))
    for (uint32_t left; (left = num_running_.load(std::memory_order_acquire)) != 0;) num_running_.wait(left, std::memory_order_acquire);
  for (std::exception_ptr& error : errors_)
    if (error) {
      const std::exception_ptr first = error;
      std::fill(errors_.begin(), errors_.end(), nullptr);
      std::rethrow_exception(first);
    }
}

void ThreadTeam::ParallelFor(size_t count, size_t grain, const std::function<void(size_t, size_t, size_t)>& body) {
  const size_t num_grains = (count + grain - 1) / grain, parts = std::min(num_threads(), num_grains);
  if (parts <= 1) {
    if (count > 0) body(0, count, 0);
    return;
  }
  Run([&](size_t thread) {
    if (thread >= parts) return;
    const size_t begin = num_grains * thread / parts * grain, end = std::min(count, num_grains * (thread + 1) / parts * grain);
    if (begin < end) body(begin, end, thread);
  });
}

void ThreadTeam::ParallelTasks(size_t count, const std::function<void(size_t, size_t)>& body) {
  if (count <= 1 || workers_.empty()) {
    for (size_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  std::atomic<size_t> next = 0;
  Run([&](size_t thread) {
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(i, thread);
  });
}

}  // namespace mlac
