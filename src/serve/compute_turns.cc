#include "serve/compute_turns.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace mlac {

ComputeTurns::Turn::Turn(Turn&& other) noexcept
    : turns_(std::exchange(other.turns_, nullptr)), party_(other.party_), start_(other.start_) {}

void ComputeTurns::Turn::End() {
  if (turns_ == nullptr) return;
  const double used_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  std::exchange(turns_, nullptr)->Release(party_, used_ms);
}

ComputeTurns::Turn ComputeTurns::Take(Party& party) {
  std::unique_lock lock(mutex_);
  party.used_ms_ = std::max(party.used_ms_, clock_ms_);
  assert(party.place_.size() == 1);  // else it waits or computes already
  const auto place = party.place_.begin();
  waiting_.splice(waiting_.end(), party.place_);
  const auto is_next = [&] {  // the first of those with the least
    return *std::min_element(waiting_.begin(), waiting_.end(), [](const Party* a, const Party* b) { return a->used_ms_ < b->used_ms_; }) ==
           &party;
  };
  changed_.wait(lock, [&] { return !taken_ && is_next(); });
  party.place_.splice(party.place_.begin(), waiting_, place);
  taken_ = true;
  clock_ms_ = party.used_ms_;
  return Turn(this, party);
}

void ComputeTurns::Release(Party& party, double used_ms) {
  const std::lock_guard lock(mutex_);
  taken_ = false;
  party.used_ms_ += used_ms;
  changed_.notify_all();
}

size_t ComputeTurns::num_waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace mlac
