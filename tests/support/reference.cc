#include "tests/support/reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

namespace mlac::test {

std::string FixturePath(const std::string& name) { return std::string(MLAC_TEST_FIXTURES) + "/" + name; }

SafetensorsFile OpenFixture(const std::string& name) { return SafetensorsFile(std::make_shared<const MappedFile>(FixturePath(name))); }

std::vector<double> Doubles(const SafetensorsFile& file, const std::string& name) {
  const Tensor tensor = file.Get(name);
  std::vector<double> values(tensor.num_elements());
  if (tensor.dtype() == DType::kF64) {
    if (!values.empty()) std::memcpy(values.data(), tensor.data(), values.size() * sizeof(double));
  } else {
    const Tensor floats = tensor.ToF32();
    std::copy(floats.floats().begin(), floats.floats().end(), values.begin());
  }
  return values;
}

std::vector<int32_t> Integers(const SafetensorsFile& file, const std::string& name) {
  std::vector<int32_t> values;
  for (const double value : Doubles(file, name)) values.push_back(static_cast<int32_t>(value));
  return values;
}

Offsets ReadOffsets(const SafetensorsFile& file, const std::string& name) {
  Offsets offsets;
  for (const int32_t offset : Integers(file, name)) offsets.push_back(static_cast<size_t>(offset));
  return offsets;
}

TokenBatch ReadBatch(const SafetensorsFile& file) {
  TokenBatch batch = {Integers(file, "token_ids"), {}, ReadOffsets(file, "offsets")};
  if (file.Find("token_type_ids") != nullptr) {
    batch.token_type_ids = Integers(file, "token_type_ids");
  } else {
    batch.token_type_ids.resize(batch.num_tokens());
  }
  return batch;
}

bool Difference::within(double bound) const { return largest <= bound * std::max(1.0, magnitude); }

Difference Compare(std::span<const float> found, std::span<const double> expected) {
  Difference difference;
  if (found.size() != expected.size()) return {.largest = INFINITY, .magnitude = 0};
  for (size_t i = 0; i < found.size(); ++i) {
    const double distance = std::fabs(static_cast<double>(found[i]) - expected[i]);
    difference.largest = std::isnan(distance) ? INFINITY : std::max(difference.largest, distance);
    difference.magnitude = std::max(difference.magnitude, std::fabs(expected[i]));
  }
  return difference;
}

}  // namespace mlac::test
