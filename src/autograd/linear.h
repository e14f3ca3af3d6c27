#pragma once
// y = activation(x W^T + b), one entry on the tape.
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>

#include "autograd/parameter.h"
#include "autograd/run.h"
#include "kernels/activation.h"

namespace mlac {

// A weight packed for the kernels of inference: once, at its first use, and again when it has got another tensor, as training gives it.
class PackedWeight {
 public:
  // weight: [outputs, inputs]. Safe to call from several threads, as long as nobody changes the weight.
  const Tensor& Get(Run& run, const Parameter& weight);

 private:
  std::mutex mutex_;
  std::atomic<const std::byte*> packed_from_ = nullptr;
  Tensor packed_, source_;  // source_: holds the memory at packed_from_, so that no other tensor can get that address
};

// x: [rows, inputs]; weight: [outputs, inputs]; bias: [outputs] or nullptr. Returns [rows, outputs].
Tensor LinearForward(Run& run, const Tensor& x, Parameter& weight, Parameter* bias, kernels::Activation activation, PackedWeight& packed);

}  // namespace mlac
