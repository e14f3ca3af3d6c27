#include "kernels/dropout.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace mlac::kernels {

void Dropout(const DropoutKey& key, uint32_t row, uint32_t block, const float* in, float* out, size_t count) {
  const auto threshold = static_cast<uint32_t>(key.probability * 65536.0f + 0.5f);
  const float scale = 65536.0f / static_cast<float>(65536 - std::min<uint32_t>(threshold, 65535));
  for (size_t i = 0; i < count; i += kDropoutBlock, ++block) {
    const std::array<uint32_t, 4> random = Philox(key.seed, {block, row, key.operation, key.step});
    const size_t end = std::min(count, i + kDropoutBlock);
    for (size_t j = i; j < end; ++j) {
      const uint32_t number = random[(j - i) / 2] >> (16 * ((j - i) % 2)) & 0xFFFF;
      out[j] = number < threshold ? 0.0f : in[j] * scale;
    }
  }
}

}  // namespace mlac::kernels
