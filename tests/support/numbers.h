#pragma once
// What the numeric tests share.
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mlac::test {

// Uniform in [-1, 1), the same on every machine.
std::vector<float> RandomFloats(size_t count, uint64_t seed);

bool SameBits(std::span<const float> a, std::span<const float> b);

// Calls body once for each instruction set that the machine has, with that set in use; then the widest is in use again.
void ForEachInstructionSet(const std::function<void(std::string_view name)>& body);

// The same for each value of MLAC_ISA that makes a difference here: AVX-VNNI and AMX too, which only products of int8 and bf16 use.
void ForEachBound(const std::function<void(std::string_view bound)>& body);

// Zeroed memory, aligned to 64 bytes as packed weights are.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size);
  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::unique_ptr<std::byte, Free> memory_;
};

// FNV-1a over the bytes: what committed hashes of results are made with.
uint64_t HashOfBits(std::span<const float> values);

}  // namespace mlac::test
