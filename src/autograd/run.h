#pragma once
// One forward pass: where intermediates live, which threads compute, in training the tape, and what operators keep from one call to the next.
#include <cstddef>
#include <functional>
#include <utility>

#include "autograd/dropout_stream.h"
#include "autograd/narrow_inputs.h"
#include "autograd/pass_rows.h"
#include "autograd/section_memory.h"
#include "autograd/tape.h"
#include "autograd/thread_scratch.h"
#include "autograd/waiting_rows.h"
#include "base/thread_team.h"
#include "tensor/buffer_pool.h"
#include "tensor/tensor.h"

namespace mlac {

struct RunOptions {
  ThreadTeam* team = nullptr;  // nullptr: the calling thread alone
  Tape* tape = nullptr;        // nullptr: inference
  DType dtype = DType::kF32;   // what products of linear layers are computed in: kF32 or kBF16
  bool recompute = false;      // training keeps the input of each layer and computes the rest again (autograd/recompute.h)
};

// Of intermediate results, in bytes.
struct PassMemory {
  size_t peak = 0;               // the most that there were at once
  size_t without_recompute = 0;  // about what it would have been if nothing were computed again; 0 where nothing is
};

// Used by one thread at a time; reused from pass to pass, so that memory is found warm.
class Run {
 public:
  explicit Run(RunOptions options = {});

  // What the pass is: of inference or training, in which type.
  DType dtype() const { return dtype_; }
  Tape* tape() const { return records_ ? tape_ : nullptr; }
  // Whether there is a tape, on or not: forward passes give the bits of a training step.
  bool training() const { return tape_ != nullptr; }
  bool recomputes() const { return recompute_ && tape() != nullptr; }
  // Without the tape for the time of body: a forward pass of training that nothing remembers.
  void WithoutTape(const std::function<void()>& body);

  // Memory of intermediate results.
  Tensor NewTensor(Shape shape, DType dtype = DType::kF32) { return pool_.NewTensor(std::move(shape), dtype); }
  size_t bytes_in_use() const { return pool_.bytes_in_use(); }
  PassMemory memory_use() const { return {pool_.peak_bytes(), section_memory_.bytes_without_recompute()}; }

  // Threads.
  size_t num_threads() const { return team_ == nullptr ? 1 : team_->num_threads(); }
  void ParallelFor(size_t count, size_t grain, const std::function<void(size_t begin, size_t end, size_t thread)>& body);
  void ParallelTasks(size_t count, const std::function<void(size_t index, size_t thread)>& body);
  float* Scratch(size_t thread, size_t count) { return scratch_.Of(thread, count); }

  // What operators keep, a type each.
  DropoutStream& dropout() { return dropout_; }
  PassRows& rows() { return rows_; }
  const PassRows& rows() const { return rows_; }
  NarrowInputs& narrow_inputs() { return narrow_inputs_; }
  WaitingRows& waiting_rows() { return waiting_rows_; }
  SectionMemory& section_memory() { return section_memory_; }

 private:
  ThreadTeam* team_;
  Tape* tape_;
  DType dtype_;
  bool records_ = true, recompute_;
  BufferPool pool_;
  ThreadScratch scratch_;
  DropoutStream dropout_;
  PassRows rows_;
  NarrowInputs narrow_inputs_;
  WaitingRows waiting_rows_;
  SectionMemory section_memory_;
};

}  // namespace mlac
