#pragma once
// Random numbers that are the same on every machine: counter-based, so the n-th number of a stream is known without the ones before.
// Philox4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", https://doi.org/10.1145/2063384.2063405.
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mlac {

// Four 32-bit numbers that depend on key and counter alone.
std::array<uint32_t, 4> Philox(uint64_t key, std::array<uint32_t, 4> counter);

// A stream of numbers under (seed, stream). Distinct stream numbers give independent streams of one seed.
class Random {
 public:
  explicit Random(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  uint32_t Next();
  float Uniform();                  // [0, 1), in steps of 2^-24
  float Normal();                   // mean 0, deviation 1: the sum of 12 uniforms less 6, so that no libm function is needed
  uint64_t Below(uint64_t limit);   // [0, limit), without bias; limit > 0

 private:
  uint64_t seed_, stream_, position_ = 0;
  std::array<uint32_t, 4> block_ = {};
};

// Fisher-Yates, in place; the same order on every machine for the same stream.
template <typename T>
void Shuffle(std::span<T> items, Random& random) {
  for (size_t i = items.size(); i > 1; --i) {
    const size_t j = random.Below(i);
    T item = items[i - 1];
    items[i - 1] = items[j];
    items[j] = item;
  }
}

}  // namespace mlac
