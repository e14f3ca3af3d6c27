#include "autograd/bf16_training.h"

#include <algorithm>
#include <cstring>

#include "autograd/gemm_parallel.h"
#include "autograd/linear_product.h"
#include "autograd/narrow_product.h"
#include "kernels/bf16_gemm.h"
#include "kernels/bf16_pack.h"
#include "kernels/instruction_set.h"

namespace mlac {
namespace {

using kernels::Bf16;
using kernels::Layout;

// Rows whose products are summed up before the gradient is read and written: a multiple of what AMX takes at once. Fewer cost passes over
// the gradient, more cost memory while they wait.
constexpr size_t kBlockRows = 128;
constexpr size_t kBlocksAtOnce = 8;   // whose operands are in memory together
constexpr size_t kPanelsAtOnce = 16;  // of the gradient's columns, which stay in L2 while the blocks pass

Bf16* Values(Tensor& tensor) { return reinterpret_cast<Bf16*>(tensor.mutable_bytes().data()); }
const Bf16* Values(const Tensor& tensor) { return reinterpret_cast<const Bf16*>(tensor.data()); }

bool HasProducts() { return kernels::Bf16PathInUse() != kernels::Bf16Path::kNone; }

// Without bf16 instructions: rounded values, f32 products.
Tensor RoundedProduct(Run& run, const Tensor& a, const Tensor& weight, Layout layout, const Parameter* bias) {
  const size_t num_k = a.dim(1), columns = weight.dim(layout == Layout::kTransposed ? 0 : 1);
  const Tensor b = RoundedFloats(run, weight), packed = PackForGemm(run, b.floats().data(), weight.dim(1), layout, num_k, columns);
  Tensor c = run.NewTensor({a.dim(0), columns});
  ParallelGemm(run,
               {.a = a.floats().data(),
                .a_stride = num_k,
                .packed_b = packed.floats().data(),
                .num_k = num_k,
                .num_columns = columns,
                .bias = bias == nullptr ? nullptr : bias->value.floats().data(),
                .c = c.mutable_floats().data(),
                .c_stride = columns},
               a.dim(0));
  return c;
}

Tensor PackForBf16(Run& run, const Tensor& weight, Layout layout) {
  const size_t stride = weight.dim(1), num_k = weight.dim(layout == Layout::kTransposed ? 1 : 0),
               columns = weight.dim(layout == Layout::kTransposed ? 0 : 1);
  Tensor packed = run.NewTensor({kernels::PackedBf16Size(num_k, columns)}, DType::kBF16);
  run.ParallelFor(kernels::NumBf16Panels(columns), 2, [&](size_t begin, size_t end, size_t) {
    kernels::PackBf16Panels(weight.floats().data(), stride, layout, num_k, columns, begin, end, Values(packed));
  });
  return packed;
}

// Calls product(row_begin, row_end, panel_begin, panel_end) for parts of C. Threads take rows where there are many, else columns, so that
// each streams its part of the weight alone.
void CutProduct(Run& run, size_t rows, size_t panels, const std::function<void(size_t, size_t, size_t, size_t)>& product);
void CutProduct(Run& run, size_t rows, size_t panels, const std::function<void(size_t, size_t, size_t, size_t)>& product) {
  constexpr size_t kTileRows = 16, kPanels = 4;  // a tile of A meets four of B
  if (rows >= kRowsPerThread * run.num_threads()) {
    run.ParallelFor(rows, kTileRows, [&](size_t begin, size_t end, size_t) { product(begin, end, 0, panels); });
  } else {
    run.ParallelFor(panels, kPanels, [&](size_t begin, size_t end, size_t) { product(0, rows, begin, end); });
  }
}

void Product(Run& run, const kernels::Bf16GemmArguments& arguments, size_t rows) {
  CutProduct(run, rows, kernels::NumBf16Panels(arguments.num_columns),
             [&](size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
               kernels::Bf16Gemm(arguments, row_begin, row_end, panel_begin, panel_end);
             });
}

// weight's gradient += dZ^T X of some rows, rounded: blocks from the first row on, each summed by itself.
void AddBlocks(Run& run, const Bf16* gradient_z, const Bf16* x, size_t rows, Parameter& weight) {
  const size_t outputs = weight.value.dim(0), inputs = weight.value.dim(1), panels = kernels::NumBf16Panels(inputs);
  const size_t gradient_stride = kernels::Bf16RowSize(outputs), x_stride = kernels::Bf16RowSize(inputs);
  const size_t blocks = (rows + kBlockRows - 1) / kBlockRows, transposed_size = WholeTiles(outputs) * kBlockRows;
  const size_t packed_size = kernels::PackedBf16Size(kBlockRows, inputs);
  Tensor transposed = run.NewTensor({blocks, transposed_size}, DType::kBF16), packed = run.NewTensor({blocks, packed_size}, DType::kBF16);
  Bf16 *a = Values(transposed), *b = Values(packed);
  const auto rows_of = [&](size_t block) { return std::min(kBlockRows, rows - block * kBlockRows); };
  run.ParallelFor(outputs, 32, [&](size_t begin, size_t end, size_t) {
    for (size_t block = 0; block < blocks; ++block)
      kernels::TransposeBf16(gradient_z + block * kBlockRows * gradient_stride, gradient_stride, rows_of(block), begin, end,
                             a + block * transposed_size);
  });
  run.ParallelFor(panels, 2, [&](size_t begin, size_t end, size_t) {
    for (size_t block = 0; block < blocks; ++block)
      kernels::PackBf16Panels(x + block * kBlockRows * x_stride, x_stride, rows_of(block), inputs, begin, end, b + block * packed_size);
  });
  const Gradient::Target target = weight.gradient.ForProduct();
  CutProduct(run, outputs, panels, [&](size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
    for (size_t panel = panel_begin; panel < panel_end; panel += kPanelsAtOnce)
      for (size_t block = 0; block < blocks; ++block)
        kernels::Bf16Gemm({.a = a + block * transposed_size,
                           .packed_b = b + block * packed_size,
                           .num_k = rows_of(block),
                           .num_columns = inputs,
                           .accumulate = target.adds || block > 0,
                           .c = target.values,
                           .c_stride = inputs},
                          row_begin, row_end, panel, std::min(panel_end, panel + kPanelsAtOnce));
  });
}

// Whole blocks at once, and the rest until there are rows to fill its block.
void AddRowsOf(Run& run, const Bf16* gradient_z, const Bf16* x, size_t rows, Parameter& weight) {
  const size_t gradient_stride = kernels::Bf16RowSize(weight.value.dim(0)), x_stride = kernels::Bf16RowSize(weight.value.dim(1));
  WaitingRows::Rows& waiting = run.waiting_rows().Of(weight);
  const auto wait = [&](size_t count) {
    if (count == 0) return;
    if (!waiting.gradient.defined()) {
      waiting.gradient = run.NewTensor({kBlockRows, gradient_stride}, DType::kBF16);
      waiting.input = run.NewTensor({kBlockRows, x_stride}, DType::kBF16);
    }
    std::memcpy(Values(waiting.gradient) + waiting.count * gradient_stride, gradient_z, count * gradient_stride * sizeof(Bf16));
    std::memcpy(Values(waiting.input) + waiting.count * x_stride, x, count * x_stride * sizeof(Bf16));
    waiting.count += count;
  };
  const auto skip = [&](size_t count) { gradient_z += count * gradient_stride, x += count * x_stride, rows -= count; };
  if (waiting.count > 0) {
    const size_t count = std::min(rows, kBlockRows - waiting.count);
    wait(count);
    skip(count);
    if (waiting.count == kBlockRows) FinishWeightGradient(run, weight);
  }
  while (rows >= kBlockRows) {
    const size_t count = std::min(rows / kBlockRows, kBlocksAtOnce) * kBlockRows;
    AddBlocks(run, gradient_z, x, count, weight);
    skip(count);
  }
  wait(rows);
}

}  // namespace

Tensor Bf16TrainingProduct(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, PackedWeight& packed_weight) {
  if (!HasProducts()) return RoundedProduct(run, RoundedFloats(run, x), weight.value, Layout::kTransposed, bias);
  const size_t rows = x.dim(0), inputs = weight.value.dim(1), outputs = weight.value.dim(0);
  const Tensor packed = weight.trainable ? PackForBf16(run, weight.value, Layout::kTransposed) : packed_weight.Bf16(run, weight).values;
  const auto rounded = RoundedInput(run, x);
  Tensor z = run.NewTensor({rows, outputs});
  Product(run,
          {.a = Values(rounded->values),
           .packed_b = Values(packed),
           .num_k = inputs,
           .num_columns = outputs,
           .bias = bias == nullptr ? nullptr : bias->value.floats().data(),
           .c = z.mutable_floats().data(),
           .c_stride = outputs},
          rows);
  return z;
}

Tensor Bf16LinearGradients(Run& run, const Tensor& x, const Tensor& gradient_z, Parameter& weight) {
  const size_t rows = x.dim(0), inputs = weight.value.dim(1), outputs = weight.value.dim(0);
  if (!HasProducts()) {
    const Tensor rounded = RoundedFloats(run, gradient_z);
    if (weight.trainable) AddWeightGradient(run, rounded, RoundedFloats(run, x), weight);
    return x.tape_id() == 0 ? Tensor() : RoundedProduct(run, rounded, weight.value, Layout::kRows, nullptr);
  }
  Tensor rounded;
  RoundRows(run, gradient_z, rounded);
  if (weight.trainable) AddRowsOf(run, Values(rounded), Values(RoundedInput(run, x)->values), rows, weight);
  if (x.tape_id() == 0) return {};
  const Tensor packed = PackForBf16(run, weight.value, Layout::kRows);
  Tensor gradient_x = run.NewTensor({rows, inputs});
  Product(run,
          {.a = Values(rounded),
           .packed_b = Values(packed),
           .num_k = outputs,
           .num_columns = inputs,
           .c = gradient_x.mutable_floats().data(),
           .c_stride = inputs},
          rows);
  return gradient_x;
}

void FinishWeightGradient(Run& run, Parameter& weight) {
  WaitingRows::Rows& waiting = run.waiting_rows().Of(weight);
  if (waiting.count > 0) AddBlocks(run, Values(waiting.gradient), Values(waiting.input), waiting.count, weight);
  waiting = {};
}

}  // namespace mlac
