// Training with the real binary: signals, kill -9, a full disk, and what it prints where there is no terminal.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/random.h"
#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ReadWhole;
using test::TemporaryFolder;

// A program whose standard error is read while it runs.
class Started {
 public:
  explicit Started(std::vector<std::string> argv) {
    std::array<int, 2> ends;
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    child_ = fork();
    if (child_ == 0) {
      dup2(ends[1], STDERR_FILENO);
      std::vector<char*> pointers;
      for (std::string& argument : argv) pointers.push_back(argument.data());
      pointers.push_back(nullptr);
      execv(pointers[0], pointers.data());
      _exit(127);
    }
    close(ends[1]);
    error_ = ends[0];
  }
  ~Started() {
    if (child_ > 0) kill(child_, SIGKILL), Wait();
    close(error_);
  }

  // Reads until `text` has been printed; false if it ended before.
  bool WaitFor(const std::string& text) {
    while (printed_.find(text) == std::string::npos)
      if (!ReadMore()) return false;
    return true;
  }
  void Signal(int number) { kill(child_, number); }
  // Waits until it has a handler for this signal; false if it ended before.
  bool WaitForHandlerOf(int number) const {
    for (;;) {
      const std::string status = ReadWhole(fmt::format("/proc/{}/status", child_));
      if (status.find("State:\tZ") != std::string::npos) return false;
      const size_t caught = status.find("SigCgt:\t") + 8;  // a bit for each signal
      if ((std::stoull(status.substr(caught, 16), nullptr, 16) >> (number - 1) & 1) != 0) return true;
      sched_yield();
    }
  }
  // The exit status, or 128 + the signal.
  int Wait() {
    while (ReadMore()) continue;
    int status = 0;
    while (waitpid(child_, &status, 0) < 0 && errno == EINTR) continue;
    child_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  const std::string& printed() const { return printed_; }

 private:
  bool ReadMore() {
    std::array<char, 4096> buffer;
    const ssize_t count = read(error_, buffer.data(), buffer.size());
    if (count > 0) printed_.append(buffer.data(), static_cast<size_t>(count));
    return count > 0 || (count < 0 && errno == EINTR);
  }

  pid_t child_ = -1;
  int error_ = -1;
  std::string printed_;
};

class Training : public testing::Test {
 protected:
  Training() {
    std::string csv = "text,label\n";
    for (size_t i = 0; i < 240; ++i) csv += fmt::format("{} the {} {},{}\n", i % 3 == 0 ? "cat" : i % 3 == 1 ? "red" : "night", i % 2 ? "people" : "word", i, "abc"[i % 3]);
    folder.Write("train it.csv", csv);
  }

  std::vector<std::string> Arguments(const std::string& out, const std::vector<std::string>& more = {}, const std::string& epochs = "20",
                                     const std::string& threads = "2") {
    std::vector<std::string> arguments = {MLAC_BINARY, "train", "text-classification", "-m", test::FixturePath("models/classifier"),
                                          "--data", folder / "train it.csv", "--out", out, "--epochs=" + epochs, "--batch-size", "8", "--save-steps", "40",
                                          "--patience", "0", "--threads", threads};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  // The weights of a run that nothing disturbs.
  const std::string& Unbroken() {
    static std::string weights;  // the same for every test
    if (weights.empty()) {
      const ProgramResult result = RunProgram(Arguments(folder / "unbroken"));
      EXPECT_EQ(result.status, 0) << result.error;
      weights = ReadWhole(folder / "unbroken/model.safetensors");
    }
    return weights;
  }

  TemporaryFolder folder;
};

std::string LastLine(const std::string& text) {
  const std::string whole = text.substr(0, text.find_last_not_of('\n') + 1);
  return whole.substr(whole.rfind('\n') + 1);
}

TEST_F(Training, PrintsTheCommandThatResumesWhenItIsInterrupted) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string out = folder / fmt::format("it's {} $HOME", signal);
    Started run(Arguments(out, {"--freeze=false", "--lr", "5e-05"}));
    ASSERT_TRUE(run.WaitFor("checkpoint of step 40 in")) << run.printed();
    run.Signal(signal);
    EXPECT_EQ(run.Wait(), 130);
    const size_t message = run.printed().find("mlac: interrupted after step ");
    ASSERT_NE(message, std::string::npos) << run.printed();
    const std::string begin = "hint: go on with: ", hint = LastLine(run.printed());
    ASSERT_TRUE(hint.starts_with(begin + "mlac train text-classification --model ")) << hint;
    ASSERT_TRUE(hint.ends_with(" --resume")) << hint;
    EXPECT_FALSE(fs::exists(out + "/model.safetensors"));

