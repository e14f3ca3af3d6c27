#include "models/inference.h"

#include <algorithm>
#include <cassert>

namespace mlac {
namespace {

// Bounds of `count` groups of whole sequences, or fewer: sequences groups[i] to groups[i + 1], of about the same number of tokens each.
std::vector<size_t> CutInto(size_t count, const Offsets& offsets) {
  const size_t tokens = offsets.back(), sequences = offsets.size() - 1;
  std::vector<size_t> groups = {0};
  for (size_t i = 1; i < count; ++i) {
    const size_t target = tokens * i / count;
    const size_t bound = static_cast<size_t>(std::lower_bound(offsets.begin(), offsets.end(), target) - offsets.begin());
    if (bound > groups.back() && bound < sequences) groups.push_back(bound);
  }
  groups.push_back(sequences);
  return groups;
}

// Near kRowsPerGroup tokens each, and as many as fill the threads evenly. Fewer tokens than that, but enough for a group a thread, are cut so where no thread
// would wait for another: it would in each operator otherwise.
std::vector<size_t> CutIntoGroups(const Offsets& offsets, size_t num_threads) {
  const size_t tokens = offsets.back();
  const size_t count = std::max<size_t>(1, (tokens + kRowsPerGroup / 2) / kRowsPerGroup);
  if (count > 1) return CutInto((count + num_threads - 1) / num_threads * num_threads, offsets);
  if (tokens < kFewestRowsPerGroup * num_threads) return CutInto(1, offsets);
  const std::vector<size_t> groups = CutInto(num_threads, offsets);
  size_t largest = 0;
  for (size_t i = 0; i + 1 < groups.size(); ++i) largest = std::max(largest, offsets[groups[i + 1]] - offsets[groups[i]]);
  return largest * num_threads <= tokens + tokens / 8 ? groups : CutInto(1, offsets);
}

}  // namespace

TokenBatch Slice(const TokenBatch& batch, size_t begin, size_t end) {
  const size_t first = batch.offsets[begin], last = batch.offsets[end];
  TokenBatch slice;
  slice.token_ids.assign(batch.token_ids.begin() + static_cast<ptrdiff_t>(first), batch.token_ids.begin() + static_cast<ptrdiff_t>(last));
  slice.token_type_ids.assign(batch.token_type_ids.begin() + static_cast<ptrdiff_t>(first),
                              batch.token_type_ids.begin() + static_cast<ptrdiff_t>(last));
  slice.offsets.clear();
  for (size_t s = begin; s <= end; ++s) slice.offsets.push_back(batch.offsets[s] - first);
  return slice;
}

Inference::Inference(std::shared_ptr<ThreadTeam> team, DType dtype, std::function<void()> check_stop)
    : team_(std::move(team)),
      check_stop_(std::move(check_stop)),
      together_(std::make_unique<Run>(RunOptions{.team = team_.get(), .tape = nullptr, .dtype = dtype})) {
  for (size_t i = 0; i < num_threads(); ++i) alone_.push_back(std::make_unique<Run>(RunOptions{.team = nullptr, .tape = nullptr, .dtype = dtype}));
}

void Inference::ForEachGroup(const TokenBatch& batch, const std::function<void(Run&, const TokenBatch&, size_t)>& body, Lane lane) {
  if (batch.num_sequences() == 0) return;
  assert(!lane || *lane < alone_.size());
  const std::vector<size_t> groups = CutIntoGroups(batch.offsets, lane ? 1 : num_threads());
  const size_t count = groups.size() - 1;
  const auto compute = [&](Run& run, size_t i) {
    if (check_stop_) check_stop_();
    body(run, Slice(batch, groups[i], groups[i + 1]), groups[i]);
  };
  if (lane || count < num_threads() || num_threads() == 1) {
    Run& run = lane ? *alone_[*lane] : *together_;
    for (size_t i = 0; i < count; ++i) compute(run, i);
    return;
  }
  team_->ParallelTasks(count, [&](size_t i, size_t thread) { compute(*alone_[thread], i); });
}

}  // namespace mlac
