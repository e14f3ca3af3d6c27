// A checkpoint is what was written, bit for bit, or it is refused.
#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "tests/support/numbers.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::ReadWhole;

// Two small parameters with moments, and a best epoch.
struct Small {
  std::deque<Parameter> parameters;
  std::unique_ptr<Optimizer> optimizer;
  std::vector<Tensor> best;
  TrainingState state = {.step = 3,
                         .num_steps = 9,
                         .step_losses = {1.0 / 3, 0.1, 5e-324},
                         .epochs = {{.epoch = 1,
                                     .step = 2,
                                     .train_loss = 0.7,
                                     .has_validation = true,
                                     .validation = {0.3, {{"accuracy", 0.9}, {"macro_f1", 2.0 / 3}}, 2.0 / 3, false},
                                     .best = true}},
                         .best_epoch = 1};
  std::map<std::string, std::string> identity = {{"--lr", "5e-05"}, {"data", "8d1f00000000000000"}};

  explicit Small(uint64_t seed) {
    parameters.push_back({"a.weight", Tensor::FromValues({2, 3}, test::RandomFloats(6, seed)), {}, true, {}});
    parameters.push_back({"a.bias", Tensor::FromValues({2}, test::RandomFloats(2, seed + 1)), {}, true, {}});
    optimizer = std::make_unique<Optimizer>(parameters, AdamWOptions{});
    for (Optimizer::Slot& slot : optimizer->slots()) {
      const Shape& shape = slot.parameter->value.shape();
      const auto random = [&](uint64_t stream) { return Tensor::FromValues(shape, test::RandomFloats(slot.parameter->value.num_elements(), seed + stream)); };
      slot.SetMoments(random(2), random(3));
      best.push_back(random(4));
    }
  }

  void Write(const std::string& folder, bool best_is_saved = false) { WriteCheckpoint(folder, identity, state, *optimizer, best, best_is_saved); }
  TrainingState Read(const std::string& folder) { return ReadCheckpoint(folder, identity, *optimizer, best); }

  std::vector<float> Values() const {
    std::vector<float> values;
    const auto add = [&](const Tensor& tensor) { values.insert(values.end(), tensor.floats().begin(), tensor.floats().end()); };
    for (const Optimizer::Slot& slot : optimizer->slots()) {
      add(slot.parameter->value);
      add(slot.moment1());
      add(slot.moment2());
    }
    for (const Tensor& tensor : best) add(tensor);
    return values;
  }
};

TEST(Checkpoint, ReadsBackWhatWasWritten) {
  const test::TemporaryFolder folder;
  Small written(1), read(100);
  written.Write(folder / "out/checkpoint");
  EXPECT_EQ(folder.List(), (std::vector<std::string>{"out", "out/checkpoint", "out/checkpoint/SHA256SUMS", "out/checkpoint/best.safetensors",
                                                     "out/checkpoint/state.json", "out/checkpoint/training.safetensors"}));
  const TrainingState state = read.Read(folder / "out/checkpoint");
  EXPECT_TRUE(test::SameBits(read.Values(), written.Values()));
  EXPECT_EQ(state.step, 3u);
  EXPECT_EQ(state.step_losses, written.state.step_losses);
  EXPECT_EQ(state.best_epoch, 1u);
  EXPECT_EQ(state.num_steps, 9u);
  ASSERT_EQ(state.epochs.size(), 1u);
  EXPECT_EQ(state.epochs[0].validation.loss, 0.3);
  EXPECT_EQ(state.epochs[0].validation.figures, written.state.epochs[0].validation.figures);
  EXPECT_EQ(state.epochs[0].validation.score, 2.0 / 3);
  EXPECT_FALSE(state.epochs[0].validation.is_telling);
  EXPECT_TRUE(state.epochs[0].best);
}

TEST(Checkpoint, ReplacesTheOneBeforeAndKeepsTheBestWithoutWritingItAgain) {
  const test::TemporaryFolder folder;
  Small small(1), read(100);
  small.Write(folder / "checkpoint");
  const auto inode = [&] { return fs::hard_link_count(folder / "checkpoint/best.safetensors"); };
  EXPECT_EQ(inode(), 1u);
  small.state.step_losses[0] = 0.25;
  small.Write(folder / "checkpoint", /*best_is_saved=*/true);
  EXPECT_EQ(inode(), 1u) << "the old folder is gone";
  EXPECT_EQ(read.Read(folder / "checkpoint").step_losses[0], 0.25);
  EXPECT_TRUE(test::SameBits(read.Values(), small.Values()));
  fs::remove(folder / "checkpoint/best.safetensors");  // nothing to link to: it is written
  small.Write(folder / "checkpoint", /*best_is_saved=*/true);
  read.Read(folder / "checkpoint");
  EXPECT_TRUE(test::SameBits(read.Values(), small.Values()));
}

TEST(Checkpoint, IsRefusedByARunWithAnotherIdentity) {
  const test::TemporaryFolder folder;
  Small small(1);
  small.Write(folder / "checkpoint");
  Small other(1);
  other.identity["--lr"] = "0.0001";
  const Error error = ExpectError(ErrorCode::kInvalidInput, folder / "checkpoint: the checkpoint is of a run with --lr 5e-05; now it is 0.0001",
                                  [&] { other.Read(folder / "checkpoint"); });
  EXPECT_EQ(error.hint(), "resume with what it was started with, or begin anew with --overwrite");
  other = Small(1);
  other.identity["data"] = "77a2000000000000ffff";
  ExpectError(ErrorCode::kInvalidInput, folder / "checkpoint: the checkpoint is of a run with data 8d1f000000000000; now it is 77a2000000000000",
              [&] { other.Read(folder / "checkpoint"); });
  other = Small(1);
  other.identity["--new"] = "1";
  ExpectError(ErrorCode::kInvalidInput, folder / "checkpoint: the checkpoint is of a run with --new absent; now it is 1",
              [&] { other.Read(folder / "checkpoint"); });
}

