#pragma once
// What one core can do at best: arithmetic from registers alone, and reads from each level of memory. Benchmarks divide by these.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

// The loops that this CPU has, e.g. "f32 avx2", "f32 avx512", "int8 avx512", "int8 amx", "bf16 amx". The first word is the type of the
// factors; sums are f32 or int32.
std::vector<std::string> PeakLoops();

// Operations a second (a multiplication and an addition are two) of the calling thread in about `seconds`. name: one of PeakLoops().
double MeasurePeak(std::string_view name, double seconds);

// Bytes a second that the calling thread reads, over and over, from memory of its own of this size.
class ReadLoop {
 public:
  explicit ReadLoop(size_t num_bytes);
  double Measure(double seconds) const;

 private:
  std::vector<char> bytes_;
};

}  // namespace mlac
