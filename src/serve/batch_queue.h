#pragma once
// Requests wait here for a worker, which takes what is queued as one ragged batch. Nothing waits for a batch to fill. Requests take
// turns, one sequence at a time, so that a text alone never waits for the whole of a large request. A batch is of one kind of rows.
// Knows nothing of models or HTTP.
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "pipelines/rows.h"
#include "serve/compute_turns.h"
#include "serve/row_room.h"
#include "tensor/token_batch.h"

namespace mlac {

struct QueuedRequest;  // inside

inline double MillisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

struct QueuedSequence {
  std::vector<int32_t> token_ids;
  std::vector<int32_t> token_type_ids;
  std::vector<size_t> tokens = {};  // RowsWanted's: those that are asked about, rising
};

struct BatchResult {
  std::vector<float> values;  // [rows, size of a row], in the order of the request; empty where they were taken one by one
  double queue_ms = 0;        // until its last sequence was computed, less compute_ms
  double compute_ms = 0;      // of the batches that it was part of
  std::exception_ptr error;   // what the computation threw; then values is empty
};

struct BatchStats {
  size_t num_sequences = 0, num_tokens = 0;
  double compute_ms = 0;
};

struct BatchQueueOptions {
  std::array<size_t, kNumOutputs> row_sizes = {};  // numbers in a row, by Output; 0: those are not asked for
  size_t max_batch_tokens = 16'384;  // unless one sequence alone has more
  size_t max_batch_values = kMaxBatchValues;
  size_t num_workers = 1;
  ComputeTurns* turns = nullptr;  // with whom it shares the threads that compute; null: with nobody
  RowRoom* room = nullptr;        // with whom it shares the memory of rows; null: with nobody
  std::function<void(const BatchStats& stats)> on_batch = {};  // from a worker, after each batch
};

class BatchQueue {
 public:
  // out: [rows, size of a row]. Called by one worker at a time if there is one.
  using Compute = std::function<void(const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out)>;
  using Done = std::function<void(BatchResult result)>;
  using Take = std::function<void(size_t index, std::span<const float> rows)>;

  // A request in the queue, to cancel it.
  class Ticket {
   public:
    Ticket() = default;

   private:
    friend class BatchQueue;
    std::weak_ptr<QueuedRequest> request_;
  };

  BatchQueue(BatchQueueOptions options, Compute compute);
  // Ends after the batches under way; requests that are left are done with an error (kCancelled).
  ~BatchQueue() { Stop(); }
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // sequences: at least one, none of them empty (asserted). done is called once, from a worker, unless the request is cancelled before.
  // take: is given the rows of each sequence when they are computed, from a worker, instead of their being kept until the last; it may throw, which
  // ends the request.
  Ticket Submit(std::vector<QueuedSequence> sequences, Done done, Output output = Output::kSequence, Take take = nullptr);
  // What the destructor does; nothing may be submitted afterwards. Not from a worker; once is enough.
  void Stop();
  // What of the request is not computed yet will not be, and done is not called (it may be under way). Safe at any time.
  void Cancel(const Ticket& ticket);

  size_t num_waiting() const;  // sequences

 private:
  using Clock = std::chrono::steady_clock;
  using Requests = std::list<std::shared_ptr<QueuedRequest>>;
  struct Item {
    std::shared_ptr<QueuedRequest> request;
    size_t index;
    QueuedSequence sequence;
    std::exception_ptr error = nullptr;  // of its request's `take`
  };

  void Work();
  // What a worker takes at a time. Its memory is there before anything is taken, so that no sequence is lost where there is none.
  struct Batch {
    std::vector<Item> items;
    std::vector<std::shared_ptr<QueuedRequest>> finished;
  };

  size_t NumValues(const QueuedRequest& request, const QueuedSequence& sequence) const;
  bool Reserve(Batch& batch) const noexcept;
  void TakeBatch(std::vector<Item>& items);
  size_t NumValues(const std::vector<Item>& items) const;
  std::vector<float> ComputeItems(const std::vector<Item>& items, BatchStats& stats) const;
  void HandOver(Item& item, std::span<const float> values) const noexcept;
  void ComputeBatch(Batch& batch, std::optional<ComputeTurns::Turn> turn);
  size_t Withdraw(const std::shared_ptr<QueuedRequest>& request);
  void Deliver(const std::shared_ptr<QueuedRequest>& request) noexcept;

  const BatchQueueOptions options_;
  const Compute compute_;
  ComputeTurns::Party party_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  size_t num_waiting_ = 0;
  uint64_t num_batches_ = 0;
  Requests waiting_;  // those with sequences left, whose turn comes from front to back
  std::vector<std::thread> workers_;
};

}  // namespace mlac
