#pragma once
// Requests wait here for a worker, which takes what is queued as one ragged batch. Nothing waits for a batch to fill. Requests take
// turns, one sequence at a time, so that a text alone never waits for the whole of a large request. A batch is of one kind of rows.
// Where enough waits for each thread to have work of its own, workers compute batches beside each other, a lane each; else all threads compute one.
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
  double compute_ms = 0;      // while any batch that it was part of was computed: from when it was taken until its rows were handed over
  std::exception_ptr error;   // what the computation threw; then values is empty
};

struct BatchStats {
  size_t num_sequences = 0, num_tokens = 0;
  double compute_ms = 0;
  double busy_ms = 0;  // the same of all threads: of a lane its part of them
};

struct BatchQueueOptions {
  std::array<size_t, kNumOutputs> row_sizes = {};  // numbers in a row, by Output; 0: those are not asked for
  size_t max_batch_tokens = 16'384;  // unless one sequence alone has more
  size_t max_batch_values = kMaxBatchValues;
  size_t max_lane_tokens = 128;   // of what one lane takes, unless all lanes are one; a longer sequence is computed by all threads
  size_t min_lane_tokens = 48;    // must wait for each lane before they are used: all threads compute together what is less; about the least that one takes
  size_t num_workers = 1;         // at most; a thread each
  bool starts_all = false;        // workers at once, where the memory of their stacks has to be there before the first request; else when there is work
  ComputeTurns* turns = nullptr;  // with whom it shares the threads that compute; null: with nobody
  RowRoom* room = nullptr;        // with whom it shares the memory of rows; null: with nobody
  std::function<void(const BatchStats& stats)> on_batch = {};  // from the worker, after each batch; of several at once
};

class BatchQueue {
 public:
  // out: [rows, size of a row]. lane: who computes; the whole team where there are no turns. Called by one worker at a time if there is one, and by one
  // of each lane.
  using Compute = std::function<void(const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane)>;
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
  // take: is given the rows of each sequence when they are computed, from a worker, or from several for several sequences at once, instead of their
  // being kept until the last; it may throw, which ends the request.
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
    bool is_last = false;                // of its request in the batch
    std::exception_ptr error = nullptr;  // of its request's `take`
  };

  struct Amount {
    size_t num_sequences = 0, num_tokens = 0;
    size_t num_long = 0;  // of the sequences: those that are too long for a lane
  };
  Amount AmountLeft(const QueuedRequest& request) const;
  // How many tokens are enough, and more than how many tokens and numbers in its rows a batch never has but for one sequence alone.
  struct BatchSize {
    size_t enough, most, most_values;
  };
  void Work();
  void WakeAnother() noexcept;
  bool StartWorker() noexcept;
  std::optional<ComputeTurns::Turn> TakeTurn(std::unique_lock<std::mutex>& lock);
  bool FillsLanes() const;
  bool NeedsTeam() const;
  BatchSize SizeFor(const std::optional<ComputeTurns::Turn>& turn) const;
  // What a worker takes at a time. Its memory is there before anything is taken, so that no sequence is lost where there is none.
  struct Batch {
    std::vector<Item> items;
    std::vector<std::shared_ptr<QueuedRequest>> finished;
  };

  size_t NumValues(const QueuedRequest& request, const QueuedSequence& sequence) const;
  bool Reserve(Batch& batch, const BatchSize& size) const noexcept;
  void TakeBatch(std::vector<Item>& items, const BatchSize& size);
  size_t NumValues(const std::vector<Item>& items) const;
  std::vector<float> ComputeItems(const std::vector<Item>& items, Lane lane) const;
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
  // One of the workers waits for its turn, or has all threads and writes the answers of what they computed: it is the next to take a turn, since a thread
  // more than there are cores would hold all of them up.
  bool has_leader_ = false;
  size_t num_idle_ = 0;             // workers
  Amount left_;                     // of what waits
  size_t num_computed_tokens_ = 0;  // of what is computed now
  uint64_t num_batches_ = 0;        // that were taken
  Requests waiting_;  // those with sequences left, whose turn comes from front to back
  std::vector<std::thread> workers_;
};

}  // namespace mlac
