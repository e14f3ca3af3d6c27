#include "serve/joined_adapters.h"

#include <algorithm>

namespace mlac {

void JoinedAdapters::Compute(ComputeTurns& turns, const JoinedPart& part) {
  Waiting own = {.part = part};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&own);
  changed_.notify_all();
  while (!own.done) {
    if (has_leader_) {
      changed_.wait(lock, [&] { return own.done || !has_leader_; });
      continue;
    }
    has_leader_ = true;
    lock.unlock();
    try {
      ComputeTogether(turns);
    } catch (...) {  // no memory to begin with: others try again
      own.error = std::current_exception();
      own.done = true;
    }
    lock.lock();
    if (own.done) std::erase(waiting_, &own);
    has_leader_ = false;
    changed_.notify_all();
  }
  if (own.error) std::rethrow_exception(own.error);
}

// The first ones that fit.
std::vector<JoinedAdapters::Waiting*> JoinedAdapters::Take() {
  const std::lock_guard lock(mutex_);
  size_t num_tokens = 0, count = 0;
  while (count < waiting_.size() && (count == 0 || num_tokens + waiting_[count]->part.batch->num_tokens() <= max_tokens_))
    num_tokens += waiting_[count++]->part.batch->num_tokens();
  std::vector<Waiting*> taken(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<ptrdiff_t>(count));
  return taken;
}

void JoinedAdapters::ComputeTogether(ComputeTurns& turns) {
  std::vector<Waiting*> taken;
  std::exception_ptr error;
  {
    const ComputeTurns::Turn turn = turns.Take(party_);
    taken = Take();  // with the turn, so that what came while it was waited for is in it
    try {
      std::vector<JoinedPart> parts;
      for (const Waiting* each : taken) parts.push_back(each->part);
      ComputeJoined(inference_, *base_, parts);
    } catch (...) {
      error = std::current_exception();
    }
  }
  const std::lock_guard lock(mutex_);
  ++num_batches_;
  for (Waiting* each : taken) {
    each->error = error;
    each->done = true;
  }
}

size_t JoinedAdapters::num_waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

size_t JoinedAdapters::num_batches() const {
  const std::lock_guard lock(mutex_);
  return num_batches_;
}

}  // namespace mlac