    // As the user would paste it.
    const std::string path = fmt::format("PATH={}:{}", fs::path(MLAC_BINARY).parent_path().string(), getenv("PATH"));
    const ProgramResult resumed = RunProgram({"sh", "-c", hint.substr(begin.size())}, {.environment = {path}});
    EXPECT_EQ(resumed.status, 0) << resumed.error;
    const size_t step = run.printed().find("after step ") + 11;
    EXPECT_NE(resumed.error.find("resumed from the checkpoint of step " + run.printed().substr(step, run.printed().find(' ', step) - step) + "\n"),
              std::string::npos)
        << resumed.error;
    EXPECT_TRUE(ReadWhole(out + "/model.safetensors") == Unbroken());
  }
}

TEST_F(Training, LeavesAtOnceAtTheSecondSignal) {
  Started run(Arguments(folder / "out", {}, /*epochs=*/"100000"));
  ASSERT_TRUE(run.WaitFor("checkpoint of step 40 in")) << run.printed();
  run.Signal(SIGINT);
  run.Signal(SIGTERM);
  EXPECT_EQ(run.Wait(), 130);
}

TEST(Evaluation, EndsAtOnceWithTheStatusOfAnInterruption) {
  const TemporaryFolder folder;
  std::string rows = "text,label\n";
  for (int i = 0; i < 50'000; ++i) rows += "the people small large open train model word not this,positive\n";
  folder.Write("a.csv", rows);
  for (const int signal : {SIGINT, SIGTERM}) {
    Started run({MLAC_BINARY, "eval", test::FixturePath("models/classifier"), "--data", folder / "a.csv", "--threads", "1"});
    ASSERT_TRUE(run.WaitForHandlerOf(signal)) << run.printed();
    run.Signal(signal);
    EXPECT_EQ(run.Wait(), 130) << signal;
  }
}

TEST_F(Training, GivesTheSameBytesAfterKillNineAtAnyMoment) {
  Random random(20);
  for (int attempt = 0; attempt < 4; ++attempt) {
    const std::string out = folder / fmt::format("out{}", attempt);
    Started run(Arguments(out));
    const size_t checkpoint = 40 * (1 + random.Below(8));
    ASSERT_TRUE(attempt == 0 || run.WaitFor(fmt::format("checkpoint of step {} in", checkpoint))) << run.printed();
    usleep(static_cast<useconds_t>(random.Below(60'000)));
    run.Signal(SIGKILL);
    EXPECT_EQ(run.Wait(), 137);
    const ProgramResult resumed = RunProgram(Arguments(out, {"--resume"}, "20", /*threads=*/"1"));
    EXPECT_EQ(resumed.status, 0) << resumed.error;
    EXPECT_TRUE(ReadWhole(out + "/model.safetensors") == Unbroken()) << "killed after step " << checkpoint;
    const bool says = resumed.error.find("resumed from the checkpoint of step ") != std::string::npos || resumed.error.find("this run begins at step 0") != std::string::npos;
    EXPECT_TRUE(says) << resumed.error;
    for (const std::string& name : folder.List()) EXPECT_EQ(name.find("partial"), std::string::npos) << name;
  }
}

TEST_F(Training, PrintsPlainLinesWhereThereIsNoTerminal) {
  const ProgramResult result = RunProgram(Arguments(folder / "out"));
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.error.find_first_of("\r\x1b"), std::string::npos);
  EXPECT_NE(result.error.find("step 270/540, epoch 10, loss "), std::string::npos) << result.error;
  EXPECT_NE(result.error.find(" examples/s\n"), std::string::npos);
  EXPECT_LT(std::count(result.error.begin(), result.error.end(), '\n'), 80) << "a line each step is too much";
  EXPECT_EQ(result.out, fmt::format("{}: 24 texts of validation: accuracy {}, macro-F1 {}\n", folder / "out", result.out.substr(result.out.find("accuracy ") + 9, 6),
                                    result.out.substr(result.out.find("macro-F1 ") + 9, 6)));
}

TEST_F(Training, KeepsTheCheckpointWhenTheDiskIsFull) {
  const std::string place = folder / "small";
  fs::create_directory(place);
  if (mount("none", place.c_str(), "tmpfs", 0, "size=8m") != 0)
    GTEST_SKIP() << "a small file system cannot be mounted here: " << strerror(errno);
  const struct Unmount {
    std::string place;
    ~Unmount() { umount2(place.c_str(), MNT_DETACH); }
  } unmount{place};
  // While it trains others take the room: a checkpoint fits, with 450 KiB; the next one beside it does not.
  Started training(Arguments(place + "/out"));
  ASSERT_TRUE(training.WaitFor("checkpoint of step 40 in")) << training.printed();
  while (mount("none", place.c_str(), "tmpfs", MS_REMOUNT, "size=700k") != 0) sched_yield();  // refused while two checkpoints are there
  EXPECT_EQ(training.Wait(), 1);
  ProgramResult result = {.status = 1, .out = {}, .error = training.printed()};
  const size_t line = result.error.find("mlac: ");
  ASSERT_NE(line, std::string::npos) << result.error;
  const std::string said = result.error.substr(line);
  EXPECT_NE(said.find(": cannot write: No space left on device\nhint: "), std::string::npos) << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2) << said;
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(place)) names.push_back(fs::relative(entry.path(), place).string());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"out", "out/checkpoint", "out/checkpoint/SHA256SUMS", "out/checkpoint/best.safetensors", "out/checkpoint/state.json",
                                             "out/checkpoint/training.safetensors"}));
  mount("none", place.c_str(), "tmpfs", MS_REMOUNT, "size=8m");
  result = RunProgram(Arguments(place + "/out", {"--resume"}));
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_TRUE(ReadWhole(place + "/out/model.safetensors") == Unbroken());
}

