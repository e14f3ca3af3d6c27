#include "tests/support/numbers.h"

#include <cstdlib>

#include "base/random.h"
#include "kernels/instruction_set.h"

namespace mlac::test {

std::vector<float> RandomFloats(size_t count, uint64_t seed) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = random.Uniform() * 2 - 1;
  return values;
}

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

void ForEachInstructionSet(const std::function<void(std::string_view)>& body) {
  for (const std::string& name : kernels::AvailableInstructionSets()) {
    kernels::UseInstructionSet(name);
    body(name);
  }
  kernels::UseInstructionSet("");
}

void ForEachBound(const std::function<void(std::string_view)>& body) {
  for (const std::string& bound : kernels::AvailableBounds()) {
    kernels::UseInstructionSet(bound);
    body(bound);
  }
  kernels::UseInstructionSet("");
}

AlignedBytes::AlignedBytes(size_t size) : memory_(static_cast<std::byte*>(std::aligned_alloc(64, (size + 63) / 64 * 64))) {
  std::memset(memory_.get(), 0, size);
}

void AlignedBytes::Free::operator()(std::byte* memory) const { std::free(memory); }

uint64_t HashOfBits(std::span<const float> values) {
  uint64_t hash = 14695981039346656037u;
  for (const std::byte byte : std::as_bytes(values)) hash = (hash ^ static_cast<uint64_t>(byte)) * 1099511628211u;
  return hash;
}

}  // namespace mlac::test
