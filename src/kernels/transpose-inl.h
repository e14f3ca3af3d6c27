// Swapping rows and columns, in squares of four by four that stay in registers.
#if defined(MLAC_KERNELS_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_TRANSPOSE_INL_H_
#undef MLAC_KERNELS_TRANSPOSE_INL_H_
#else
#define MLAC_KERNELS_TRANSPOSE_INL_H_
#endif

#include <algorithm>

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

inline constexpr size_t kSquare = 4;

HWY_INLINE void TransposeSquare(const float* HWY_RESTRICT in, size_t in_stride, float* HWY_RESTRICT out, size_t out_stride) {
#if HWY_NATIVE_FMA
  const hn::Full128<float> d;
  const auto row0 = hn::LoadU(d, in), row1 = hn::LoadU(d, in + in_stride), row2 = hn::LoadU(d, in + 2 * in_stride),
             row3 = hn::LoadU(d, in + 3 * in_stride);
  const auto low01 = hn::InterleaveLower(d, row0, row1), low23 = hn::InterleaveLower(d, row2, row3);    // columns 0 and 1
  const auto high01 = hn::InterleaveUpper(d, row0, row1), high23 = hn::InterleaveUpper(d, row2, row3);  // columns 2 and 3
  hn::StoreU(hn::ConcatLowerLower(d, low23, low01), d, out);
  hn::StoreU(hn::ConcatUpperUpper(d, low23, low01), d, out + out_stride);
  hn::StoreU(hn::ConcatLowerLower(d, high23, high01), d, out + 2 * out_stride);
  hn::StoreU(hn::ConcatUpperUpper(d, high23, high01), d, out + 3 * out_stride);
#else
  for (size_t i = 0; i < kSquare; ++i)
    for (size_t j = 0; j < kSquare; ++j) out[j * out_stride + i] = in[i * in_stride + j];
#endif
}

// out[j * out_stride + i] = in[i * in_stride + j], i < rows, j < columns.
HWY_INLINE void TransposeOf(const float* in, size_t in_stride, size_t rows, size_t columns, float* out, size_t out_stride) {
  constexpr size_t kRows = 64, kColumns = 16;  // cache lines are read and written whole, and four next to each other in a page
  for (size_t i0 = 0; i0 < rows; i0 += kRows)
    for (size_t j0 = 0; j0 < columns; j0 += kColumns) {
      const size_t i1 = std::min(rows, i0 + kRows), j1 = std::min(columns, j0 + kColumns);
      for (size_t i = i0; i < i1; i += kSquare)
        for (size_t j = j0; j < j1; j += kSquare) {
          if (i + kSquare <= i1 && j + kSquare <= j1) {
            TransposeSquare(in + i * in_stride + j, in_stride, out + j * out_stride + i, out_stride);
            continue;
          }
          for (size_t c = j; c < std::min(j1, j + kSquare); ++c)
            for (size_t r = i; r < std::min(i1, i + kSquare); ++r) out[c * out_stride + r] = in[r * in_stride + c];
        }
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
