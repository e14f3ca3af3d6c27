// exp, GELU, tanh and their derivatives on sixteen lanes: one polynomial each, the same on every instruction set.
#if defined(MLAC_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MLAC_KERNELS_MATH_INL_H_
#undef MLAC_KERNELS_MATH_INL_H_
#else
#define MLAC_KERNELS_MATH_INL_H_
#endif

#include "kernels/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace mlac::kernels {
namespace HWY_NAMESPACE {

// exp(x), relative error 8e-8; x is clamped to [-87, 88], so that neither denormals nor infinities appear.
// x = n ln 2 + r with |r| <= ln 2 / 2; a polynomial of degree 6 in r (weighted least squares on Chebyshev points), times 2^n.
HWY_INLINE Lanes Exp(Lanes x) {
  constexpr float kLog2E = 1.44269504f, kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;
  x = Min(Set(88.0f), Max(Set(-87.0f), x));  // in this order NaN passes
  const Lanes n = Round(x * Set(kLog2E));
  const Lanes r = MulAdd(n, Set(-kLn2Low), MulAdd(n, Set(-kLn2High), x));
  Lanes p = Set(1.383684003e-03f);
  p = MulAdd(p, r, Set(8.374817307e-03f));
  p = MulAdd(p, r, Set(4.166822576e-02f));
  p = MulAdd(p, r, Set(1.666642015e-01f));
  p = MulAdd(p, r, Set(4.999999208e-01f));
  p = MulAdd(p, r, Set(1.000000036e+00f));
  p = MulAdd(p, r, Set(1.000000001e+00f));
  return p * PowerOfTwo(n);
}

// 2^x for x <= 0, for results that are rounded to bf16 next: relative error 8e-5, and 2^-31 for all below. x = n + r with |r| <= 1/2; a polynomial of degree
// 3 in r (least squares, weighted until the relative error was even), times 2^n. Adding kExponentBits is what rounds to n.
HWY_INLINE Lanes PowerOfTwoShort(const Lanes& x) {
  const Lanes y = Max(Set(-31.0f), x);  // in this order NaN passes
  const Lanes biased = y + Set(kExponentBits), r = y - (biased - Set(kExponentBits));
  const Lanes p = MulAdd(MulAdd(MulAdd(Set(5.517165363e-02f), r, Set(2.426111400e-01f)), r, Set(6.932609677e-01f)), r, Set(9.999280572e-01f));
  return p * ShiftIntoExponent(biased);
}

// The distribution function of the standard normal, absolute error 2.5e-7 (beyond +-5.25 it is 1 or 0 within that).
// Phi(x) = 0.5 + t P(u), t = x clamped to +-5.25, u = t^2 / 13.78125 - 1 in [-1, 1]: a polynomial in t^2 itself loses four digits in f32.
// P has degree 14; even and odd powers run as two chains.
HWY_INLINE Lanes NormalDistribution(const Lanes& x) {
  constexpr float kClamp = 5.25f;
  constexpr float kP[15] = {1.346593499e-01f,  -6.712677330e-02f, 4.964567721e-02f,  -3.976487741e-02f, 3.203397617e-02f,
                            -2.502757870e-02f, 1.851774566e-02f,  -1.283446047e-02f, 8.496108465e-03f,  -5.331698805e-03f,
                            2.747166669e-03f,  -1.148680225e-03f, 7.948497660e-04f,  -6.178122712e-04f, 1.950912556e-04f};
  const Lanes t = Max(Min(x, Set(kClamp)), Set(-kClamp));
  const Lanes u = MulAdd(t * t, Set(7.256235828e-02f), Set(-1.0f));
  const Lanes square = u * u;
  Lanes even = Set(kP[14]), odd = Set(kP[13]);
  for (int i = 12; i >= 0; i -= 2) even = MulAdd(even, square, Set(kP[i]));
  for (int i = 11; i >= 1; i -= 2) odd = MulAdd(odd, square, Set(kP[i]));
  return MulAdd(t, MulAdd(odd, u, even), Set(0.5f));
}

// GELU: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415: x Phi(x). Absolute error 1.3e-6, relative 2e-7 for large x. The factor x
// is held above -5.25 too, or what is left of Phi there would be multiplied up.
HWY_INLINE Lanes Gelu(const Lanes& x) { return Max(Set(-5.25f), x) * NormalDistribution(x); }

// GELU for results that are rounded to 8 or 16 bits next: degree 8, absolute error 3e-5 below 4.25 and relative 7e-6 above;
// behind a product a quarter cheaper.
HWY_INLINE Lanes GeluShort(const Lanes& x) {
  constexpr float kClamp = 4.25f;
  constexpr float kP[9] = {1.659348976e-01f,  -8.077755210e-02f, 5.573306751e-02f,  -3.916523057e-02f, 2.532262973e-02f,
                           -1.461644542e-02f, 9.229425693e-03f,  -6.027655303e-03f, 2.012290977e-03f};
  const Lanes t = Max(Min(x, Set(kClamp)), Set(-kClamp));
  const Lanes u = MulAdd(t * t, Set(1.107266436e-01f), Set(-1.0f));
  const Lanes square = u * u;
  Lanes even = Set(kP[8]), odd = Set(kP[7]);
  for (int i = 6; i >= 0; i -= 2) even = MulAdd(even, square, Set(kP[i]));
  for (int i = 5; i >= 1; i -= 2) odd = MulAdd(odd, square, Set(kP[i]));
  return Max(Set(-kClamp), x) * MulAdd(t, MulAdd(odd, u, even), Set(0.5f));
}

// Phi(x) + x phi(x), phi the density of the standard normal.
HWY_INLINE Lanes GeluDerivative(const Lanes& x) {
  constexpr float kInverseSqrtTwoPi = 0.398942280f;
  const Lanes density = Exp(x * x * Set(-0.5f)) * Set(kInverseSqrtTwoPi);
  return MulAdd(x, density, NormalDistribution(x));
}

// tanh: below 0.625 the odd polynomial of Cephes (tanhf.c, Moshier 1987), above 1 - 2 / (exp(2|x|) + 1); relative error 2e-7.
HWY_INLINE Lanes Tanh(const Lanes& x) {
  const Lanes magnitude = Abs(x), square = x * x;
  Lanes p = Set(-5.70498872745e-3f);
  p = MulAdd(p, square, Set(2.06390887954e-2f));
  p = MulAdd(p, square, Set(-5.37397155531e-2f));
  p = MulAdd(p, square, Set(1.33314422036e-1f));
  p = MulAdd(p, square, Set(-3.33332819422e-1f));
  const Lanes small = MulAdd(p * square, x, x);
  const Lanes large = CopySign(Set(1.0f) - Set(2.0f) / (Exp(magnitude + magnitude) + Set(1.0f)), x);
  return SelectLess(magnitude, Set(0.625f), small, large);
}

// GELU's approximation by tanh, "gelu_new" of transformers: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
HWY_INLINE Lanes GeluTanhInner(const Lanes& x) { return Set(0.797884561f) * MulAdd(Set(0.044715f) * (x * x), x, x); }
HWY_INLINE Lanes GeluTanh(const Lanes& x) { return Set(0.5f) * x * (Set(1.0f) + Tanh(GeluTanhInner(x))); }
HWY_INLINE Lanes GeluTanhDerivative(const Lanes& x) {
  const Lanes t = Tanh(GeluTanhInner(x));
  const Lanes inner_derivative = Set(0.797884561f) * MulAdd(Set(3.0f * 0.044715f), x * x, Set(1.0f));
  return MulAdd(Set(0.5f) * x * (Set(1.0f) - t * t), inner_derivative, Set(0.5f) * (Set(1.0f) + t));
}

}  // namespace HWY_NAMESPACE
}  // namespace mlac::kernels
HWY_AFTER_NAMESPACE();

#endif
