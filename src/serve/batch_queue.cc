#include "serve/batch_queue.h"

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "base/error.h"

namespace mlac {

// Guarded by the queue's mutex, but for values: a worker writes the rows of the sequences that it has taken.
struct QueuedRequest {
  std::vector<QueuedSequence> sequences;
  Output output;
  BatchQueue::Done done;
  BatchQueue::Take take;
  std::vector<float> values;   // empty where they are taken
  std::vector<size_t> begins;  // where the values of each sequence begin
  size_t num_taken = 0, num_left = 0;  // left: not computed yet
  bool is_in_batch = false;    // in the one that is being put together
  uint64_t counted_batch = 0;  // the last one that its time was counted of
  bool over = false;  // cancelled or done
  std::chrono::steady_clock::time_point submitted;
  double compute_ms = 0;
  std::exception_ptr error;
};

namespace {

// Between two tries to find memory for a batch.
constexpr std::chrono::milliseconds kMemoryPause{5};

}  // namespace

BatchQueue::BatchQueue(BatchQueueOptions options, Compute compute) : options_(std::move(options)), compute_(std::move(compute)) {
  assert(options_.num_workers > 0);
  for (size_t i = 0; i < options_.num_workers; ++i) workers_.emplace_back([this] { Work(); });
}

void BatchQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  const Requests left = std::exchange(waiting_, {});
  for (const std::shared_ptr<QueuedRequest>& request : left) {
    try {
      throw Error(ErrorCode::kCancelled, "the server is shutting down");
    } catch (...) {  // or there is no memory for that
      request->error = std::current_exception();
    }
    Deliver(request);
  }
}

// How many numbers the rows of the sequence have.
size_t BatchQueue::NumValues(const QueuedRequest& request, const QueuedSequence& sequence) const {
  const size_t num_rows = request.output == Output::kSequence ? 1
                          : request.output == Output::kMasks  ? sequence.tokens.size()
                                                              : sequence.token_ids.size();
  return num_rows * options_.row_sizes[static_cast<size_t>(request.output)];
}

