#include "serve/batch_queue.h"

#include <algorithm>
#include <cassert>
#include <unordered_set>

#include "base/error.h"

namespace mlac {

// Guarded by the queue's mutex, but for values: a worker writes the rows of the sequences that it has taken.
struct QueuedRequest {
  std::vector<QueuedSequence> sequences;
  BatchQueue::Done done;
  std::vector<float> values;
  size_t num_taken = 0, num_left = 0;  // left: not computed yet
  size_t num_tokens_in_batch = 0;      // of the batch that is being put together
  bool over = false;  // cancelled or done
  std::chrono::steady_clock::time_point submitted;
  double compute_ms = 0;
  std::exception_ptr error;
};

namespace {

double MillisecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

BatchQueue::BatchQueue(BatchQueueOptions options, Compute compute) : options_(std::move(options)), compute_(std::move(compute)) {
  assert(options_.num_workers > 0 && options_.output_size > 0);
  for (size_t i = 0; i < options_.num_workers; ++i) workers_.emplace_back([this] { Work(); });
}

BatchQueue::~BatchQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
  for (const std::shared_ptr<QueuedRequest>& request : waiting_) {
    request->error = std::make_exception_ptr(Error(ErrorCode::kCancelled, "the server is shutting down"));
    Deliver(request);
  }
}

BatchQueue::Ticket BatchQueue::Submit(std::vector<QueuedSequence> sequences, Done done) {
  assert(!sequences.empty());
  assert(std::none_of(sequences.begin(), sequences.end(), [](const QueuedSequence& sequence) { return sequence.token_ids.empty(); }));
  const auto request = std::make_shared<QueuedRequest>();
  request->num_left = sequences.size();
  request->values.resize(sequences.size() * options_.output_size);
  request->sequences = std::move(sequences);
  request->done = std::move(done);
  request->submitted = Clock::now();
  const std::lock_guard lock(mutex_);
  num_waiting_ += request->sequences.size();
  waiting_.push_back(request);
  changed_.notify_one();
  Ticket ticket;
  ticket.request_ = request;
  return ticket;
}

void BatchQueue::Cancel(const Ticket& ticket) {
  const std::shared_ptr<QueuedRequest> request = ticket.request_.lock();
  if (!request) return;
  Done done;  // what it holds goes after the lock
  const std::lock_guard lock(mutex_);
  if (request->over) return;
  request->over = true;
  done = std::move(request->done);
  request->done = nullptr;
  Withdraw(request);
}

// Takes out what of the request waits; returns the number of sequences. The mutex is held.
size_t BatchQueue::Withdraw(const std::shared_ptr<QueuedRequest>& request) {
  const size_t count = request->sequences.size() - request->num_taken;
  if (count > 0) waiting_.remove(request);
  request->num_taken += count;
  num_waiting_ -= count;
  return count;
}

size_t BatchQueue::num_waiting() const {
  const std::lock_guard lock(mutex_);
  return num_waiting_;
}

// Goes round the requests, one sequence of each at a time, until nothing more fits. The mutex is held; something waits.
std::vector<BatchQueue::Item> BatchQueue::TakeBatch() {
  std::vector<Item> items;
  size_t num_tokens = 0;
  for (const std::shared_ptr<QueuedRequest>& request : waiting_) request->num_tokens_in_batch = 0;
  for (bool took_any = true; took_any;) {
    took_any = false;
    for (auto place = waiting_.begin(); place != waiting_.end();) {
      const std::shared_ptr<QueuedRequest> request = *place;
      QueuedSequence& sequence = request->sequences[request->num_taken];
      const size_t length = sequence.token_ids.size();
      // The first always fits, so that no sequence is too long to be computed.
      const bool fits_batch = items.empty() || num_tokens + length <= options_.max_batch_tokens;
      const bool fits_share = request->num_tokens_in_batch == 0 || request->num_tokens_in_batch + length <= options_.max_request_tokens;
      if (!fits_batch || !fits_share) {
        ++place;
        continue;
      }
      took_any = true;
      num_tokens += length;
      request->num_tokens_in_batch += length;
      items.push_back({request, request->num_taken++, std::move(sequence)});
      place = request->num_taken == request->sequences.size() ? waiting_.erase(place) : std::next(place);
    }
  }
  // Next time, those that got nothing come first.
  Requests served;
  for (auto place = waiting_.begin(); place != waiting_.end();) {
    const auto next = std::next(place);
    if ((*place)->num_tokens_in_batch > 0) served.splice(served.end(), waiting_, place);
    place = next;
  }
  waiting_.splice(waiting_.end(), served);
  num_waiting_ -= items.size();
  return items;
}

void BatchQueue::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    std::vector<Item> items = TakeBatch();
    if (!waiting_.empty()) changed_.notify_one();  // for another worker
    lock.unlock();
    ComputeBatch(items);
    items.clear();
    lock.lock();
  }
}

void BatchQueue::ComputeBatch(std::vector<Item>& items) {
  const Clock::time_point start = Clock::now();
  std::exception_ptr failure;
  BatchStats stats = {.num_sequences = items.size()};
  try {
    TokenBatch batch;
    for (const Item& item : items) {
      batch.token_ids.insert(batch.token_ids.end(), item.sequence.token_ids.begin(), item.sequence.token_ids.end());
      batch.token_type_ids.insert(batch.token_type_ids.end(), item.sequence.token_type_ids.begin(), item.sequence.token_type_ids.end());
      batch.offsets.push_back(batch.token_ids.size());
    }
    stats.num_tokens = batch.num_tokens();
    std::vector<float> out(items.size() * options_.output_size);
    compute_(batch, out);
    for (size_t i = 0; i < items.size(); ++i)
      std::copy_n(out.begin() + static_cast<ptrdiff_t>(i * options_.output_size), options_.output_size,
                  items[i].request->values.begin() + static_cast<ptrdiff_t>(items[i].index * options_.output_size));
  } catch (...) {
    failure = std::current_exception();
  }
  stats.compute_ms = MillisecondsSince(start);

  std::vector<std::shared_ptr<QueuedRequest>> finished;
  {
    const std::lock_guard lock(mutex_);
    std::unordered_set<QueuedRequest*> requests;  // items of one request need not be neighbours
    for (const Item& item : items) {
      QueuedRequest& request = *item.request;
      if (requests.insert(&request).second) {
        request.compute_ms += stats.compute_ms;
        if (failure) {
          request.error = failure;
          request.num_left -= Withdraw(item.request);
        }
      }
      if (--request.num_left == 0) finished.push_back(item.request);
    }
  }
  if (options_.on_batch && !failure) options_.on_batch(stats);
  for (const std::shared_ptr<QueuedRequest>& request : finished) Deliver(request);
}

void BatchQueue::Deliver(const std::shared_ptr<QueuedRequest>& request) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    if (request->over) return;
    request->over = true;
    done = std::move(request->done);
    request->done = nullptr;
  }
  BatchResult result;
  result.compute_ms = request->compute_ms;
  result.queue_ms = std::max(0.0, MillisecondsSince(request->submitted) - request->compute_ms);
  result.error = request->error;
  if (!result.error) result.values = std::move(request->values);
  done(std::move(result));
}

}  // namespace mlac
