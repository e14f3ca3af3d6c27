#pragma once
// Room for the rows that are computed, shared by batches that are computed together or beside each other.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace mlac {

// Numbers in the rows of what is computed at a time (32 MiB): those of masks are as long as the vocabulary.
constexpr size_t kMaxBatchValues = size_t{1} << 23;

// Safe to use from several threads. Outlives its shares.
class RowRoom {
 public:
  explicit RowRoom(size_t max_values = kMaxBatchValues) : max_values_(max_values) {}
  RowRoom(const RowRoom&) = delete;
  RowRoom& operator=(const RowRoom&) = delete;

  // Room for some numbers, as long as it lives.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept;
    Share& operator=(Share&&) = delete;
    ~Share();

   private:
    friend class RowRoom;
    Share(RowRoom* room, size_t num_values) : room_(room), num_values_(num_values) {}
    RowRoom* room_ = nullptr;
    size_t num_values_ = 0;
  };

  // Waits until so many fit, in the order of coming. What is more than all of the room has it alone.
  Share Take(size_t num_values);

  size_t num_waiting() const;

 private:
  const size_t max_values_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  size_t num_held_ = 0;
  uint64_t num_came_ = 0, num_served_ = 0;
};

}  // namespace mlac
