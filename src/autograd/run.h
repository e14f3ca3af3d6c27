#pragma once
// One forward pass: where intermediates live, which threads compute, and in training the tape and the random stream.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "autograd/tape.h"
#include "base/thread_team.h"
#include "kernels/dropout.h"
#include "tensor/buffer_pool.h"
#include "tensor/tensor.h"

namespace mlac {

class ParameterStore;
struct Parameter;

// Rows of a pass that belong to one of several adapters over a base: those from where the ones before end up to `end`. adapter: the store of its
// model, which only layers look into (nn/layers.h); null: none.
struct AdapterRows {
  size_t end = 0;
  const ParameterStore* adapter = nullptr;
};

// Numbers of tokens of a batch, counted from its first, rising, none twice; null: all of them.
using TokenRows = std::shared_ptr<const std::vector<size_t>>;

struct RunOptions {
  ThreadTeam* team = nullptr;  // nullptr: the calling thread alone
  Tape* tape = nullptr;        // nullptr: inference
  DType dtype = DType::kF32;   // what products of linear layers are computed in: kF32 or kBF16
  bool recompute = false;      // training keeps the input of each layer and computes the rest again (autograd/recompute.h)
};

// Where a pass stands in the random numbers of its dropouts: that of the `operation`-th dropout of the model. first_token, first_sequence: where the
// part that is computed begins in the whole batch.
struct DropoutPlace {
  bool on = false;
  uint64_t seed = 0;
  uint32_t step = 0, first_token = 0, first_sequence = 0, operation = 0;
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

  Tape* tape() const { return records_ ? tape_ : nullptr; }
  DType dtype() const { return dtype_; }
  Tensor NewTensor(Shape shape, DType dtype = DType::kF32) { return pool_.NewTensor(std::move(shape), dtype); }

  // Without the tape for the time of body: a forward pass of training that nothing remembers.
  void WithoutTape(const std::function<void()>& body);
  // Whether there is a tape, on or not: forward passes give the bits of a training step.
  bool training() const { return tape_ != nullptr; }
  bool recomputes() const { return recompute_ && tape() != nullptr; }
  // For autograd/recompute.cc: a section will be computed again; it has been, and what its operators kept.
  void OpenSection() { ++open_sections_; }
  void CloseSection(size_t num_kept_bytes);
  size_t bytes_in_use() const { return pool_.bytes_in_use(); }
  PassMemory memory_use() const { return {pool_.peak_bytes(), bytes_without_recompute_}; }

  size_t num_threads() const { return team_ == nullptr ? 1 : team_->num_threads(); }
  void ParallelFor(size_t count, size_t grain, const std::function<void(size_t begin, size_t end, size_t thread)>& body);
  void ParallelTasks(size_t count, const std::function<void(size_t index, size_t thread)>& body);
  // At least `count` floats for the given thread, aligned to 64 bytes, undefined, until its next call.
  float* Scratch(size_t thread, size_t count);

  // Rows rounded for products of int8 or bf16, with the scales and zeros of int8.
  struct Narrow {
    Tensor source, values, scales, zeros;
  };
  // What `round` made of x, values of this type (kU8 or kBF16); kept until another tensor or type comes, because queries, keys and values are computed
  // from one input.
  const Narrow& NarrowInput(const Tensor& x, DType dtype, const std::function<void(Narrow&)>& round);

  // Rows of a weight's gradient in training in bf16, dZ and X rounded, that wait for the next part of the batch (autograd/bf16_training.cc).
  struct WaitingRows {
    Tensor gradient, input;
    size_t count = 0;
  };
  WaitingRows& Waiting(const Parameter& weight) { return waiting_[&weight]; }

  // Which adapters the rows of the encoder's layers have; none: those of the model that is run. In inference.
  void SetAdapterRows(std::vector<AdapterRows> rows) { adapter_rows_ = std::move(rows); }
  std::span<const AdapterRows> adapter_rows() const { return adapter_rows_; }

  // Dropout. Begin a pass: where this batch begins in the whole batch, in tokens and in sequences, so that a batch computed in parts drops
  // the same elements. Each dropout of the model then takes the next operation number.
  void BeginDropout(uint64_t seed, uint32_t step, uint32_t first_token, uint32_t first_sequence);
  void EndDropout() { dropout_.on = false; }
  bool dropout_on() const { return dropout_.on; }
  kernels::DropoutKey NextDropout(float probability);
  uint32_t first_token() const { return dropout_.first_token; }
  uint32_t first_sequence() const { return dropout_.first_sequence; }
  // To drop the same elements once more.
  const DropoutPlace& dropout_place() const { return dropout_; }
  void SetDropoutPlace(const DropoutPlace& place) { dropout_ = place; }

  // Which tokens of the batch the rows of a layer stand for. Set by WantedRows (autograd/wanted_rows.h), asked by what needs to know where a row stands:
  // attention and dropout.
  void SetTokenRows(TokenRows rows) { token_rows_ = std::move(rows); }
  const TokenRows& token_rows() const { return token_rows_; }

 private:
  ThreadTeam* team_;
  Tape* tape_;
  DType dtype_;
  BufferPool pool_;
  std::vector<std::vector<float>> scratch_;
  Narrow narrow_;
  std::map<const Parameter*, WaitingRows> waiting_;
  std::vector<AdapterRows> adapter_rows_;
  TokenRows token_rows_;
  DropoutPlace dropout_;
  bool records_ = true, recompute_;
  size_t open_sections_ = 0, kept_bytes_ = 0, most_kept_bytes_ = 0;  // kept: by the sections computed again since none was open
  size_t bytes_without_recompute_ = 0;
};

}  // namespace mlac
