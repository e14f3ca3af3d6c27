#include "base/machine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace mlac {
namespace {

namespace fs = std::filesystem;

// A file system's root with the files of /proc and /sys that the limits are read from.
class CgroupTree : public testing::Test {
 protected:
  void SetUp() override {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::path(testing::TempDir()) / (std::string("cgroup_") + test->name());
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& content) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << content;
  }
  CgroupLimits Read() { return ReadCgroupLimits(root_.string()); }

 private:
  fs::path root_;
};

TEST_F(CgroupTree, WithoutFilesThereIsNoLimit) {
  EXPECT_FALSE(Read().cores);
  EXPECT_FALSE(Read().memory_bytes);
}

TEST_F(CgroupTree, TheTightestGroupOfThoseAboveBinds) {
  Write("proc/self/cgroup", "0::/outer/inner\n");
  Write("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  Write("sys/fs/cgroup/outer/inner/memory.max", "3000\n");
  Write("sys/fs/cgroup/outer/cpu.max", "150000 100000\n");
  Write("sys/fs/cgroup/outer/memory.max", "2000\n");
  EXPECT_EQ(Read().cores, 1.5);
  EXPECT_EQ(Read().memory_bytes, 2000u);
}

TEST_F(CgroupTree, InAContainerTheTopIsTheOwnGroup) {
  Write("proc/self/cgroup", "0::/\n");
  Write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  Write("sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(Read().cores, 0.5);
  EXPECT_FALSE(Read().memory_bytes);
}

TEST_F(CgroupTree, VersionOneIsUnderstoodToo) {
  Write("proc/self/cgroup", "9:memory:/pod\n4:cpu,cpuacct:/pod\n1:name=systemd:/\n");
  Write("sys/fs/cgroup/cpu/pod/cpu.cfs_quota_us", "200000\n");
  Write("sys/fs/cgroup/cpu/pod/cpu.cfs_period_us", "100000\n");
  Write("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "4096\n");
  Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");  // how it says "no limit"
  EXPECT_EQ(Read().cores, 2.0);
  EXPECT_EQ(Read().memory_bytes, 4096u);
}

TEST_F(CgroupTree, NonsenseIsNoLimit) {
  Write("proc/self/cgroup", "0::/a\nrubbish\n::\n");
  Write("sys/fs/cgroup/a/cpu.max", "-1 0\n");
  Write("sys/fs/cgroup/a/memory.max", "-5\n");
  EXPECT_FALSE(Read().cores);
  EXPECT_FALSE(Read().memory_bytes);
}

TEST(Machine, DescribesThisOne) {
  const Machine machine = DescribeMachine();
  EXPECT_GE(machine.num_usable_cores, 1u);
  EXPECT_LE(machine.num_usable_cores, machine.num_cores);
  EXPECT_GT(machine.memory_bytes, uint64_t{1} << 20);
  EXPECT_FALSE(machine.architecture.empty());
  EXPECT_TRUE(machine.kernel.starts_with("Linux ")) << machine.kernel;
}

}  // namespace
}  // namespace mlac
