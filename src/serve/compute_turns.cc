#include "serve/compute_turns.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace mlac {

ComputeTurns::Turn::Turn(Turn&& other) noexcept
    : turns_(std::exchange(other.turns_, nullptr)), party_(other.party_), lane_(other.lane_), start_(other.start_) {}

void ComputeTurns::Turn::End() {
  if (turns_ == nullptr) return;
  const double used_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
  std::exchange(turns_, nullptr)->Release(party_, lane_, used_ms);
}

bool ComputeTurns::Turn::Widen() {
  if (lane_ && turns_->Widen()) lane_ = kWholeTeam;
  return !lane_;
}

ComputeTurns::Turn ComputeTurns::Take(Party& party) { return Wait(party, /*wants_all=*/true); }

ComputeTurns::Turn ComputeTurns::TakeLane(Party& party) { return Wait(party, /*wants_all=*/num_lanes() == 1); }

// Whether it is the first of those with the least, and what it wants is free. One that waits for all lanes has them fall free: nobody behind it gets one.
bool ComputeTurns::CanTake(const Party& party) const {
  if (party.wants_all_ ? num_taken_ > 0 : num_taken_ == num_lanes()) return false;
  return *std::min_element(waiting_.begin(), waiting_.end(), [](const Party* a, const Party* b) { return a->used_ms_ < b->used_ms_; }) == &party;
}

ComputeTurns::Turn ComputeTurns::Wait(Party& party, bool wants_all) {
  std::unique_lock lock(mutex_);
  party.used_ms_ = std::max(party.used_ms_, clock_ms_);
  party.wants_all_ = wants_all;
  assert(party.place_.size() == 1);  // else it waits already
  const auto place = party.place_.begin();
  waiting_.splice(waiting_.end(), party.place_);
  changed_.wait(lock, [&] { return CanTake(party); });
  party.place_.splice(party.place_.begin(), waiting_, place);
  clock_ms_ = party.used_ms_;
  if (wants_all) {
    taken_.assign(num_lanes(), true);
    num_taken_ = num_lanes();
    return Turn(this, party, kWholeTeam);
  }
  const size_t lane = static_cast<size_t>(std::find(taken_.begin(), taken_.end(), false) - taken_.begin());
  taken_[lane] = true;
  if (++num_taken_ < num_lanes()) changed_.notify_all();  // for the next one, who was not the first before
  return Turn(this, party, lane);
}

void ComputeTurns::Release(Party& party, Lane lane, double used_ms) {
  const std::lock_guard lock(mutex_);
  if (lane) {
    taken_[*lane] = false;
    --num_taken_;
    used_ms /= static_cast<double>(num_lanes());
  } else {
    taken_.assign(num_lanes(), false);
    num_taken_ = 0;
  }
  party.used_ms_ += used_ms;
  changed_.notify_all();
}

bool ComputeTurns::Widen() {
  const std::lock_guard lock(mutex_);
  // Those who wait for all threads could do nothing with the other lanes.
  const auto num_for_lanes = static_cast<size_t>(std::count_if(waiting_.begin(), waiting_.end(), [](const Party* party) { return !party->wants_all_; }));
  if (num_taken_ > 1 || 2 * num_for_lanes >= num_lanes()) return false;
  taken_.assign(num_lanes(), true);
  num_taken_ = num_lanes();
  return true;
}

size_t ComputeTurns::num_waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

}  // namespace mlac
