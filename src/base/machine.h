#pragma once
// What machine this is and how much of it this process may use: a container's limits count, not only what is built in.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlac {

struct CgroupLimits {
  std::optional<double> cores;          // CPU time a second, e.g. 1.5
  std::optional<uint64_t> memory_bytes;
};

// The tightest limits of this process's control group and those above it, version 2 or 1. root: the file system's root, for tests.
CgroupLimits ReadCgroupLimits(const std::string& root = "/");

// Cores that this process may run on: those of its affinity mask, and no more than its control group gives time for (rounded up).
size_t NumUsableCores();

// The most memory that this process has had resident so far, mapped files included; 0 where the kernel does not say.
uint64_t PeakMemoryBytes();

struct Machine {
  std::string operating_system;           // "Debian GNU/Linux 12 (bookworm)"
  std::string kernel;                     // "Linux 6.1.0-18-amd64"
  std::string architecture;               // "x86_64"
  std::string processor;                  // "Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz"; "" where the kernel does not say
  std::vector<std::string> cpu_features;  // those of the kernel's list that mlac has code for: "avx2", "fma", "amx_int8"
  size_t num_cores = 0;                   // online
  size_t num_usable_cores = 0;
  uint64_t memory_bytes = 0, available_memory_bytes = 0;
  CgroupLimits cgroup;
};

Machine DescribeMachine();

}  // namespace mlac
