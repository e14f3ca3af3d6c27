#include "autograd/narrow_linear.h"

#include "autograd/gemm_parallel.h"
#include "autograd/narrow_product.h"
#include "kernels/bf16_gemm.h"
#include "kernels/bf16_pack.h"
#include "kernels/instruction_set.h"
#include "kernels/int8_gemm.h"
#include "kernels/quantize.h"

// T: rows. K: inputs. N: outputs.
namespace mlac {
namespace {

struct QuantizedInput {
  const uint8_t* values;
  const float* scales;
  const int32_t* zeros;
};

QuantizedInput Quantize(Run& run, const Tensor& x) {
  const size_t rows = x.dim(0), size = x.dim(1);
  const auto& made = run.narrow_inputs().Of(x, DType::kU8, [&](NarrowRows& narrow) {
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
  return {reinterpret_cast<const uint8_t*>(made.values.data()), made.scales.floats().data(),
          reinterpret_cast<const int32_t*>(made.zeros.data())};
}

const kernels::Bf16* Round(Run& run, const Tensor& x) {
  return x.dtype() == DType::kBF16 ? reinterpret_cast<const kernels::Bf16*>(x.data()) : RoundedInput(run, x);
}

// Without bf16 instructions: rounded values, f32 products.
Tensor RoundedLinearForward(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation,
                            PackedWeight& packed_weight) {
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = weight.value.dim(0);
  const Tensor packed = packed_weight.RoundedToBf16(run, weight).values, rounded = RoundedFloats(run, x);
  Tensor y = run.NewTensor({rows, outputs});
  ParallelGemm(run, {.a = rounded.floats().data(), .a_stride = inputs, .packed_b = packed.floats().data(), .num_k = inputs, .num_columns = outputs,
                     .bias = bias == nullptr ? nullptr : bias->value.floats().data(), .c = y.mutable_floats().data(), .c_stride = outputs,
                     .activation = activation}, rows);
  return y;
}

}  // namespace

Tensor Int8LinearForward(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation,
                         PackedWeight& packed, Reader reader) {
  // A layer that was left in f32 and ran in bf16 may stand before one in int8.
  if (x.dtype() == DType::kBF16) return Int8LinearForward(run, x.ToF32(), weight, bias, activation, packed, reader);
  const size_t rows = x.dim(0), inputs = x.dim(1), outputs = weight.value.dim(0);
  const PackedWeight::Layout& b = packed.Int8(run, weight);
  const QuantizedInput a = Quantize(run, x);
  const bool narrow = reader == Reader::kAttention;
  Tensor y = run.NewTensor({rows, outputs}, narrow ? DType::kBF16 : DType::kF32);
  const kernels::Int8GemmArguments arguments = {.a = a.values,
                                                .a_scales = a.scales,
                                                .a_zeros = a.zeros,
                                                .b = {.values = reinterpret_cast<const int8_t*>(b.values.data()),
                                                      .sums = reinterpret_cast<const int32_t*>(b.sums.data()),
                                                      .scales = b.scales.floats().data()},
                                                .num_k = inputs,
                                                .num_columns = outputs,
                                                .bias = bias == nullptr ? nullptr : bias->value.floats().data(),
                                                .c = narrow ? nullptr : y.mutable_floats().data(),
                                                .c_bf16 = narrow ? reinterpret_cast<kernels::Bf16*>(y.mutable_bytes().data()) : nullptr,
                                                .c_stride = outputs,
                                                .activation = activation};
  CutProduct(run, rows, kernels::NumInt8Panels(outputs), [&](size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
    kernels::Int8Gemm(arguments, row_begin, row_end, panel_begin, panel_end);
  });
  return y;
}

Tensor Bf16LinearForward(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, kernels::Activation activation,
                         PackedWeight& packed, Reader reader) {
  if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone) {
    const Tensor y = RoundedLinearForward(run, x, weight, bias, activation, packed);
    return reader == Reader::kAttention ? AsBf16(run, y) : y;
  }
  const size_t rows = x.dim(0), inputs = weight.value.dim(1), outputs = weight.value.dim(0);
  const PackedWeight::Layout& b = packed.Bf16(run, weight);
  const kernels::Bf16* a = Round(run, x);
  // Rows that a linear layer reads have a tail that nobody fills here.
  const bool narrow = reader == Reader::kAttention || (reader == Reader::kLinear && kernels::Bf16RowSize(outputs) == outputs);
  Tensor y = narrow ? run.NewTensor({WholeTiles(rows), outputs}, DType::kBF16).Rows(0, rows) : run.NewTensor({rows, outputs});
  kernels::Bf16GemmArguments arguments = {.a = a,
                                          .packed_b = reinterpret_cast<const kernels::Bf16*>(b.values.data()),
                                          .num_k = inputs,
                                          .num_columns = outputs,
                                          .bias = bias == nullptr ? nullptr : bias->value.floats().data(),
                                          .c_stride = outputs,
                                          .activation = activation};
  if (narrow) {
    arguments.c_bf16 = reinterpret_cast<kernels::Bf16*>(y.mutable_bytes().data());
  } else {
    arguments.c = y.mutable_floats().data();
  }
  CutProduct(run, rows, kernels::NumBf16Panels(outputs), [&](size_t row_begin, size_t row_end, size_t panel_begin, size_t panel_end) {
    kernels::Bf16Gemm(arguments, row_begin, row_end, panel_begin, panel_end);
  });
  return y;
}

}  // namespace mlac
