#pragma once
// Requests wait here for a worker, which takes what is queued as one ragged batch. Nothing waits for a batch to fill. Requests take
// turns, one sequence at a time, so that a text alone never waits for the whole of a large request. Knows nothing of models or HTTP.
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "tensor/token_batch.h"

namespace mlac {

struct QueuedRequest;  // inside

struct QueuedSequence {
  std::vector<int32_t> token_ids;
  std::vector<int32_t> token_type_ids;
};

struct BatchResult {
  std::vector<float> values;  // [sequences, output_size], in the order of the request
  double queue_ms = 0;        // until its last sequence was computed, less compute_ms
  double compute_ms = 0;      // of the batches that it was part of
  std::exception_ptr error;   // what the computation threw; then values is empty
};

struct BatchStats {
  size_t num_sequences = 0, num_tokens = 0;
  double compute_ms = 0;
};

struct BatchQueueOptions {
  size_t output_size = 0;
  size_t max_batch_tokens = 16'384;
  // Of one request in one batch. Bounds how long a text that arrives next to a large request waits; batches of this size are as fast
  // per token as larger ones (no padding, some 128 rows at a time).
  size_t max_request_tokens = 2'048;
  size_t num_workers = 1;
  std::function<void(const BatchStats& stats)> on_batch = {};  // from a worker, after each batch
};

class BatchQueue {
 public:
  // out: [sequences, output_size]. Called by one worker at a time if there is one.
  using Compute = std::function<void(const TokenBatch& batch, std::span<float> out)>;
  using Done = std::function<void(BatchResult result)>;

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
  ~BatchQueue();
  BatchQueue(const BatchQueue&) = delete;
  BatchQueue& operator=(const BatchQueue&) = delete;

  // sequences: at least one, none of them empty (asserted). done is called once, from a worker, unless the request is cancelled before.
  Ticket Submit(std::vector<QueuedSequence> sequences, Done done);
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
  };

  void Work();
  std::vector<Item> TakeBatch();
  void ComputeBatch(std::vector<Item>& items);
  size_t Withdraw(const std::shared_ptr<QueuedRequest>& request);
  void Deliver(const std::shared_ptr<QueuedRequest>& request);

  const BatchQueueOptions options_;
  const Compute compute_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  size_t num_waiting_ = 0;
  Requests waiting_;  // those with sequences left, whose turn comes from front to back
  std::vector<std::thread> workers_;
};

}  // namespace mlac
