#include "serve/row_room.h"

#include <utility>

namespace mlac {

RowRoom::Share::Share(Share&& other) noexcept : room_(std::exchange(other.room_, nullptr)), num_values_(other.num_values_) {}

RowRoom::Share::~Share() {
  if (room_ == nullptr) return;
  const std::lock_guard lock(room_->mutex_);
  room_->num_held_ -= num_values_;
  room_->changed_.notify_all();
}

RowRoom::Share RowRoom::Take(size_t num_values) {
  std::unique_lock lock(mutex_);
  const uint64_t place = num_came_++;
  changed_.wait(lock, [&] { return place == num_served_ && (num_held_ == 0 || num_held_ + num_values <= max_values_); });
  ++num_served_;
  num_held_ += num_values;
  changed_.notify_all();  // the next may fit, too
  return Share(this, num_values);
}

size_t RowRoom::num_waiting() const {
  const std::lock_guard lock(mutex_);
  return num_came_ - num_served_;
}

}  // namespace mlac
