#pragma once
// What a power loss leaves of what a process wrote, and a loop over such states.
//
// The model is what POSIX promises, not what one file system does. What was written into a file is on the disk once the file was synced; a
// name, new, moved or removed, once the folder that it stands in was, whatever was synced of the file itself. Of what was not synced any
// part from some call on may be lost, for each file and each folder on its own: names may be there before their content (a file of no
// bytes, of some, of zeros), and content without a name. A rename happens as a whole or not at all. See Pillai et al. 2014, "All File
// Systems Are Not Created Equal" (OSDI), for the systems that do each of these.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/support/file_log.h"
#include "tests/support/test_support.h"

namespace mlac::test {

enum class Loss {
  kNothing,     // all calls have reached the disk, as when the process is killed
  kEverything,  // nothing has that was not synced
  kContent,     // nothing of what was written into files and not synced has, but all names are there
  kSome,        // for each file and folder a beginning has, which the seed chooses; a write may be torn
};

// The disk if the power fails behind so many of the log's operations.
Disk AfterPowerLoss(const FileLog& log, size_t num_operations, Loss loss, uint64_t seed = 0);

struct PowerLoss {
  std::string where;      // for messages: "behind operation 17 of 42, state 3"
  size_t num_operations;  // of the log, that it came behind
  bool finished;          // everything was done: what act reported must be on the disk
};

// Runs act once with a log of folder, then puts each state into the folder that a power loss could leave, twice the same one left out, and
// calls check. every: of the points between two calls only so many, or all where MLAC_EVERY_POINT is set. Fails the test if the log misses
// a call, which shows where the operations do not lead to what act left. Gives the number of states.
size_t ForEachPowerLoss(const TemporaryFolder& folder, size_t every, const std::function<void()>& act,
                        const std::function<void(const PowerLoss&)>& check);

// 1 where MLAC_EVERY_POINT is set, which is what `./dev reliability` does, else the argument.
size_t Stride(size_t quick);

}  // namespace mlac::test
