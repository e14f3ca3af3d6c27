#pragma once
// Which path of the kernels runs. All give the same bits in f32; this is for tests, benchmarks and bug reports. Safe to call from several threads, but for
// UseInstructionSet.
#include <string>
#include <string_view>
#include <vector>

namespace mlac::kernels {

// The paths compiled in that this CPU has, narrowest first: "scalar", "avx2", "avx512" or "neon". "scalar" is the plain reference.
std::vector<std::string> AvailableInstructionSets();

// The path in use. At first use it is the widest at or below MLAC_ISA, or the widest of all. MLAC_ISA knows scalar, avx2, avxvnni,
// avx512 and amx; for f32 avxvnni means avx2 and amx means avx512. Throws kInvalidArgument for another value.
std::string_view InstructionSetInUse();

// The values of MLAC_ISA that make a difference to int8 here, narrowest first: those above, and "avxvnni", "amx" where the CPU has them.
std::vector<std::string> AvailableBounds();

// What int8 products run on, narrowest first; all give the same bits. Follows the bound above.
enum class Int8Path { kReference, kAvx2, kAvxVnni, kAvx512Vnni, kAmx };
Int8Path Int8PathInUse();
std::string_view Name(Int8Path path);

// What bf16 products run on; their bits differ.
enum class Bf16Path { kNone, kAvx512Bf16, kAmx };
Bf16Path Bf16PathInUse();
std::string_view Name(Bf16Path path);

// From now on the widest path at or below `upper_bound` (a value of MLAC_ISA, or "" for the widest). Not thread-safe: between runs.
void UseInstructionSet(std::string_view upper_bound);

}  // namespace mlac::kernels