TEST_F(Training, SaysThatAFileIsTooLarge) {
  const ProgramResult result = RunProgram({"bash", "-c", "ulimit -f 40 && exec \"$0\" train text-classification -m \"$1\" --data \"$2\" --out \"$3\" --epochs 1", MLAC_BINARY,
                                           test::FixturePath("models/classifier"), folder / "train it.csv", folder / "out"});
  EXPECT_EQ(result.status, 1) << result.error;
  EXPECT_NE(result.error.find("model.safetensors: cannot write: File too large"), std::string::npos) << result.error;
  EXPECT_EQ(folder.List(), (std::vector<std::string>{"train it.csv"}));
}

TEST_F(Training, RefusesAnOptionThatIsNoNumber) {
  for (const char* value : {"nan", "inf", "-1", "1.5", "1e-3x"}) {
    const ProgramResult result = RunProgram(Arguments(folder / "out", {"--lr", value}));
    EXPECT_EQ(result.status, 2) << value;
    EXPECT_NE(result.error.find("--lr"), std::string::npos) << result.error;
  }
  EXPECT_EQ(RunProgram(Arguments(folder / "out", {"--max-length", "0"})).status, 2);
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST(TrainingFaults, ResumeGivesTheBytesFromEveryPointThatWasTried) {
  // One in 29 of the points of `./dev reliability training`, which tries all.
  const ProgramResult result = RunProgram({"python3", MLAC_SOURCE "/tests/reliability/training_faults.py", MLAC_BINARY, test::FixturePath("models/vocab_only"),
                                           "--every", "29", "--offset", "3"});
  if (result.status == 77 || result.status == 127) GTEST_SKIP() << "strace may not trace processes here, or there is no python3";
  EXPECT_EQ(result.status, 0) << result.out << result.error;
  std::printf("%s", result.out.c_str());
}

}  // namespace
}  // namespace mlac
