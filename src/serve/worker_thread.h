#pragma once
// A thread that does what it is given, in order.
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace mlac {

class WorkerThread {
 public:
  WorkerThread();
  ~WorkerThread() { Stop(); }
  WorkerThread(const WorkerThread&) = delete;
  WorkerThread& operator=(const WorkerThread&) = delete;

  // work must not throw. After Stop it is dropped.
  void Post(std::function<void()> work);
  // Finishes what is under way and drops the rest. Once, not from the thread itself.
  void Stop();

 private:
  void Work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> work_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mlac
