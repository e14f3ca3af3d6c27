#include "autograd/dropout_stream.h"

namespace mlac {

void DropoutStream::Begin(uint64_t seed, uint32_t step, uint32_t first_token, uint32_t first_sequence) {
  on_ = true;
  seed_ = seed;
  step_ = step;
  first_token_ = first_token;
  first_sequence_ = first_sequence;
  operation_ = 0;
}

kernels::DropoutKey DropoutStream::Next(float probability) {
  return {.seed = seed_, .step = step_, .operation = operation_++, .probability = probability};
}

}  // namespace mlac
