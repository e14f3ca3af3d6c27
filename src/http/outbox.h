#pragma once
// Sends what a service of the user's is told, in order, from a thread of its own: whoever tells it never waits, and never fails.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace mlac {

struct OutboxOptions {
  std::string what;  // for warnings: "tracking at http://127.0.0.1:5000"
  // From the outbox's thread, once: what failed first, or at the end that something was lost.
  std::function<void(const std::string& warning)> on_warning = [](const std::string&) {};
  size_t max_waiting = 10'000;           // what comes beyond is lost
  size_t num_tries = 3;                  // of one piece of work
  std::chrono::milliseconds pause{500};  // behind the first try, twice as long behind the next
  size_t max_failures = 3;               // pieces of work in a row that fail; then it gives up, and nothing more is sent
};

class Outbox {
 public:
  explicit Outbox(OutboxOptions options);
  ~Outbox() { Finish(std::chrono::milliseconds(0)); }
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // work: throws Error kIo where another try may help, anything else where not.
  void Post(std::function<void()> work) noexcept;
  // Takes no more, and waits for what is waiting: patience, and the one that is being sent then. What is left is lost. Once is enough.
  void Finish(std::chrono::milliseconds patience) noexcept;

  size_t num_lost() const { return num_lost_; }

 private:
  void Work();
  bool Try(const std::function<void()>& work);  // whether it was done
  void Warn(std::string_view why);

  const OutboxOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  bool closed_ = false, hurried_ = false;  // takes no more; what waits is dropped
  bool busy_ = false, warned_ = false;
  size_t num_failures_ = 0;  // in a row
  std::atomic<size_t> num_lost_ = 0;
  std::thread thread_;
};

}  // namespace mlac