BatchQueue::Ticket BatchQueue::Submit(std::vector<QueuedSequence> sequences, Done done, Output output, Take take) {
  assert(!sequences.empty() && options_.row_sizes[static_cast<size_t>(output)] > 0);
  assert(std::none_of(sequences.begin(), sequences.end(), [](const QueuedSequence& sequence) { return sequence.token_ids.empty(); }));
  const auto request = std::make_shared<QueuedRequest>();
  request->num_left = sequences.size();
  request->output = output;
  request->take = std::move(take);
  if (!request->take) {
    size_t num_values = 0;
    for (const QueuedSequence& sequence : sequences) {
      request->begins.push_back(num_values);
      num_values += NumValues(*request, sequence);
    }
    request->values.resize(num_values);
  }
  request->sequences = std::move(sequences);
  request->done = std::move(done);
  request->submitted = Clock::now();
  const std::lock_guard lock(mutex_);
  waiting_.push_back(request);
  num_waiting_ += request->sequences.size();
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

// Whether there is memory for a batch of what waits. The mutex is held.
bool BatchQueue::Reserve(Batch& batch) const noexcept {
  const size_t count = std::min(num_waiting_, std::max(options_.max_batch_tokens, size_t{1}));  // a sequence has a token at least
  try {
    batch.items.reserve(count);
    batch.finished.reserve(count);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

// Goes round the requests, one sequence of each at a time, until nothing more fits. The mutex is held; something waits, and items has room.
void BatchQueue::TakeBatch(std::vector<Item>& items) {
  size_t num_tokens = 0, num_values = 0;
  for (const std::shared_ptr<QueuedRequest>& request : waiting_) request->is_in_batch = false;
  for (bool took_any = true; took_any;) {
    took_any = false;
    for (auto place = waiting_.begin(); place != waiting_.end();) {
      const std::shared_ptr<QueuedRequest> request = *place;
      QueuedSequence& sequence = request->sequences[request->num_taken];
      const size_t length = sequence.token_ids.size(), values = NumValues(*request, sequence);
      // The first always fits, so that no sequence is too long to be computed.
      const bool fits_batch =
          items.empty() || (num_tokens + length <= options_.max_batch_tokens && num_values + values <= options_.max_batch_values);
      const bool fits_output = items.empty() || request->output == items.front().request->output;
      if (!fits_batch || !fits_output) {
        ++place;
        continue;
      }
      took_any = true;
      num_tokens += length;
      num_values += values;
      request->is_in_batch = true;
      items.push_back({request, request->num_taken++, std::move(sequence)});
      place = request->num_taken == request->sequences.size() ? waiting_.erase(place) : std::next(place);
    }
  }
  // Next time, those that got nothing come first.
  Requests served;
  for (auto place = waiting_.begin(); place != waiting_.end();) {
    const auto next = std::next(place);
    if ((*place)->is_in_batch) served.splice(served.end(), waiting_, place);
    place = next;
  }
  waiting_.splice(waiting_.end(), served);
  num_waiting_ -= items.size();
}

void BatchQueue::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    std::optional<ComputeTurns::Turn> turn;
    if (options_.turns != nullptr) {
      lock.unlock();
      turn.emplace(options_.turns->Take(party_));
      lock.lock();
      if (stopping_ || waiting_.empty()) continue;  // all cancelled meanwhile
    }
    Batch batch;
    if (!Reserve(batch)) {  // others end and give memory back
      turn.reset();
      changed_.wait_for(lock, kMemoryPause, [this] { return stopping_; });
      continue;
    }
    TakeBatch(batch.items);  // with its turn taken, so that what came while it waited is in it
    if (!waiting_.empty()) changed_.notify_one();  // for another worker
    lock.unlock();
    ComputeBatch(batch, std::move(turn));
    batch = {};
    lock.lock();
  }
}

size_t BatchQueue::NumValues(const std::vector<Item>& items) const {
  size_t num_values = 0;
  for (const Item& item : items) num_values += NumValues(*item.request, item.sequence);
  return num_values;
}

// The values of all items, end to end.
std::vector<float> BatchQueue::ComputeItems(const std::vector<Item>& items, BatchStats& stats) const {
  TokenBatch batch;
  std::vector<size_t> tokens;
  for (const Item& item : items) {
    for (const size_t token : item.sequence.tokens) tokens.push_back(batch.token_ids.size() + token);
    batch.token_ids.insert(batch.token_ids.end(), item.sequence.token_ids.begin(), item.sequence.token_ids.end());
    batch.token_type_ids.insert(batch.token_type_ids.end(), item.sequence.token_type_ids.begin(), item.sequence.token_type_ids.end());
    batch.offsets.push_back(batch.token_ids.size());
  }
  stats.num_tokens = batch.num_tokens();
  std::vector<float> out(NumValues(items));
  compute_(batch, {items.front().request->output, tokens}, out);
  return out;
}

// Keeps the values of an item for its request, or has them taken.
void BatchQueue::HandOver(Item& item, std::span<const float> values) const noexcept {
  QueuedRequest& request = *item.request;
  try {
    if (request.take) return request.take(item.index, values);
    std::copy(values.begin(), values.end(), request.values.begin() + static_cast<ptrdiff_t>(request.begins[item.index]));
  } catch (...) {
    item.error = std::current_exception();
  }
}

void BatchQueue::ComputeBatch(Batch& batch, std::optional<ComputeTurns::Turn> turn) {
  std::vector<Item>& items = batch.items;
  const Clock::time_point start = Clock::now();
  std::exception_ptr failure;
  BatchStats stats = {.num_sequences = items.size()};
  try {
    const RowRoom::Share room = options_.room != nullptr ? options_.room->Take(NumValues(items)) : RowRoom::Share();
    const std::vector<float> out = ComputeItems(items, stats);
    turn.reset();  // the answers are written while another computes
    stats.compute_ms = MillisecondsSince(start);
    size_t begin = 0;
    for (Item& item : items) {
      const size_t count = NumValues(*item.request, item.sequence);
      HandOver(item, std::span(out).subspan(begin, count));
      begin += count;
    }
  } catch (...) {
    failure = std::current_exception();
    stats.compute_ms = MillisecondsSince(start);
  }
  turn.reset();

  {
    const std::lock_guard lock(mutex_);
    ++num_batches_;
    for (const Item& item : items) {
      QueuedRequest& request = *item.request;
      if (std::exchange(request.counted_batch, num_batches_) != num_batches_) {  // items of one request need not be neighbours
        request.compute_ms += stats.compute_ms;
      }
      if ((failure || item.error) && !request.error) {
        request.error = failure ? failure : item.error;
        request.num_left -= Withdraw(item.request);
      }
      if (--request.num_left == 0) batch.finished.push_back(item.request);
    }
  }
  if (options_.on_batch && !failure) {
    try {
      options_.on_batch(stats);
    } catch (const std::exception&) {  // no memory to count it: the answers are there all the same
    }
  }
  for (const std::shared_ptr<QueuedRequest>& request : batch.finished) Deliver(request);
}

// What done throws for lack of memory costs its request the answer, not the worker.
void BatchQueue::Deliver(const std::shared_ptr<QueuedRequest>& request) noexcept {
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
  try {
    done(std::move(result));
  } catch (const std::exception&) {
  }
}

}  // namespace mlac
