#pragma once
// A fixed team of threads for kernels. The caller is thread 0; the others spin for a moment after a job and then sleep.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace mlac {

// The number of threads to use when the user names none: OMP_NUM_THREADS, else the cores that the affinity mask and the cgroup's
// CPU quota allow; at least 1.
size_t DefaultNumThreads();

// Who computes: one thread beside others, by its number among those of a team, or the whole team.
using Lane = std::optional<size_t>;
inline constexpr std::nullopt_t kWholeTeam = std::nullopt;

// One job at a time, from one calling thread. Which thread computes what never changes a result: work is cut into parts that each
// compute whole output elements.
class ThreadTeam {
 public:
  explicit ThreadTeam(size_t num_threads);
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;
  ~ThreadTeam();

  size_t num_threads() const { return workers_.size() + 1; }

  // Calls job(thread) on every thread, thread in [0, num_threads()), and returns when all are done. The first exception of a
  // thread is thrown again here.
  void Run(const std::function<void(size_t thread)>& job);

  // Cuts [0, count) into one contiguous range a thread, each a multiple of `grain` but the last, and calls body(begin, end, thread)
  // for those that are not empty. With one range the caller runs it alone.
  void ParallelFor(size_t count, size_t grain, const std::function<void(size_t begin, size_t end, size_t thread)>& body);

  // Calls body(index, thread) for every index in [0, count); a free thread takes the next one.
  void ParallelTasks(size_t count, const std::function<void(size_t index, size_t thread)>& body);

 private:
  void Work(size_t thread);
  void Execute(size_t thread);

  const std::function<void(size_t)>* job_ = nullptr;
  std::atomic<uint32_t> generation_ = 0, num_running_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<std::exception_ptr> errors_;
  std::vector<std::thread> workers_;
};

}  // namespace mlac
