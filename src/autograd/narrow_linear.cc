#include "autograd/narrow_linear.h"

#include "autograd/gemm_parallel.h"
#include "autograd/narrow_product.h"
#include "kernels/bf16_gemm.h"
#include "kernels/bf16_pack.h"
#include "kernels/int8_gemm.h"
#include "kernels/quantize.h"

// T: rows. K: inputs. N: outputs.
namespace mlac {
namespace {

constexpr size_t kRowGrain = 16;  // rows of a tile
static_assert(kernels::kInt8PanelWidth == kernels::kBf16PanelWidth);

std::shared_ptr<const NarrowRows> Quantize(Run& run, const Tensor& x) {
  const size_t rows = x.dim(0), size = x.dim(1);
  return run.narrow_inputs().Of(x, DType::kU8, [&](NarrowRows& narrow) {
    narrow.values = run.NewTensor({WholeTiles(rows), kernels::Int8RowBytes(size)}, DType::kU8);
    narrow.scales = run.NewTensor({rows});
    narrow.zeros = run.NewTensor({rows}, DType::kI32);
    uint8_t* values = reinterpret_cast<uint8_t*>(narrow.values.mutable_bytes().data());
    float* scales = narrow.scales.mutable_floats().data();
    auto* zeros = reinterpret_cast<int32_t*>(narrow.zeros.mutable_bytes().data());
    run.ParallelFor(rows, kRoundGrain, [&](size_t begin, size_t end, size_t) {
      kernels::QuantizeRows(x.floats().data() + begin * size, size, end - begin, size, values + begin * kernels::Int8RowBytes(size), scales + begin,
                            zeros + begin);
    });
  });
}

}  // namespace

Tensor RoundedLinearForward(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation,
                            PackedWeight& packed_weight, Reader reader) {
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = weight.value.dim(0);
  const Tensor packed = packed_weight.RoundedToBf16(run, weight).values, rounded = RoundedFloats(run, x);
  Tensor y = run.NewTensor({rows, outputs});
  ParallelGemm(run, {.a = rounded.floats().data(), .a_stride = inputs, .packed_b = packed.floats().data(), .num_k = inputs, .num_columns = outputs,
                     .bias = bias == nullptr ? nullptr : bias->value.floats().data(), .c = y.mutable_floats().data(), .c_stride = outputs,
                     .activation = activation}, rows);
  return reader == Reader::kAttention ? AsBf16(run, y) : y;
}

LinearProduct PrepareInt8(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation, PackedWeight& packed,
                          Reader reader) {
  // A layer that was left in f32 and ran in bf16 may stand before one in int8.
  if (x.dtype() == DType::kBF16) return PrepareInt8(run, x.ToF32(), weight, bias, activation, packed, reader);
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = weight.value.dim(0);
  const PackedWeight::Layout& b = packed.Int8(run, weight);
  const std::shared_ptr<const NarrowRows> a = Quantize(run, x);
  const bool narrow = reader == Reader::kAttention;
  LinearProduct product = {.y = run.NewTensor({rows, outputs}, narrow ? DType::kBF16 : DType::kF32), .packed = {},
                           .num_panels = kernels::NumInt8Panels(outputs), .panel_width = kernels::kInt8PanelWidth, .row_grain = kRowGrain,
                           .panel_grain = kNarrowPanelGrain, .compute = nullptr};
  const kernels::Int8GemmArguments arguments = {.a = reinterpret_cast<const uint8_t*>(a->values.data()),
                                                .a_scales = a->scales.floats().data(),
                                                .a_zeros = reinterpret_cast<const int32_t*>(a->zeros.data()),
                                                .b = {.values = reinterpret_cast<const int8_t*>(b.values.data()),
                                                      .sums = reinterpret_cast<const int32_t*>(b.sums.data()),
                                                      .scales = b.scales.floats().data()},
                                                .num_k = inputs,
                                                .num_columns = outputs,
                                                .bias = bias == nullptr ? nullptr : bias->value.floats().data(),
                                                .c = narrow ? nullptr : product.y.mutable_floats().data(),
                                                .c_bf16 = narrow ? reinterpret_cast<kernels::Bf16*>(product.y.mutable_bytes().data()) : nullptr,
                                                .c_stride = outputs,
                                                .activation = activation};
  product.compute = [a, arguments](size_t, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
    kernels::Int8Gemm(arguments, row_begin, row_end, panel_begin, panel_end);
  };
  return product;
}

LinearProduct PrepareBf16(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation, PackedWeight& packed,
                          Reader reader) {
  const size_t rows = x.dim(0), inputs = weight.value.dim(1), outputs = weight.value.dim(0);
  const PackedWeight::Layout& b = packed.Bf16(run, weight);
  const std::shared_ptr<const NarrowRows> rounded = x.dtype() == DType::kBF16 ? nullptr : RoundedInput(run, x);
  // Rows that a linear layer reads have a tail that nobody fills here.
  const bool narrow = reader == Reader::kAttention || (reader == Reader::kLinear && kernels::Bf16RowSize(outputs) == outputs);
  LinearProduct product = {.y = narrow ? run.NewTensor({WholeTiles(rows), outputs}, DType::kBF16).Rows(0, rows) : run.NewTensor({rows, outputs}),
                           .packed = {}, .num_panels = kernels::NumBf16Panels(outputs), .panel_width = kernels::kBf16PanelWidth, .row_grain = kRowGrain,
                           .panel_grain = kNarrowPanelGrain, .compute = nullptr};
  kernels::Bf16GemmArguments arguments = {.a = reinterpret_cast<const kernels::Bf16*>((rounded == nullptr ? x : rounded->values).data()),
                                          .packed_b = reinterpret_cast<const kernels::Bf16*>(b.values.data()),
                                          .num_k = inputs,
                                          .num_columns = outputs,
                                          .bias = bias == nullptr ? nullptr : bias->value.floats().data(),
                                          .c_stride = outputs,
                                          .activation = activation};
  if (narrow) {
    arguments.c_bf16 = reinterpret_cast<kernels::Bf16*>(product.y.mutable_bytes().data());
  } else {
    arguments.c = product.y.mutable_floats().data();
  }
  product.compute = [rounded, arguments](size_t, size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
    kernels::Bf16Gemm(arguments, row_begin, row_end, panel_begin, panel_end);
  };
  return product;
}

}  // namespace mlac
