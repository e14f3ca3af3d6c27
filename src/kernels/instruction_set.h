#pragma once
// Which path of the kernels runs. All give the same bits in f32; this is for tests, benchmarks and bug reports.
#include <string>
#include <string_view>
#include <vector>

namespace mlac::kernels {

// The paths compiled in that this CPU has, narrowest first: "scalar", "avx2", "avx512" or "neon". "scalar" is the plain reference.
std::vector<std::string> AvailableInstructionSets();

// The path in use. At first use it is the widest at or below MLAC_ISA, or the widest of all. MLAC_ISA knows scalar, avx2, avxvnni,
// avx512 and amx; for f32 avxvnni means avx2 and amx means avx512. Throws kInvalidArgument for another value.
std::string_view InstructionSetInUse();

// From now on the widest path at or below `upper_bound` (a value of MLAC_ISA, or "" for the widest). Not thread-safe: between runs.
void UseInstructionSet(std::string_view upper_bound);

}  // namespace mlac::kernels
