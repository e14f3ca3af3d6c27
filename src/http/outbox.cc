#include "http/outbox.h"

#include <fmt/format.h>

#include "base/error.h"

namespace mlac {

Outbox::Outbox(OutboxOptions options) : options_(std::move(options)), thread_([this] { Work(); }) {}

void Outbox::Post(std::function<void()> work) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!closed_ && waiting_.size() < options_.max_waiting && num_failures_ < options_.max_failures) {
      waiting_.push_back(std::move(work));
      changed_.notify_all();
      return;
    }
  } catch (const std::exception&) {  // no memory: it is lost, what is told of goes on
  }
  ++num_lost_;
}

void Outbox::Finish(std::chrono::milliseconds patience) noexcept {
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, patience, [this] { return waiting_.empty() && !busy_; });
    hurried_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Outbox::Warn(std::string_view why) {
  if (warned_) return;
  warned_ = true;
  try {
    options_.on_warning(fmt::format("{}: {}", options_.what, why));
  } catch (const std::exception&) {  // nobody to tell
  }
}

bool Outbox::Try(const std::function<void()>& work) {
  std::chrono::milliseconds pause = options_.pause;
  for (size_t number = 1;; ++number, pause *= 2) {
    try {
      work();
      return true;
    } catch (const std::exception& error) {
      const auto* known = dynamic_cast<const Error*>(&error);
      const bool may_pass = known != nullptr && known->code() == ErrorCode::kIo;
      if (!may_pass || number >= options_.num_tries) {
        Warn(known != nullptr ? std::string_view(known->message()) : error.what());
        return false;
      }
    }
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, pause, [this] { return hurried_; })) return false;
  }
}

void Outbox::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    if (hurried_ || num_failures_ >= options_.max_failures) {
      num_lost_ += waiting_.size();
      waiting_.clear();
    }
    if (waiting_.empty()) {
      changed_.notify_all();
      if (!closed_) continue;
      lock.unlock();
      if (num_lost_ > 0) Warn("not all could be sent in time");
      return;
    }
    const std::function<void()> work = std::move(waiting_.front());
    waiting_.pop_front();
    busy_ = true;
    lock.unlock();
    const bool done = Try(work);
    lock.lock();
    busy_ = false;
    num_failures_ = done ? 0 : num_failures_ + 1;
    if (!done) ++num_lost_;
    changed_.notify_all();
  }
}

}  // namespace mlac
