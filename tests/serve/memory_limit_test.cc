#include "serve/memory_limit.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <new>
#include <thread>
#include <vector>

#include "base/file.h"
#include "serve/model_server.h"
#include "tests/serve/fake_model.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using namespace std::chrono_literals;

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

// A model whose file is mapped.
class MappingModel : public FakeModel {
 public:
  explicit MappingModel(const std::string& path) : file_(path) {}

 private:
  const MappedFile file_;
};

// What the limit leaves to the process's own memory beside the mapped files, in bytes: without what was reserved and is not touched, such as the
// stacks of threads.
uint64_t Room() {
  rlimit limit = {};
  getrlimit(RLIMIT_DATA, &limit);
  const MemoryUse use = ReadMemoryUse();
  return limit.rlim_cur + use.anonymous - use.data;
}

TEST(MemoryLimit, GivesARequestTheMemoryOfAModelThatIsServedNoMore) {
  constexpr uint64_t kFile = 1024 * kMiB;  // much more than threads that start or end meanwhile reserve
  const test::TemporaryFolder folder;
  folder.Write("weights", "");
  std::filesystem::resize_file(folder / "weights", kFile);
  rlimit before = {};
  getrlimit(RLIMIT_DATA, &before);
  {
    ModelServerOptions options = {.http = {.port = 0}, .memory_limit = Held() + 2 * kFile};
    options.open.model = [path = folder / "weights", limit = options.memory_limit](const std::string&) {
      auto model = std::make_unique<MappingModel>(path);
      LimitMemory(limit);
      return model;
    };
    std::vector<NamedModel> models;
    models.push_back({"one", std::make_unique<FakeModel>()});
    ModelServer server(std::move(models), std::move(options));
    const uint64_t with_one = Room();
    server.loader().Load({{.name = "two", .folder = "two"}});
    EXPECT_LT(Room(), with_one - kFile / 2);
    server.models().Remove("two");
    for (int i = 0; i < 30'000 && Room() < with_one - kFile / 2; ++i) std::this_thread::sleep_for(1ms);  // the one who ends it says so a little later
    EXPECT_GE(Room(), with_one - kFile / 2);
  }
  setrlimit(RLIMIT_DATA, &before);
}

}  // namespace
}  // namespace mlac
