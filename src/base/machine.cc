#include "base/machine.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string_view>

namespace mlac {
namespace {

// Files of /proc and /sys have no size, so they are read as streams; "" where there is none.
std::string ReadSystemFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number value;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

// The value behind "key:" or "key=" at the start of a line, without blanks and quotes around it.
std::string FieldOf(const std::string& content, std::string_view key) {
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    std::string_view rest = std::string_view(line).substr(key.size());
    const size_t separator = rest.find_first_not_of(" \t");
    if (separator == std::string_view::npos || (rest[separator] != ':' && rest[separator] != '=')) continue;
    rest.remove_prefix(separator + 1);
    const size_t first = rest.find_first_not_of(" \t\""), last = rest.find_last_not_of(" \t\"");
    return first == std::string_view::npos ? "" : std::string(rest.substr(first, last - first + 1));
  }
  return "";
}

template <typename T>
void Tighten(std::optional<T>& limit, std::optional<T> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

// Version 2, one folder: cpu.max is "quota period" or "max period", memory.max a number or "max".
void TightenByV2(CgroupLimits& limits, const std::string& folder) {
  std::istringstream cpu(ReadSystemFile(folder + "/cpu.max"));
  double quota = 0, period = 0;
  if (cpu >> quota >> period && quota > 0 && period > 0) Tighten(limits.cores, std::optional(quota / period));
  Tighten(limits.memory_bytes, ParseNumber<uint64_t>(ReadSystemFile(folder + "/memory.max")));
}

// Version 1 has a tree for each controller, and says "no limit" by -1 or by a number of bytes near 2^63.
void TightenByV1Cpu(CgroupLimits& limits, const std::string& folder) {
  const auto quota = ParseNumber<int64_t>(ReadSystemFile(folder + "/cpu.cfs_quota_us"));
  const auto period = ParseNumber<int64_t>(ReadSystemFile(folder + "/cpu.cfs_period_us"));
  if (quota && period && *quota > 0 && *period > 0)
    Tighten(limits.cores, std::optional(static_cast<double>(*quota) / static_cast<double>(*period)));
}

void TightenByV1Memory(CgroupLimits& limits, const std::string& folder) {
  const auto bytes = ParseNumber<uint64_t>(ReadSystemFile(folder + "/memory.limit_in_bytes"));
  if (bytes && *bytes < uint64_t{1} << 62) Tighten(limits.memory_bytes, bytes);
}

// Visits top + path, its parent and so on up to top itself: a limit above binds too. In a container, path may name folders of the host
// that are not there; then top stands for the own group.
template <typename Visit>
void ForEachFolderUpwards(const std::string& top, std::string path, Visit visit) {
  while (!path.empty() && path != "/") {
    visit(top + path);
    path.resize(path.find_last_of('/'));
  }
  visit(top);
}

std::vector<std::string> CpuFeatures(const std::string& cpuinfo) {
  // As Linux names them: x86 under "flags", arm64 under "Features".
  static const std::vector<std::string> kOurs = {"avx2",   "fma",         "f16c",      "avx_vnni", "avx512f", "avx512bw", "avx512dq", "avx512vl",
                                                 "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16", "asimd",    "asimddp",  "i8mm",
                                                 "bf16",   "sve",         "sve2"};
  std::string line = FieldOf(cpuinfo, "flags");
  if (line.empty()) line = FieldOf(cpuinfo, "Features");
  std::vector<std::string> found;
  std::istringstream words(line);
  for (std::string word; words >> word;)
    if (std::find(kOurs.begin(), kOurs.end(), word) != kOurs.end()) found.push_back(word);
  return found;
}

uint64_t KibibytesOf(const std::string& meminfo, std::string_view key) {
  return ParseNumber<uint64_t>(FieldOf(meminfo, key)).value_or(0) * 1024;
}

}  // namespace

CgroupLimits ReadCgroupLimits(const std::string& root) {
  CgroupLimits limits;
  const std::string base = root + "/sys/fs/cgroup";
  // Lines "0::/path" (version 2) and "4:cpu,cpuacct:/path" (version 1).
  std::istringstream lines(ReadSystemFile(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = fmt::format(",{},", line.substr(first + 1, second - first - 1)), path = line.substr(second + 1);
    if (controllers == ",,") ForEachFolderUpwards(base, path, [&](const std::string& folder) { TightenByV2(limits, folder); });
    if (controllers.find(",cpu,") != std::string::npos)
      ForEachFolderUpwards(base + "/cpu", path, [&](const std::string& folder) { TightenByV1Cpu(limits, folder); });
    if (controllers.find(",memory,") != std::string::npos)
      ForEachFolderUpwards(base + "/memory", path, [&](const std::string& folder) { TightenByV1Memory(limits, folder); });
  }
  return limits;
}

size_t NumUsableCores() {
  size_t cores = static_cast<size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) cores = static_cast<size_t>(std::max(1, CPU_COUNT(&allowed)));
  if (const auto limit = ReadCgroupLimits().cores) cores = std::min(cores, static_cast<size_t>(std::max(1.0, std::ceil(*limit))));
  return cores;
}

// getrusage would also count the program that started this one.
uint64_t PeakMemoryBytes() { return KibibytesOf(ReadSystemFile("/proc/self/status"), "VmHWM"); }

Machine DescribeMachine() {
  utsname names = {};
  uname(&names);
  const std::string cpuinfo = ReadSystemFile("/proc/cpuinfo"), meminfo = ReadSystemFile("/proc/meminfo");
  const std::string operating_system = FieldOf(ReadSystemFile("/etc/os-release"), "PRETTY_NAME");
  return {.operating_system = operating_system.empty() ? names.sysname : operating_system,
          .kernel = std::string(names.sysname) + " " + names.release,
          .architecture = names.machine,
          .processor = FieldOf(cpuinfo, "model name"),
          .cpu_features = CpuFeatures(cpuinfo),
          .num_cores = static_cast<size_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN))),
          .num_usable_cores = NumUsableCores(),
          .memory_bytes = KibibytesOf(meminfo, "MemTotal"),
          .available_memory_bytes = KibibytesOf(meminfo, "MemAvailable"),
          .cgroup = ReadCgroupLimits()};
}

}  // namespace mlac
