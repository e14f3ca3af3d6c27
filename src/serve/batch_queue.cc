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
  std::list<std::shared_ptr<QueuedRequest>>::iterator place;  // among those that wait, while sequences of it do
  uint64_t last_batch = 0;   // the last that took of it
  size_t num_batches = 0;    // that compute something of it
  bool over = false;  // cancelled or done
  std::chrono::steady_clock::time_point submitted;
  std::chrono::steady_clock::time_point computing_since;  // if any batch does
  double compute_ms = 0;
  std::exception_ptr error;
};

namespace {

// Between two tries to find memory for a batch.
constexpr std::chrono::milliseconds kMemoryPause{5};
// Sequences that do not fit into a batch before those behind them are not looked at in a round: a batch would look at all that waits otherwise.
constexpr size_t kMaxMisfits = 64;

}  // namespace

BatchQueue::BatchQueue(BatchQueueOptions options, Compute compute) : options_(std::move(options)), compute_(std::move(compute)) {
  assert(options_.num_workers > 0);
  workers_.reserve(options_.num_workers);
  workers_.emplace_back([this] { Work(); });
  while (options_.starts_all && StartWorker()) {
  }
}

void BatchQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
  for (;;) {
    std::shared_ptr<QueuedRequest> request;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) return;
      request = waiting_.front();
      Withdraw(request);
    }
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
  const Amount amount = AmountLeft(*request);
  const std::lock_guard lock(mutex_);
  request->place = waiting_.insert(waiting_.end(), request);
  left_.num_sequences += amount.num_sequences;
  left_.num_tokens += amount.num_tokens;
  left_.num_long += amount.num_long;
  if (!has_leader_) WakeAnother();  // else the one that does sees it, or wakes another behind its batch
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

// What of the request nobody has taken yet.
BatchQueue::Amount BatchQueue::AmountLeft(const QueuedRequest& request) const {
  Amount amount = {.num_sequences = request.sequences.size() - request.num_taken};
  for (size_t i = request.num_taken; i < request.sequences.size(); ++i) {
    const size_t length = request.sequences[i].token_ids.size();
    amount.num_tokens += length;
    amount.num_long += length > options_.max_lane_tokens;
  }
  return amount;
}

// Takes out what of the request waits; returns the number of sequences. The mutex is held.
size_t BatchQueue::Withdraw(const std::shared_ptr<QueuedRequest>& request) {
  const Amount amount = AmountLeft(*request);
  if (amount.num_sequences > 0) waiting_.erase(request->place);
  request->num_taken += amount.num_sequences;
  left_.num_sequences -= amount.num_sequences;
  left_.num_tokens -= amount.num_tokens;
  left_.num_long -= amount.num_long;
  return amount.num_sequences;
}

size_t BatchQueue::num_waiting() const {
  const std::lock_guard lock(mutex_);
  return left_.num_sequences;
}

