#include "autograd/linear.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "autograd/bf16_training.h"
#include "autograd/elementwise.h"
#include "autograd/gemm_parallel.h"
#include "autograd/narrow_linear.h"
#include "base/error.h"
#include "kernels/bf16_gemm.h"
#include "kernels/bf16_pack.h"
#include "kernels/gemm.h"
#include "kernels/instruction_set.h"
#include "kernels/int8_gemm.h"
#include "kernels/vector_ops.h"

// T: rows. K: inputs. N: outputs.
namespace mlac {

// A process that computes one sentence should not write a second copy of the weights; who has more to compute will pass by again.
constexpr size_t kMostRowsUnpacked = 128;

// A layer of so many inputs and outputs is shared out by columns, up to more rows than a smaller one: to read half of such a weight is worth more than to find
// the rows of the operator before in the core's own L2. BERT-base's shape, 1x64, takes 8 to 14 % less with two threads; MiniLM's 1x64 would take 4 % more.
constexpr size_t kLargeLayer = 512, kRowsPerThreadOfLargeLayer = 128;

using kernels::Activation;
using kernels::Layout;

std::shared_ptr<PackedWeight> PackedOf(Parameter& weight) {
  if (!weight.packed) weight.packed = std::make_shared<PackedWeight>();
  return weight.packed;
}

void AddWeightGradient(Run& run, const Tensor& gradient_z, const Tensor& x, Parameter& weight) {
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = gradient_z.dim(1);
  if (rows == 0) return;
  const Tensor packed = PackForGemm(run, x.floats().data(), inputs, Layout::kRows, rows, inputs);
  const Gradient::Target target = weight.gradient.ForProduct();
  const kernels::GemmArguments arguments = {.a = gradient_z.floats().data(), .a_stride = outputs, .packed_b = packed.floats().data(), .num_k = rows,
                                            .num_columns = inputs, .accumulate = target.adds, .c = target.values, .c_stride = inputs};
  constexpr size_t kRowsOfTile = 14;  // less than a tile of rows a thread: panels, although each thread packs all rows then
  ForRowsOrPanels(run, outputs, kRowsOfTile, kernels::NumPanels(inputs),
                  [&](size_t thread, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
                    float* scratch = run.Scratch(thread, kernels::TransposedScratch(rows, row_end - row_begin));
                    kernels::GemmTransposed(arguments, row_begin, row_end, panel_begin, panel_end, scratch);
                  });
}

namespace {

void LinearBackward(Run& run, const Tensor& x, const Tensor& z, Parameter& weight, Parameter* bias, Activation activation, Tensor gradient) {
  const size_t rows = x.dim(0), outputs = weight.value.dim(0);
  if (activation != Activation::kNone) gradient = ActivationGradient(run, z, gradient, activation);
  const bool bf16 = run.dtype() == DType::kBF16;
  if (weight.trainable && !bf16) AddWeightGradient(run, gradient, x, weight);
  if (bias != nullptr && bias->trainable) {
    float* sums = bias->gradient.mutable_floats().data();
    run.ParallelFor(outputs, 16, [&](size_t begin, size_t end, size_t) {
      kernels::AddRows(gradient.floats().data(), rows, outputs, sums, begin, end);
    });
  }
  if (bf16) {
    run.tape()->Accumulate(run, x.tape_id(), Bf16LinearGradients(run, x, gradient, weight));
  } else if (x.tape_id() != 0) {
    run.tape()->Accumulate(run, x.tape_id(), TimesWeight(run, gradient, weight.value));
  }
}

}  // namespace

const PackedWeight::Layout& PackedWeight::Get(Kind kind, const Tensor& weight, const std::function<void(Layout&)>& pack) {
  const auto current = [&](std::memory_order order) { return packed_from_.load(order) == weight.data() && kind_.load(order) == kind; };
  if (current(std::memory_order_acquire)) return layout_;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (current(std::memory_order_relaxed)) return layout_;
  packed_from_.store(nullptr, std::memory_order_relaxed);
  layout_ = {};
  pack(layout_);
  source_ = weight;
  kind_.store(kind, std::memory_order_relaxed);
  packed_from_.store(weight.data(), std::memory_order_release);
  return layout_;
}

namespace {

Tensor PackF32(Run& run, const float* weight, size_t inputs, size_t outputs) {
  Tensor packed = Tensor::UninitializedWeight({kernels::PackedSize(inputs, outputs)});
  float* to = packed.mutable_floats().data();
  run.ParallelFor(kernels::NumPanels(outputs), 1, [&](size_t begin, size_t end, size_t) {
    kernels::PackPanels(weight, inputs, Layout::kTransposed, inputs, outputs, begin, end, to);
  });
  return packed;
}

// A vector filled up with zeros.
Tensor Padded(const Tensor& values, size_t size) {
  Tensor padded = Tensor::Zeros({size});
  std::copy(values.floats().begin(), values.floats().end(), padded.mutable_floats().begin());
  return padded;
}

}  // namespace

const PackedWeight::Layout& PackedWeight::F32(Run& run, const Parameter& weight) {
  return Get(Kind::kF32, weight.value,
             [&](Layout& layout) { layout.values = PackF32(run, weight.value.floats().data(), weight.value.dim(1), weight.value.dim(0)); });
}

const PackedWeight::Layout& PackedWeight::RoundedToBf16(Run& run, const Parameter& weight) {
  return Get(Kind::kRounded, weight.value, [&](Layout& layout) {
    Tensor rounded = Tensor::Uninitialized(weight.value.shape());
    kernels::RoundToBf16(weight.value.floats().data(), rounded.num_elements(), rounded.mutable_floats().data());
    layout.values = PackF32(run, rounded.floats().data(), rounded.dim(1), rounded.dim(0));
  });
}

const PackedWeight::Layout& PackedWeight::Int8(Run& run, const Parameter& weight) {
  return Get(Kind::kInt8, weight.value, [&](Layout& layout) {
    const size_t outputs = weight.value.dim(0), inputs = weight.value.dim(1), panels = kernels::NumInt8Panels(outputs);
    if (inputs > kernels::kInt8MaxK)
      throw Error(ErrorCode::kUnsupported, fmt::format("'{}' has {} inputs; sums of int8 products are exact up to {}", weight.name, inputs,
                                                       kernels::kInt8MaxK));
    layout.values = Tensor::UninitializedWeight({kernels::PackedInt8Size(inputs, outputs)}, DType::kI8);
    layout.sums = Tensor::Uninitialized({panels * kernels::kInt8PanelWidth}, DType::kI32);
    layout.scales = Padded(weight.scale, panels * kernels::kInt8PanelWidth);
    auto* values = reinterpret_cast<int8_t*>(layout.values.mutable_bytes().data());
    auto* sums = reinterpret_cast<int32_t*>(layout.sums.mutable_bytes().data());
    run.ParallelFor(panels, 1, [&](size_t begin, size_t end, size_t) {
      kernels::PackInt8Panels(reinterpret_cast<const int8_t*>(weight.value.data()), inputs, outputs, begin, end, values, sums);
    });
  });
}

const PackedWeight::Layout& PackedWeight::Bf16(Run& run, const Parameter& weight) {
  return Get(Kind::kBf16, weight.value, [&](Layout& layout) {
    const size_t outputs = weight.value.dim(0), inputs = weight.value.dim(1), panels = kernels::NumBf16Panels(outputs);
    layout.values = Tensor::UninitializedWeight({kernels::PackedBf16Size(inputs, outputs)}, DType::kBF16);
    auto* values = reinterpret_cast<kernels::Bf16*>(layout.values.mutable_bytes().data());
    run.ParallelFor(panels, 1, [&](size_t begin, size_t end, size_t) {
      kernels::PackBf16Panels(weight.value.floats().data(), inputs, kernels::Layout::kTransposed, inputs, outputs, begin, end, values);
    });
  });
}

namespace {

LinearProduct PrepareF32(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, Activation activation, PackedWeight& packed_weight) {
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = weight.value.dim(0);
  LinearProduct product = {.y = run.NewTensor({rows, outputs}), .packed = {}, .num_panels = kernels::NumPanels(outputs),
                           .panel_width = kernels::PanelWidth(), .row_grain = 1, .panel_grain = 1, .compute = nullptr};
  if (std::min(inputs, outputs) >= kLargeLayer && CutsIntoPanelsEvenly(run, outputs)) product.rows_per_thread = kRowsPerThreadOfLargeLayer;
  kernels::GemmArguments arguments = {.a = x.floats().data(), .a_stride = inputs, .num_k = inputs, .num_columns = outputs,
                                      .bias = bias == nullptr ? nullptr : bias->value.floats().data(), .c = product.y.mutable_floats().data(),
                                      .c_stride = outputs, .activation = activation};
  const bool changes = weight.trainable, first_use = run.tape() == nullptr && rows <= kMostRowsUnpacked && packed_weight.FirstUse();
  if (first_use || (changes && PacksPanelsInTurn(run, inputs, outputs))) {
    product.row_grain = 0;
    product.compute = [&run, &weight, arguments](size_t thread, size_t, size_t row_end, size_t panel_begin, size_t panel_end) {
      kernels::GemmUnpacked(arguments, weight.value.floats().data(), arguments.num_k, Layout::kTransposed, row_end, panel_begin, panel_end,
                            run.Scratch(thread, kernels::UnpackedScratch(arguments.num_k, panel_end - panel_begin)));
    };
    return product;
  }
  product.packed = changes ? PackForGemm(run, weight.value.floats().data(), inputs, Layout::kTransposed, inputs, outputs)
                           : packed_weight.F32(run, weight).values;
  arguments.packed_b = product.packed.floats().data();
  product.compute = [&run, arguments](size_t thread, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
    GemmOnThread(run, thread, arguments, row_begin, row_end, panel_begin, panel_end);
  };
  return product;
}

}  // namespace

bool PreparesLinear(const Run& run, const Parameter& weight) {
  const bool bf16 = weight.value.dtype() != DType::kI8 && run.dtype() == DType::kBF16;
  return !run.training() && (!bf16 || kernels::Bf16PathInUse() != kernels::Bf16Path::kNone);
}

size_t ColumnGrain(const Run& run, const Parameter& weight) {
  const bool narrow = weight.value.dtype() == DType::kI8 || run.dtype() == DType::kBF16;
  return narrow ? kNarrowPanelGrain * kernels::kInt8PanelWidth : kernels::PanelWidth();
}

LinearProduct PrepareLinear(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, Activation activation, PackedWeight& packed,
                            Reader reader) {
  assert(PreparesLinear(run, weight) && (reader != Reader::kAttention || activation == Activation::kNone));
  if (weight.value.dtype() == DType::kI8) return PrepareInt8(run, x, weight, bias, activation, packed, reader);
  if (run.dtype() == DType::kBF16) return PrepareBf16(run, x, weight, bias, activation, packed, reader);
  return PrepareF32(run, x, weight, bias, activation, packed);
}

bool NarrowForAttention(const Run& run, const Parameter& weight) {
  return !run.training() && (run.dtype() == DType::kBF16 || weight.value.dtype() == DType::kI8);
}

Tensor LinearForward(Run& run, const Tensor& x, Parameter& weight, Parameter* bias, Activation activation, PackedWeight& packed_weight,
                     Reader reader) {
  assert(reader != Reader::kAttention || activation == Activation::kNone);
  if (PreparesLinear(run, weight)) return Computed(run, PrepareLinear(run, x, weight, bias, activation, packed_weight, reader));
  if (!run.training()) return RoundedLinearForward(run, x, weight, bias, activation, packed_weight, reader);
  if (weight.value.dtype() == DType::kI8) throw Error(ErrorCode::kUnsupported, fmt::format("'{}' is int8, which cannot be trained", weight.name));
  const bool bf16 = run.dtype() == DType::kBF16;
  const bool record = run.tape() != nullptr && (x.tape_id() != 0 || weight.trainable || (bias != nullptr && bias->trainable));
  // The backward pass needs z, what goes into the activation; without it f32 applies that to the tile while it is in L1.
  const bool apart = activation != Activation::kNone && (record || bf16);
  const Tensor z = bf16 ? Bf16TrainingProduct(run, x, weight, bias, packed_weight)
                        : Computed(run, PrepareF32(run, x, weight, bias, apart ? Activation::kNone : activation, packed_weight));
  Tensor y = apart ? Activated(run, z, activation) : z;
  if (!record) return y;
  run.tape()->Record(y, [x, z, &weight, bias, activation](Run& run, const Tensor& gradient) {
    LinearBackward(run, x, z, weight, bias, activation, gradient);
  });
  return y;
}

}  // namespace mlac
