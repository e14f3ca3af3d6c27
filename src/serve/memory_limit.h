#pragma once
// --memory: a bound on what the process holds in memory.
#include <cstdint>
#include <string>

namespace mlac {

// What the process has, in bytes.
struct MemoryUse {
  uint64_t mapped_files = 0;  // all of the files that it maps, though not every page may be there: weights, programs
  uint64_t anonymous = 0;     // its own, and there
  uint64_t data = 0;          // its own, asked for: what the system's limit counts (RLIMIT_DATA)
};

// From /proc/self. Throws kIo where that cannot be read.
MemoryUse ReadMemoryUse();

// What has to be left for requests beside the models: bodies, tokens, answers, the buffers of connections.
constexpr uint64_t kMemoryForRequests = uint64_t{32} << 20;

// Throws kResourceExhausted, with what is there and what is needed, where kMemoryForRequests is not left below `limit`. models: what takes
// the memory, for the message.
void CheckMemory(uint64_t limit, const std::string& models);

// Lets the process take memory up to `limit` and none beyond: an allocation that does not fit fails, and its request is answered with 503.
// Called when the threads that serve are there, and again when what the process maps has changed; by one thread after the other. Throws kIo where the
// system does not do that.
void LimitMemory(uint64_t limit);

}  // namespace mlac
