#include "kernels/instruction_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <hwy/highway.h>
#include <mutex>

#include "base/error.h"
#include "base/nearest_name.h"
#include "kernels/cpu_features.h"

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
  const CpuFeatures& has = MachineCpuFeatures();
  return kBaseline | HWY_NEON | (has.avx2 ? HWY_AVX2 : 0) | (has.avx512 ? HWY_AVX3 : 0);  // of NEON and AVX, one side is not compiled in
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

// The bounds of MLAC_ISA on x86, narrowest first.
constexpr std::string_view kBounds[] = {"scalar", "avx2", "avxvnni", "avx512", "amx"};
size_t Rank(std::string_view bound) { return static_cast<size_t>(std::find(std::begin(kBounds), std::end(kBounds), bound) - std::begin(kBounds)); }

Int8Path ChooseInt8Path(std::string_view f32_path, std::string_view bound) {
  const CpuFeatures& has = MachineCpuFeatures();
  const size_t rank = bound.empty() ? Rank("amx") : Rank(bound);
  if (f32_path != "avx2" && f32_path != "avx512") return Int8Path::kReference;
  if (f32_path == "avx512" && has.amx_int8 && has.avx512_vnni && rank >= Rank("amx")) return Int8Path::kAmx;
  if (f32_path == "avx512" && has.avx512_vnni) return Int8Path::kAvx512Vnni;
  return has.avx_vnni && rank >= Rank("avxvnni") ? Int8Path::kAvxVnni : Int8Path::kAvx2;
}

Bf16Path ChooseBf16Path(std::string_view f32_path, std::string_view bound) {
  const CpuFeatures& has = MachineCpuFeatures();
  if (f32_path != "avx512") return Bf16Path::kNone;
  if (has.amx_bf16 && has.avx512_bf16 && (bound.empty() || bound == "amx")) return Bf16Path::kAmx;
  return has.avx512_bf16 ? Bf16Path::kAvx512Bf16 : Bf16Path::kNone;
}

// Set by UseInstructionSet alone; Highway's own dispatch state is global likewise. in_use is set last: who sees it sees the other two.
std::atomic<const Path*> in_use = nullptr;
std::atomic<Int8Path> int8_path = Int8Path::kReference;
std::atomic<Bf16Path> bf16_path = Bf16Path::kNone;

bool IsHere(const Path& path, int64_t machine) { return CompiledIn(path) && (path.target & machine) != 0; }

// The first one asked chooses, whichever thread that is.
const Path& PathInUse() {
  static std::mutex first;
  if (in_use.load(std::memory_order_acquire) == nullptr) {
    const std::lock_guard lock(first);
    const char* bound = std::getenv("MLAC_ISA");
    if (in_use.load(std::memory_order_relaxed) == nullptr) UseInstructionSet(bound == nullptr ? "" : bound);
  }
  return *in_use.load(std::memory_order_acquire);
}

}  // namespace

// Highway's bit of the path in use.
static int64_t TargetInUse() { return PathInUse().target; }

std::vector<std::string> AvailableInstructionSets() {
  const int64_t machine = MachineTargets();
  std::vector<std::string> names;
  for (const Path& path : kPaths)
    if (IsHere(path, machine)) names.emplace_back(path.name);
  return names;
}

std::string_view InstructionSetInUse() { return PathInUse().name; }

void UseInstructionSet(std::string_view upper_bound) {
  const std::string_view bound = upper_bound.empty() ? "" : Bound(upper_bound);
  const int64_t machine = MachineTargets();
  const Path* chosen = nullptr;
  for (const Path& path : kPaths) {
    if (IsHere(path, machine)) chosen = &path;
    if (path.name == bound && chosen != nullptr) break;
  }
  hwy::GetChosenTarget().Update(chosen->target);
  int8_path.store(ChooseInt8Path(chosen->name, upper_bound), std::memory_order_relaxed);
  bf16_path.store(ChooseBf16Path(chosen->name, upper_bound), std::memory_order_relaxed);
  in_use.store(chosen, std::memory_order_release);
}

std::vector<std::string> AvailableBounds() {
  std::vector<std::string> bounds = AvailableInstructionSets();
  const CpuFeatures& has = MachineCpuFeatures();
  const auto insert_behind = [&](std::string_view before, const char* name) {
    if (const auto found = std::find(bounds.begin(), bounds.end(), before); found != bounds.end()) bounds.insert(found + 1, name);
  };
  if (has.avx_vnni) insert_behind("avx2", "avxvnni");
  if (has.amx_int8) insert_behind("avx512", "amx");
  return bounds;
}

Int8Path Int8PathInUse() {
  PathInUse();
  return int8_path.load(std::memory_order_relaxed);
}

std::string_view Name(Int8Path path) {
  constexpr std::string_view kNames[] = {"reference", "avx2", "avx-vnni", "avx512-vnni", "amx"};
  return kNames[static_cast<size_t>(path)];
}

Bf16Path Bf16PathInUse() {
  PathInUse();
  return bf16_path.load(std::memory_order_relaxed);
}

std::string_view Name(Bf16Path path) {
  constexpr std::string_view kNames[] = {"none", "avx512-bf16", "amx"};
  return kNames[static_cast<size_t>(path)];
}

}  // namespace mlac::kernels

// What HWY_DYNAMIC_DISPATCH asks of Highway's library. The library itself is not linked: before main it calibrates a timer for its benchmarks,
// which took 5 of the 9 ms that `mlac --help` ran.
namespace hwy {

// Called by the first kernel where nobody has asked for an instruction set before.
int64_t SupportedTargets() { return mlac::kernels::TargetInUse(); }

ChosenTarget& GetChosenTarget() {
  static ChosenTarget chosen;
  return chosen;
}

}  // namespace hwy
