#pragma once
// Activation functions, element by element.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mlac::kernels {

enum class Activation { kNone, kGelu, kGeluTanh, kRelu, kTanh };

// out[i] = f(in[i]), i < count; in may be out.
void Activate(Activation activation, const float* in, float* out, size_t count);

// gradient_in[i] = gradient_out[i] f'(in[i]): in is what went into f. gradient_in may be gradient_out.
void ActivateBackward(Activation activation, const float* in, const float* gradient_out, float* gradient_in, size_t count);

}  // namespace mlac::kernels
