#include "base/random.h"

namespace mlac {

std::array<uint32_t, 4> Philox(uint64_t key, std::array<uint32_t, 4> counter) {
  uint32_t key0 = static_cast<uint32_t>(key), key1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * counter[0], product1 = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
               static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return counter;
}

uint32_t Random::Next() {
  const size_t lane = position_ % 4;
  if (lane == 0) {
    const uint64_t block = position_ / 4;
    block_ = Philox(seed_, {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), static_cast<uint32_t>(stream_),
                            static_cast<uint32_t>(stream_ >> 32)});
  }
  ++position_;
  return block_[lane];
}

float Random::Uniform() { return static_cast<float>(Next() >> 8) * 0x1p-24f; }

float Random::Normal() {
  float sum = -6.0f;
  for (int i = 0; i < 12; ++i) sum += Uniform();
  return sum;
}

uint64_t Random::Below(uint64_t limit) {
  // Of 2^64 numbers 2^64 mod limit are too many for each remainder to have as many: those, the lowest, are drawn again.
  const uint64_t rejected = (0 - limit) % limit;
  for (;;) {
    const uint64_t high = Next(), number = high << 32 | Next();
    if (number >= rejected) return number % limit;
  }
}

}  // namespace mlac