TEST(Checkpoint, SaysHowFarTheRunHadCome) {
  const test::TemporaryFolder folder;
  EXPECT_FALSE(LookAtCheckpoint(folder / "checkpoint")) << "there is none";
  Small small(1);
  small.Write(folder / "checkpoint");
  const std::optional<CheckpointProgress> progress = LookAtCheckpoint(folder / "checkpoint");
  ASSERT_TRUE(progress);
  EXPECT_EQ(progress->step, 3u);
  EXPECT_EQ(progress->num_steps, 9u);
  for (const char* broken : {"{", "[]", "{\"format_version\": 3}", "{\"format_version\": 2, \"step\": 3, \"num_steps\": 9}"}) {
    folder.Write("checkpoint/state.json", broken);
    EXPECT_FALSE(LookAtCheckpoint(folder / "checkpoint")) << broken;
  }
}

TEST(Checkpoint, IsRefusedInAnotherFormat) {
  const test::TemporaryFolder folder;
  Small small(1);
  small.Write(folder / "checkpoint");
  const std::string path = folder / "checkpoint/state.json", text = ReadWhole(path);
  for (const auto& [version, shown] : {std::pair{"2", "2"}, {"0", "0"}, {"\"3\"", "\"3\""}, {"null", "null"}, {"[]", "[]"}}) {
    std::string changed = text;
    changed.replace(changed.find("\"format_version\": 3") + 18, 1, version);
    folder.Write("checkpoint/state.json", changed);
    ExpectError(ErrorCode::kInvalidInput, path + ": format_version is " + shown + "; this mlac reads 3",
                [&] { small.Read(folder / "checkpoint"); });
  }
  folder.Write("checkpoint/state.json", "[1]");
  ExpectError(ErrorCode::kInvalidInput, path + ": there is no format_version", [&] { small.Read(folder / "checkpoint"); });
}

TEST(Checkpoint, IsRefusedWithAByteCutOffOrABitFlippedAnywhere) {
  const test::TemporaryFolder folder;
  Small small(1);
  small.Write(folder / "checkpoint");
  const std::vector<float> expected = small.Values();
  size_t num_tried = 0;
  const auto expect_refused = [&](const std::string& name, const std::string& content, const std::string& what) {
    folder.Write("checkpoint/" + name, content);
    ++num_tried;
    try {
      small.Read(folder / "checkpoint");
      ADD_FAILURE() << name << ", " << what << ": accepted";
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == ErrorCode::kInvalidInput) << name << ", " << what << ": " << error.what();
      EXPECT_EQ(error.message().find('\n'), std::string::npos) << error.message();
      EXPECT_TRUE(error.message().starts_with(folder / "checkpoint")) << error.message();
    }
  };
  for (const char* name : {"state.json", "training.safetensors", "best.safetensors", "SHA256SUMS"}) {
    const std::string whole = ReadWhole(folder / (std::string("checkpoint/") + name));
    for (size_t size = 0; size < whole.size(); ++size) expect_refused(name, whole.substr(0, size), "cut to " + std::to_string(size));
    for (size_t i = 0; i < whole.size(); ++i) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(flipped[i] ^ (1 << i % 8));
      expect_refused(name, flipped, "bit " + std::to_string(i % 8) + " of byte " + std::to_string(i));
    }
    folder.Write(std::string("checkpoint/") + name, whole);
  }
  EXPECT_TRUE(test::SameBits(small.Values(), expected)) << "a refused checkpoint changes nothing";
  small.Read(folder / "checkpoint");
  std::printf("%zu damaged checkpoints refused\n", num_tried);
}

TEST(Checkpoint, IsRefusedWithAFileMissing) {
  for (const char* name : {"state.json", "training.safetensors", "best.safetensors", "SHA256SUMS"}) {
    const test::TemporaryFolder folder;
    Small small(1);
    small.Write(folder / "checkpoint");
    fs::remove(folder / (std::string("checkpoint/") + name));
    EXPECT_THROW(small.Read(folder / "checkpoint"), Error) << name;
  }
  const test::TemporaryFolder empty;
  Small small(1);
  ExpectError(ErrorCode::kNotFound, empty / "checkpoint: there is no checkpoint to resume from", [&] { small.Read(empty / "checkpoint"); });
}

TEST(Checkpoint, LeavesNothingWhereItCannotBeWritten) {
  const test::TemporaryFolder folder;
  Small small(1);
  folder.Write("out/checkpoint", "a file");
  EXPECT_THROW(small.Write(folder / "out/checkpoint"), Error);
  EXPECT_EQ(folder.List(), (std::vector<std::string>{"out", "out/checkpoint"}));
  EXPECT_THROW(small.Write(folder / "absent/out/checkpoint"), Error);
  EXPECT_EQ(folder.List(), (std::vector<std::string>{"out", "out/checkpoint"}));
}

}  // namespace
}  // namespace mlac
