#pragma once
// One forward pass: where intermediates live, which threads compute, and in training the tape and the random stream.
#include <cstddef>
#include <cstdint>
#include <functional>
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

// Rows of a pass that belong to one of several adapters over a base: those from where the ones before end up to `end`. adapter: the store of its
// model, which only layers look into (nn/layers.h); null: none.
struct AdapterRows {
  size_t end = 0;
  const ParameterStore* adapter = nullptr;
};

struct RunOptions {
  ThreadTeam* team = nullptr;  // nullptr: the calling thread alone
  Tape* tape = nullptr;        // nullptr: inference
  DType dtype = DType::kF32;   // what products of inference are computed in: kF32 or kBF16
};

// Used by one thread at a time; reused from pass to pass, so that memory is found warm.
class Run {
 public:
  explicit Run(RunOptions options = {});

  Tape* tape() const { return tape_; }
  DType dtype() const { return dtype_; }
  Tensor NewTensor(Shape shape, DType dtype = DType::kF32) { return pool_.NewTensor(std::move(shape), dtype); }

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

  // Which adapters the rows of the encoder's layers have; none: those of the model that is run. In inference.
  void SetAdapterRows(std::vector<AdapterRows> rows) { adapter_rows_ = std::move(rows); }
  std::span<const AdapterRows> adapter_rows() const { return adapter_rows_; }

  // Dropout. Begin a pass: where this batch begins in the whole batch, in tokens and in sequences, so that a batch computed in parts drops
  // the same elements. Each dropout of the model then takes the next operation number.
  void BeginDropout(uint64_t seed, uint32_t step, uint32_t first_token, uint32_t first_sequence);
  void EndDropout() { dropout_on_ = false; }
  bool dropout_on() const { return dropout_on_; }
  kernels::DropoutKey NextDropout(float probability);
  uint32_t first_token() const { return first_token_; }
  uint32_t first_sequence() const { return first_sequence_; }

  // The tokens of this batch that the rows of a layer stand for, rising; null: all of them. Set by WantedRows (autograd/wanted_rows.h), asked by what
  // needs to know where a row stands: attention and dropout.
  using TokenRows = std::shared_ptr<const std::vector<uint32_t>>;
  void SetTokenRows(TokenRows rows) { token_rows_ = std::move(rows); }
  const TokenRows& token_rows() const { return token_rows_; }

 private:
  ThreadTeam* team_;
  Tape* tape_;
  DType dtype_;
  BufferPool pool_;
  std::vector<std::vector<float>> scratch_;
  Narrow narrow_;
  std::vector<AdapterRows> adapter_rows_;
  TokenRows token_rows_;
  bool dropout_on_ = false;
  uint64_t seed_ = 0;
  uint32_t step_ = 0, first_token_ = 0, first_sequence_ = 0, next_operation_ = 0;
};

}  // namespace mlac
