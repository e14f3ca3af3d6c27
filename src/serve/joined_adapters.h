#pragma once
// Where batches of models over one base meet: what waits when the threads are free is computed together.
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "models/inference.h"
#include "pipelines/joined_models.h"
#include "serve/compute_turns.h"
#include "serve/row_room.h"

namespace mlac {

// Safe to use from several threads.
class JoinedAdapters {
 public:
  // base: OpenBase of the folder. dtype: what products are computed in. max_tokens: of what is computed together, one batch at least.
  JoinedAdapters(std::shared_ptr<const Model> base, std::shared_ptr<ThreadTeam> team, DType dtype, size_t max_tokens)
      : base_(std::move(base)), inference_(std::move(team), dtype), max_tokens_(max_tokens) {}
  JoinedAdapters(const JoinedAdapters&) = delete;
  JoinedAdapters& operator=(const JoinedAdapters&) = delete;

  // Fills part.out, with what other threads ask for meanwhile; returns when it is done. turns: with whom it shares the threads that
  // compute. Throws what ComputeJoined does, to all that were computed together.
  void Compute(ComputeTurns& turns, const JoinedPart& part);

  // What the rows of all parts take room of, before they are made and until they are handed over.
  RowRoom& room() { return room_; }

  size_t num_waiting() const;  // parts
  size_t num_batches() const;  // that were computed

 private:
  struct Waiting {
    JoinedPart part;
    bool done = false;
    std::exception_ptr error = nullptr;
  };
  std::vector<Waiting*> Take();
  void ComputeTogether(ComputeTurns& turns);

  const std::shared_ptr<const Model> base_;
  Inference inference_;  // of whoever has the turn
  const size_t max_tokens_;
  RowRoom room_;
  ComputeTurns::Party party_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiting*> waiting_;  // in the order in which they came; each lives in its Compute
  bool has_leader_ = false;        // one of them takes the turn for all
  size_t num_batches_ = 0;
};

}  // namespace mlac
