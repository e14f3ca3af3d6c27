#pragma once
// Logarithm and exponential in double precision, from basic arithmetic alone: libm's differ between machines in the last bit. For losses and figures,
// a number at a time; those of whole rows are in math-inl.h.

namespace mlac::kernels {

// The natural logarithm, within 1e-15 of it. x: above 0 and normal. NaN and infinity give themselves.
double Log(double x);

// e to the power of x, within 1e-15 of it relative to it; infinity above 709, 0 below -708, NaN of NaN.
double Exp(double x);

}  // namespace mlac::kernels
