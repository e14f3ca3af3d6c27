#pragma once
// y = activation(x W^T + b), one entry on the tape. In inference W may be int8; products may be of bf16.
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>

#include "autograd/linear_product.h"
#include "autograd/parameter.h"
#include "autograd/run.h"
#include "kernels/activation.h"

namespace mlac {

// A weight packed for the kernels of inference: when it is used with many rows or for the second time, and again when it has got another
// tensor, as training gives it. A process that computes one short text never writes a packed copy, which would be most of its time and
// memory. Safe to use from several threads, as long as nobody changes the weight and all ask for one kind. One layout at a time: that of
// the last kind asked for. It holds nothing of a layer but its weight, because layers with biases of their own may share one: a decoder
// over a base's embeddings.
class PackedWeight {
 public:
  struct Layout {
    Tensor values;
    Tensor scales;  // int8: of the columns, filled up to whole panels
    Tensor sums;    // int8: of the columns, I32, likewise
  };

  // True once, while the weight is not packed as f32: the caller may multiply by it as it is.
  bool FirstUse() { return packed_from_.load(std::memory_order_acquire) == nullptr && !used_.exchange(true); }

  // weight: [outputs, inputs], f32, but I8 with a scale an output for Int8, which throws kUnsupported above kernels::kInt8MaxK inputs.
  const Layout& F32(Run& run, const Parameter& weight);
  const Layout& Int8(Run& run, const Parameter& weight);
  const Layout& Bf16(Run& run, const Parameter& weight);
  // F32 of the weight rounded to bf16, for machines without bf16 products.
  const Layout& RoundedToBf16(Run& run, const Parameter& weight);

 private:
  enum class Kind { kNone, kF32, kInt8, kBf16, kRounded };
  const Layout& Get(Kind kind, const Tensor& weight, const std::function<void(Layout&)>& pack);

  std::atomic<bool> used_ = false;
  std::mutex mutex_;
  std::atomic<const std::byte*> packed_from_ = nullptr;
  std::atomic<Kind> kind_ = Kind::kNone;
  Layout layout_;
  Tensor source_;  // holds the memory at packed_from_, so that no other tensor can get that address
};

// The weight's own, made at the first call. Not safe to call from several threads.
std::shared_ptr<PackedWeight> PackedOf(Parameter& weight);

// gradient of weight [N, K] += dZ^T X, dZ [rows, N], X [rows, K]: chains over rising rows that go on from what the gradient holds, so a batch computed
// in parts gives the bits of the whole.
void AddWeightGradient(Run& run, const Tensor& gradient_z, const Tensor& x, Parameter& weight);

// What reads a layer's result, and so in which type it comes: where its reader would round it to bf16, it is written so, half of the memory traffic.
enum class Reader {
  kAny,        // f32
  kLinear,     // bf16 where the run computes in bf16 and learns nothing
  kAttention,  // bf16 there, and where the weight is int8
};

// x: [rows, inputs]; weight: [outputs, inputs]; bias: [outputs] or nullptr. Returns [rows, outputs], f32 or bf16 (Reader); for attention without an
// activation (asserted). Throws kUnsupported where an int8 weight would need a gradient.
Tensor LinearForward(Run& run, const Tensor& x, Parameter& weight, Parameter* bias, kernels::Activation activation, PackedWeight& packed,
                     Reader reader = Reader::kAny);

// LinearForward that is not computed yet, and that nothing records. Where PreparesLinear says so.
LinearProduct PrepareLinear(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation, PackedWeight& packed,
                            Reader reader);
// In inference, but where f32 products of rounded numbers stand in for bf16.
bool PreparesLinear(const Run& run, const Parameter& weight);
// Columns of its product that are not parted: panel_grain panels.
size_t ColumnGrain(const Run& run, const Parameter& weight);

// Whether a result of this weight comes in bf16 for attention.
bool NarrowForAttention(const Run& run, const Parameter& weight);

}  // namespace mlac
