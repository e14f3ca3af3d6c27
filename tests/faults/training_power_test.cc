// The power fails while a training writes its checkpoints and its result: resumed, it ends with the bytes of the unbroken run, and not from
// further back than the last checkpoint that it reported.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "tests/faults/power_loss.h"
#include "tests/hub/store_folder.h"
#include "tests/project/tiny_project.h"
#include "tests/train/silent_training.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::FileLog;
using test::FixturePath;
using test::ForEachPowerLoss;
using test::PowerLoss;
using test::ReadWhole;
using test::TemporaryFolder;

std::map<std::string, std::string> ContentOf(const std::string& folder) {
  std::map<std::string, std::string> content;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) content[fs::relative(entry.path(), folder).string()] = ReadWhole(entry.path().string());
  return content;
}

// Remembers behind which operation of the log each checkpoint was reported.
struct Marking : test::Silent {
  void OnCheckpoint(size_t step, const std::string&) override {
    if (const FileLog* const log = FileLog::Active()) checkpoints[log->operations().size()] = step;
  }
  std::map<size_t, size_t> checkpoints;
};

TEST(PowerLossOfTraining, ResumedItEndsWithTheBytesOfTheUnbrokenRun) {
  const TemporaryFolder folder;
  folder.Write("train.csv", test::LabelledCsv(36, 1));
  FineTuneOptions options;
  options.model = FixturePath("models/classifier");
  options.data = folder / "train.csv";
  options.out = folder / "out";
  options.command = "mlac train";
  options.resume_command = "mlac train --resume";
  options.training = {.num_epochs = 2, .learning_rate = 1e-3, .batch_size = 8, .save_steps = 3};
  std::map<std::string, std::string> expected;
  Marking unbroken;
  const auto act = [&] {
    FineTune("text-classification", options, unbroken, unbroken.stop);
    expected = ContentOf(options.out);
  };
  const size_t num_states = ForEachPowerLoss(folder, /*every=*/24, act, [&](const PowerLoss& loss) {
    if (loss.finished) {
      EXPECT_TRUE(fs::exists(options.out) && ContentOf(options.out) == expected) << loss.where << ": what was done is lost";
    }
    FineTuneOptions resuming = options;
    resuming.resume = true;
    Marking observer;
    try {
      FineTune("text-classification", resuming, observer, observer.stop);
    } catch (const Error& error) {
      ADD_FAILURE() << loss.where << ": " << error.what();
      return;
    }
    EXPECT_TRUE(ContentOf(options.out) == expected) << loss.where;
    const auto reported = unbroken.checkpoints.upper_bound(loss.num_operations);
    const bool was_done = std::any_of(observer.notes.begin(), observer.notes.end(), [](const std::string& note) {
      return note.find("is the result of this run already") != std::string::npos;
    });
    if (reported != unbroken.checkpoints.begin() && !was_done) {
      EXPECT_GE(observer.resumed, std::prev(reported)->second) << loss.where;
    }
    for (const std::string& name : folder.List()) EXPECT_EQ(name.find(".partial-"), std::string::npos) << loss.where << ": " << name;
  });
  std::printf("%7zu states of a training after a power loss\n", num_states);
  EXPECT_GE(unbroken.checkpoints.size(), 2u);
}

}  // namespace
}  // namespace mlac
