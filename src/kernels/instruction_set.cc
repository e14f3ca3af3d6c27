#include "kernels/instruction_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <hwy/highway.h>

#include "base/error.h"
#include "base/nearest_name.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

// What Highway does not tell of the CPU. Of AVX-512 and AVX2 themselves its targets speak.
struct DotProducts {
  bool avx_vnni = false, avx512_vnni = false, avx512_bf16 = false, amx_int8 = false, amx_bf16 = false;
};

#if defined(__x86_64__)
// Linux gives a process the tiles on request only; bits 17 and 18 of XCR0 say that it keeps them across a switch.
bool MayUseTiles() {
  uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr uint32_t kTileState = 3u << 17;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return (low & kTileState) == kTileState && syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

DotProducts FindDotProducts() {
  unsigned eax, ebx, ecx, edx;
  DotProducts found;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & (1u << 27)) == 0) return found;  // no OSXSAVE
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return found;
  const unsigned subleaves = eax;
  found.avx512_vnni = (ecx & (1u << 11)) != 0;
  const bool tiles = (edx & (1u << 24)) != 0 && MayUseTiles();
  found.amx_bf16 = tiles && (edx & (1u << 22)) != 0;
  found.amx_int8 = tiles && (edx & (1u << 25)) != 0;
  if (subleaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0) {
    found.avx_vnni = (eax & (1u << 4)) != 0;
    found.avx512_bf16 = (eax & (1u << 5)) != 0;
  }
  return found;
}
#else
DotProducts FindDotProducts() { return {}; }
#endif

const DotProducts& MachineDotProducts() {
  static const DotProducts found = FindDotProducts();
  return found;
}

// The bounds of MLAC_ISA on x86, narrowest first.
constexpr std::string_view kBounds[] = {"scalar", "avx2", "avxvnni", "avx512", "amx"};
size_t Rank(std::string_view bound) { return static_cast<size_t>(std::find(std::begin(kBounds), std::end(kBounds), bound) - std::begin(kBounds)); }

Int8Path ChooseInt8Path(std::string_view f32_path, std::string_view bound) {
  const DotProducts& has = MachineDotProducts();
  const size_t rank = bound.empty() ? Rank("amx") : Rank(bound);
  if (f32_path != "avx2" && f32_path != "avx512") return Int8Path::kReference;
  if (f32_path == "avx512" && has.amx_int8 && has.avx512_vnni && rank >= Rank("amx")) return Int8Path::kAmx;
  if (f32_path == "avx512" && has.avx512_vnni) return Int8Path::kAvx512Vnni;
  return has.avx_vnni && rank >= Rank("avxvnni") ? Int8Path::kAvxVnni : Int8Path::kAvx2;
}

Bf16Path ChooseBf16Path(std::string_view f32_path, std::string_view bound) {
  const DotProducts& has = MachineDotProducts();
  if (f32_path != "avx512") return Bf16Path::kNone;
  if (has.amx_bf16 && has.avx512_bf16 && (bound.empty() || bound == "amx")) return Bf16Path::kAmx;
  return has.avx512_bf16 ? Bf16Path::kAvx512Bf16 : Bf16Path::kNone;
}

std::string g_bound;  // what UseInstructionSet was called with
Int8Path g_int8_path = Int8Path::kReference;
Bf16Path g_bf16_path = Bf16Path::kNone;
const Path* g_in_use = nullptr;  // set by UseInstructionSet alone; Highway's own dispatch state is global likewise

}  // namespace

std::vector<std::string> AvailableInstructionSets() {
  InstructionSetInUse();
  const std::string bound = g_bound;
  const int64_t machine = MachineTargets();
  std::vector<std::string> names;
  for (const Path& path : kPaths)
    if (CompiledIn(path) && (path.target & machine) != 0) names.emplace_back(path.name);
  UseInstructionSet(bound);
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
  g_bound = upper_bound;
  g_int8_path = ChooseInt8Path(chosen->name, upper_bound);
  g_bf16_path = ChooseBf16Path(chosen->name, upper_bound);
}

std::vector<std::string> AvailableBounds() {
  std::vector<std::string> bounds = AvailableInstructionSets();
  const DotProducts& has = MachineDotProducts();
  const auto insert_behind = [&](std::string_view before, const char* name) {
    if (const auto found = std::find(bounds.begin(), bounds.end(), before); found != bounds.end()) bounds.insert(found + 1, name);
  };
  if (has.avx_vnni) insert_behind("avx2", "avxvnni");
  if (has.amx_int8) insert_behind("avx512", "amx");
  return bounds;
}

Int8Path Int8PathInUse() {
  InstructionSetInUse();
  return g_int8_path;
}

std::string_view Name(Int8Path path) {
  constexpr std::string_view kNames[] = {"reference", "avx2", "avx-vnni", "avx512-vnni", "amx"};
  return kNames[static_cast<size_t>(path)];
}

Bf16Path Bf16PathInUse() {
  InstructionSetInUse();
  return g_bf16_path;
}

std::string_view Name(Bf16Path path) {
  constexpr std::string_view kNames[] = {"none", "avx512-bf16", "amx"};
  return kNames[static_cast<size_t>(path)];
}

}  // namespace mlac::kernels
