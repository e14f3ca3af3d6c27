#pragma once
// Running a model over ragged batches on several threads.
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "autograd/run.h"
#include "base/thread_team.h"
#include "tensor/token_batch.h"

namespace mlac {

// Tokens that one thread computes at a time: some 128, so that intermediates stay in L2. With fewer than the other a thread that computes alone
// would wait for weights.
inline constexpr size_t kRowsPerGroup = 128, kFewestRowsPerGroup = 48;

// The sequences [begin, end) of a batch as a batch of their own.
TokenBatch Slice(const TokenBatch& batch, size_t begin, size_t end);

// Threads and the memory that they compute in. One batch at a time, or one in each lane; with a team that others use too, one of all of them.
class Inference {
 public:
  // dtype: what products are computed in, kF32 or kBF16. check_stop, if any, is called before each group, from the thread that computes it:
  // what it throws ends the batch.
  explicit Inference(size_t num_threads, DType dtype = DType::kF32) : Inference(std::make_shared<ThreadTeam>(num_threads), dtype) {}
  explicit Inference(std::shared_ptr<ThreadTeam> team, DType dtype = DType::kF32, std::function<void()> check_stop = nullptr);

  size_t num_threads() const { return team_->num_threads(); }

  // Calls body for groups of whole sequences that together make up the batch; what it computes for a sequence must not depend on the
  // group (nothing of ours does). Many groups: each runs on one thread, all layers on kRowsPerGroup rows.
  // Few: one after the other, all threads within each operator. first_sequence: where the group begins in the batch.
  // lane: below num_threads(); the calling thread computes alone, while others may compute in other lanes.
  void ForEachGroup(const TokenBatch& batch, const std::function<void(Run& run, const TokenBatch& group, size_t first_sequence)>& body,
                    Lane lane = kWholeTeam);

 private:
  std::shared_ptr<ThreadTeam> team_;
  std::function<void()> check_stop_;
  std::unique_ptr<Run> together_;            // all threads within an operator
  std::vector<std::unique_ptr<Run>> alone_;  // a thread each, by lane
};

}  // namespace mlac