// Whether there is memory for a batch of what waits. The mutex is held.
bool BatchQueue::Reserve(Batch& batch, const BatchSize& size) const noexcept {
  const size_t count = std::min(left_.num_sequences, std::max(size.most, size_t{1}));  // a sequence has a token at least
  try {
    batch.items.reserve(count);
    batch.finished.reserve(count);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

// Goes round the requests, one sequence of each at a time, until it is enough or nothing more fits. The mutex is held; something waits, and items has room.
void BatchQueue::TakeBatch(std::vector<Item>& items, const BatchSize& size) {
  const uint64_t batch = ++num_batches_;
  const Clock::time_point now = Clock::now();
  size_t num_tokens = 0, num_values = 0;
  for (bool took_any = true; took_any && num_tokens < size.enough;) {
    took_any = false;
    size_t num_misfits = 0;
    for (auto place = waiting_.begin(); place != waiting_.end() && num_tokens < size.enough && num_misfits < kMaxMisfits;) {
      const std::shared_ptr<QueuedRequest> request = *place;
      QueuedSequence& sequence = request->sequences[request->num_taken];
      const size_t length = sequence.token_ids.size(), values = NumValues(*request, sequence);
      // The first always fits, so that no sequence is too long to be computed. Where enough is less than a batch can have, another worker gets what would
      // lead further beyond it than is missing now.
      const bool fits_batch = items.empty() || (num_tokens + length <= size.most && length <= 2 * (size.enough - num_tokens) &&
                                                num_values + values <= size.most_values);
      const bool fits_output = items.empty() || request->output == items.front().request->output;
      if (!fits_batch || !fits_output) {
        ++num_misfits;
        ++place;
        continue;
      }
      took_any = true;
      num_tokens += length;
      left_.num_long -= length > options_.max_lane_tokens;
      num_values += values;
      if (std::exchange(request->last_batch, batch) != batch && request->num_batches++ == 0) request->computing_since = now;
      items.push_back({request, request->num_taken++, std::move(sequence)});
      place = request->num_taken == request->sequences.size() ? waiting_.erase(place) : std::next(place);
    }
  }
  // Next time, those that got nothing come first.
  for (Item& item : items) {
    const QueuedRequest& request = *item.request;
    item.is_last = request.num_taken == item.index + 1;
    if (item.is_last && request.num_taken < request.sequences.size()) waiting_.splice(waiting_.end(), waiting_, request.place);
  }
  left_.num_sequences -= items.size();
  left_.num_tokens -= num_tokens;
  num_computed_tokens_ += num_tokens;
}

// Whether each lane would have enough of what waits. The mutex is held, here and below; something waits.
bool BatchQueue::FillsLanes() const {
  const size_t num_lanes = options_.turns->num_lanes(), part = left_.num_tokens / num_lanes;
  if (left_.num_sequences < num_lanes || part < options_.min_lane_tokens) return false;
  // Where there is little more than a part for each, one that is longer would go on alone.
  return part >= options_.max_lane_tokens || std::none_of(waiting_.begin(), waiting_.end(), [&](const std::shared_ptr<QueuedRequest>& request) {
           const auto begin = request->sequences.begin() + static_cast<ptrdiff_t>(request->num_taken);
           return std::any_of(begin, request->sequences.end(), [&](const QueuedSequence& each) { return each.token_ids.size() > part + part / 8; });
         });
}

// Whether what comes next has to have all threads: a sequence that is too long for a lane waits, or so little waits and is computed that lanes would be idle
// for a long time.
bool BatchQueue::NeedsTeam() const {
  return left_.num_long > 0 || 2 * (left_.num_tokens + num_computed_tokens_) < options_.turns->num_lanes() * options_.min_lane_tokens;
}

// Waits for a turn, which nothing is taken for before it has come: what comes meanwhile is in the batch. Where a sequence that is too long for a lane
// waits, the turn is of all threads though others wait before it: the lanes would have to fall free for it soon, and each in turn would wait for the last.
// Nothing if there is nothing to compute any more, or if such a one has come meanwhile and the turn is a lane.
std::optional<ComputeTurns::Turn> BatchQueue::TakeTurn(std::unique_lock<std::mutex>& lock) {
  has_leader_ = true;
  const bool needs_team = NeedsTeam();
  lock.unlock();
  std::optional<ComputeTurns::Turn> turn(needs_team ? options_.turns->Take(party_) : options_.turns->TakeLane(party_));
  lock.lock();
  const bool has_long = left_.num_long > 0;
  const bool is_void = stopping_ || waiting_.empty();
  const bool is_lane = turn->lane() && !is_void && ((FillsLanes() && !has_long) || !turn->Widen());
  has_leader_ = !is_void && !is_lane;
  if (is_void || (is_lane && has_long)) return std::nullopt;
  return turn;
}

// What the worker whose turn it is takes. A lane: half of its part of all that waits or is in lanes, so that something waits for the next one to come. Whole
// parts would be answered at once, their clients would all come again at once, and those in between would wait for longer.
BatchQueue::BatchSize BatchQueue::SizeFor(const std::optional<ComputeTurns::Turn>& turn) const {
  if (!turn || !turn->lane()) return {options_.max_batch_tokens, options_.max_batch_tokens, options_.max_batch_values};
  const size_t num_lanes = options_.turns->num_lanes(), num_parts = 2 * num_lanes;
  const size_t part = (left_.num_tokens + num_computed_tokens_ + num_parts - 1) / num_parts;
  const size_t most = std::min(options_.max_batch_tokens, options_.max_lane_tokens);
  return {std::min(std::max(part, options_.min_lane_tokens), most), most, options_.max_batch_values / num_lanes};
}

// For what one worker left: another, or a new one. The mutex is held.
void BatchQueue::WakeAnother() noexcept {
  changed_.notify_one();
  if (num_idle_ == 0 && !stopping_) StartWorker();
}

// Whether there is one more: not if there are all, or if the system gives no more threads; those that run do all of it then.
bool BatchQueue::StartWorker() noexcept {
  if (workers_.size() >= options_.num_workers) return false;
  try {
    workers_.emplace_back([this] { Work(); });
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

void BatchQueue::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    ++num_idle_;
    changed_.wait(lock, [this] { return stopping_ || (!waiting_.empty() && !has_leader_); });
    --num_idle_;
    if (stopping_) return;
    std::optional<ComputeTurns::Turn> turn = options_.turns != nullptr ? TakeTurn(lock) : std::nullopt;
    if (options_.turns != nullptr && !turn) continue;
    Batch batch;
    const BatchSize size = SizeFor(turn);
    const bool has_all = turn && !turn->lane();
    if (!Reserve(batch, size)) {  // others end and give memory back
      turn.reset();
      if (has_all) has_leader_ = false;
      changed_.wait_for(lock, kMemoryPause, [this] { return stopping_; });
      continue;
    }
    TakeBatch(batch.items, size);
    if (!waiting_.empty() && !has_leader_) WakeAnother();
    lock.unlock();
    ComputeBatch(batch, std::move(turn));
    batch = {};
    lock.lock();
    if (has_all) has_leader_ = false;
  }
}

size_t BatchQueue::NumValues(const std::vector<Item>& items) const {
  size_t num_values = 0;
  for (const Item& item : items) num_values += NumValues(*item.request, item.sequence);
  return num_values;
}

// The values of all items, end to end.
std::vector<float> BatchQueue::ComputeItems(const std::vector<Item>& items, Lane lane) const {
  TokenBatch batch;
  std::vector<size_t> tokens;
  for (const Item& item : items) {
    for (const size_t token : item.sequence.tokens) tokens.push_back(batch.token_ids.size() + token);
    batch.token_ids.insert(batch.token_ids.end(), item.sequence.token_ids.begin(), item.sequence.token_ids.end());
    batch.token_type_ids.insert(batch.token_type_ids.end(), item.sequence.token_type_ids.begin(), item.sequence.token_type_ids.end());
    batch.offsets.push_back(batch.token_ids.size());
  }
  std::vector<float> out(NumValues(items));
  compute_(batch, {items.front().request->output, tokens}, out, lane);
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
  for (const Item& item : items) stats.num_tokens += item.sequence.token_ids.size();
  const Lane lane = turn ? turn->lane() : kWholeTeam;
  const auto count_time = [&] {
    stats.compute_ms = MillisecondsSince(start);
    stats.busy_ms = lane ? stats.compute_ms / static_cast<double>(options_.turns->num_lanes()) : stats.compute_ms;
  };
  try {
    const RowRoom::Share room = options_.room != nullptr ? options_.room->Take(NumValues(items)) : RowRoom::Share();
    const std::vector<float> out = ComputeItems(items, lane);
    turn.reset();  // the answers are written while another lane or model computes
    count_time();
    size_t begin = 0;
    for (Item& item : items) {
      const size_t count = NumValues(*item.request, item.sequence);
      HandOver(item, std::span(out).subspan(begin, count));
      begin += count;
    }
  } catch (...) {
    failure = std::current_exception();
    count_time();
  }
  turn.reset();

  {
    const std::lock_guard lock(mutex_);
    num_computed_tokens_ -= stats.num_tokens;
    for (const Item& item : items) {
      QueuedRequest& request = *item.request;
      if (item.is_last && --request.num_batches == 0) request.compute_ms += MillisecondsSince(request.computing_since);
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
