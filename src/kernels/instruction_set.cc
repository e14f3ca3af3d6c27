#include "kernels/instruction_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <hwy/highway.h>

#include "base/error.h"
#include "base/nearest_name.h"

namespace mlac::kernels {
namespace {

struct Path {
  std::string_view name;
  int64_t target;  // Highway's bit; a lower bit is a wider path
};

// Narrowest first. Without a fused multiply-add (Highway's baseline on x86) our kernels run their plain reference.
constexpr int64_t kBaseline = HWY_SCALAR | HWY_EMU128;
constexpr Path kPaths[] = {{"scalar", kBaseline & HWY_TARGETS}, {"neon", HWY_NEON}, {"avx2", HWY_AVX2}, {"avx512", HWY_AVX3}};

bool CompiledIn(const Path& path) { return (path.target & HWY_TARGETS) != 0; }

int64_t MachineTargets() {
  hwy::SetSupportedTargetsForTest(0);  // back to what the CPU reports
  return hwy::SupportedTargets() | kBaseline;
}

// The path that a value of MLAC_ISA bounds f32 to.
std::string_view Bound(std::string_view name) {
  if (name == "amx") return "avx512";
  if (name == "avxvnni") return "avx2";
  for (const Path& path : kPaths)
    if (path.name == name) return name;
  const std::vector<std::string> known = {"scalar", "avx2", "avxvnni", "avx512", "amx", "neon"};
  throw Error(ErrorCode::kInvalidArgument, fmt::format("MLAC_ISA is '{}', which is none of {}", name, fmt::join(known, ", ")));
}

const Path* g_in_use = nullptr;  // set by UseInstructionSet alone; Highway's own dispatch state is global likewise

}  // namespace

std::vector<std::string> AvailableInstructionSets() {
  const std::string_view in_use = InstructionSetInUse();
  const int64_t machine = MachineTargets();
  std::vector<std::string> names;
  for (const Path& path : kPaths)
    if (CompiledIn(path) && (path.target & machine) != 0) names.emplace_back(path.name);
  UseInstructionSet(in_use);
  return names;
}

std::string_view InstructionSetInUse() {
  if (g_in_use == nullptr) {
    const char* bound = std::getenv("MLAC_ISA");
    UseInstructionSet(bound == nullptr ? "" : bound);
  }
  return g_in_use->name;
}

void UseInstructionSet(std::string_view upper_bound) {
  const std::string_view bound = upper_bound.empty() ? "" : Bound(upper_bound);
  const int64_t machine = MachineTargets();
  const Path* chosen = nullptr;
  for (const Path& path : kPaths) {
    if (CompiledIn(path) && (path.target & machine) != 0) chosen = &path;
    if (path.name == bound && chosen != nullptr) break;
  }
  g_in_use = chosen;
  hwy::SetSupportedTargetsForTest(chosen->target);
  hwy::GetChosenTarget().Update(chosen->target);
}

}  // namespace mlac::kernels
