#include "serve/memory_limit.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <new>
#include <vector>

#include "tests/support/test_support.h"

namespace mlac {
namespace {

constexpr uint64_t kMiB = 1 << 20;

uint64_t Held() {
  const MemoryUse use = ReadMemoryUse();
  return use.mapped_files + use.anonymous;
}

TEST(MemoryLimit, CountsWhatIsAllocatedAndTouched) {
  const MemoryUse before = ReadMemoryUse();
  EXPECT_GT(before.mapped_files, 0u);  // the program itself
  const std::vector<char> block(64 * kMiB, 'x');
  const MemoryUse after = ReadMemoryUse();
  EXPECT_GE(after.anonymous, before.anonymous + 60 * kMiB);
  EXPECT_GE(after.data, before.data + 64 * kMiB);
  EXPECT_EQ(after.mapped_files, before.mapped_files);
}

TEST(MemoryLimit, RefusesLimitsThatLeaveNoRoomForRequests) {
  CheckMemory(Held() + kMemoryForRequests + 8 * kMiB, "the models");
  try {
    CheckMemory(Held() + kMemoryForRequests - 8 * kMiB, "the models");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
    EXPECT_EQ(error.message().substr(0, 9), "--memory ");
    EXPECT_NE(error.message().find(" MiB: the models need "), std::string::npos) << error.message();
    EXPECT_NE(error.message().find(", requests 32)"), std::string::npos) << error.message();
  }
}

// Whether the process, limited to so much more than it has, can allocate and touch a block. In a child, whose limit goes with it.
bool CanAllocate(uint64_t room, uint64_t block) {
  const pid_t child = fork();
  if (child == 0) {
    LimitMemory(Held() + room);
    try {
      std::vector<char> bytes(block, 'x');
      _exit(bytes.back() == 'x' ? 0 : 2);
    } catch (const std::bad_alloc&) {
      _exit(1);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) <= 1) << status;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(MemoryLimit, FailsAllocationsBeyondIt) {
  EXPECT_TRUE(CanAllocate(/*room=*/64 * kMiB, /*block=*/48 * kMiB));
  EXPECT_FALSE(CanAllocate(/*room=*/64 * kMiB, /*block=*/80 * kMiB));
  EXPECT_FALSE(CanAllocate(/*room=*/0, /*block=*/32 * kMiB));
}

}  // namespace
}  // namespace mlac
