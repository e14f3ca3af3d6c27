#pragma once
// Reading what the reference wrote (tests/parity/README.md) and comparing with it.
#include <string>
#include <vector>

#include "tensor/safetensors.h"
#include "tensor/token_batch.h"

namespace mlac::test {

std::string FixturePath(const std::string& name);  // under tests/parity/fixtures
SafetensorsFile OpenFixture(const std::string& name);

// The tensor as doubles, whatever its type.
std::vector<double> Doubles(const SafetensorsFile& file, const std::string& name);
std::vector<int32_t> Integers(const SafetensorsFile& file, const std::string& name);
Offsets ReadOffsets(const SafetensorsFile& file, const std::string& name);
TokenBatch ReadBatch(const SafetensorsFile& file);  // token_ids, token_type_ids (or zeros), offsets

// The largest difference, and the largest absolute value expected.
struct Difference {
  double largest = 0, magnitude = 0;
  bool within(double bound) const;  // bound x max(1, magnitude): the bound of parity
};
Difference Compare(std::span<const float> found, std::span<const double> expected);

}  // namespace mlac::test
