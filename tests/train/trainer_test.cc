// What training promises: the same bits whatever computes them and however often the run is broken off, and no silent failure.
#include "train/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>

#include "tests/support/bit_hashes.h"
#include "tests/support/numbers.h"
#include "tests/support/test_support.h"
#include "tests/train/tiny_training.h"
#include "train/optimizer.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::Recorder;
using test::SameBits;
using test::TinyRun;
using test::TinyTexts;
using test::Weights;

constexpr float kInfinity = std::numeric_limits<float>::infinity(), kNotANumber = std::numeric_limits<float>::quiet_NaN();

Parameter& Find(Model& model, const std::string& name) {
  for (Parameter& parameter : model.parameters().parameters())
    if (parameter.name == name) return parameter;
  throw std::runtime_error("no parameter " + name);
}

// Memory of its own for a weight that may be borrowed from a file, and then another first element.
void SetFirst(Model& model, const std::string& name, float value) {
  Parameter& parameter = Find(model, name);
  parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
  parameter.value.mutable_floats()[0] = value;
}

void Fill(Model& model, const std::string& name, float value) {
  Parameter& parameter = Find(model, name);
  parameter.value = Tensor::Zeros(parameter.value.shape());
  for (float& x : parameter.value.mutable_floats()) x = value;
}

// ---- The same bits ----

TEST(Trainer, GivesTheSameBitsForAnyNumberOfThreads) {
  std::vector<float> expected;
  for (const size_t num_threads : {1, 2, 3, 5}) {
    TinyRun run;
    run.validation = TinyTexts(17, 2);
    run.options.num_threads = num_threads;
    const std::vector<float> weights = run.Train();
    if (expected.empty()) expected = weights;
    EXPECT_TRUE(SameBits(weights, expected)) << num_threads << " threads";
  }
}

TEST(Trainer, GivesTheSameBitsForAnyMaxTokens) {
  const std::vector<float> expected = TinyRun().Train();
  for (const size_t max_tokens : {1, 13, 14, 15, 30, 60, 1000}) {  // 14: the longest text; 60: about two parts a batch
    TinyRun run;
    run.options.max_tokens = max_tokens;
    run.options.num_threads = 1 + max_tokens % 3;
    EXPECT_TRUE(SameBits(run.Train(), expected)) << "max_tokens " << max_tokens;
  }
}

TEST(Trainer, GivesTheBitsOfTheLargeBatchForGradientAccumulation) {
  const std::vector<float> expected = TinyRun().Train();  // batches of 8
  for (const auto& [size, times] : {std::pair<size_t, size_t>{4, 2}, {2, 4}, {1, 8}}) {
    TinyRun run;
    run.options.batch_size = size;
    run.options.gradient_accumulation = times;
    run.options.num_threads = times % 3 + 1;
    EXPECT_TRUE(SameBits(run.Train(), expected)) << times << " batches of " << size;
    EXPECT_EQ(run.recorder.steps.size(), 12u);
    EXPECT_EQ(run.recorder.steps.front().num_examples, 8u);
  }
  TinyRun one, parts;  // at the last batch of an epoch, which has 4 texts, too
  one.options.batch_size = 6;
  parts.options.batch_size = 2;
  parts.options.gradient_accumulation = 3;
  parts.options.max_tokens = 20;
  EXPECT_TRUE(SameBits(parts.Train(), one.Train()));
}

TEST(Trainer, GivesTheSameBitsInLessMemoryWithGradientCheckpointing) {
  for (const char* family : {"models/classifier", "families/distilbert", "families/electra", "families/mpnet_vocab_only"}) {
    SCOPED_TRACE(family);
    const auto train = [&](const std::function<void(TrainingOptions&)>& set) {
      TinyRun run;
      run.model = OpenModel(test::FixturePath(family),
                            HeadRequest{.head = Head::kSequenceClassification, .num_labels = test::kTinyLabels, .fresh = true, .seed = 7});
      run.options.num_epochs = 1;
      set(run.options);
      std::vector<float> weights = run.Train();
      return std::pair(std::move(weights), run.result.memory);
    };
    const auto [expected, plain] = train([](TrainingOptions&) {});
    EXPECT_EQ(plain.without_recompute, 0u);
    for (const size_t max_tokens : {0, 20}) {
      const auto [weights, memory] = train([&](TrainingOptions& options) {
        options.gradient_checkpointing = true;
        options.max_tokens = max_tokens;
        options.num_threads = 1 + max_tokens / 10;
      });
      EXPECT_TRUE(SameBits(weights, expected)) << "max_tokens " << max_tokens;
      EXPECT_LT(memory.peak, plain.peak) << "max_tokens " << max_tokens;
      EXPECT_GT(memory.without_recompute, memory.peak) << "max_tokens " << max_tokens;
    }
  }
}

// On every path, the one that multiplies rounded numbers in f32 included.
TEST(Trainer, GivesTheSameBitsInBf16ForAnyThreadsPartsAndGradientCheckpointing) {
  test::ForEachBound([](std::string_view bound) {
    const auto train = [](const std::function<void(TrainingOptions&)>& set) {
      TinyRun run;
      run.options.dtype = DType::kBF16;
      run.options.batch_size = 16;  // 48 to 224 tokens: some batches fill a block of the weights' gradients, none fills two
      set(run.options);
      return run.Train();
    };
    const std::vector<float> expected = train([](TrainingOptions&) {});
    for (const size_t max_tokens : {1, 30, 60, 129}) {
      EXPECT_TRUE(SameBits(train([&](TrainingOptions& options) {
                             options.max_tokens = max_tokens;
                             options.num_threads = 1 + max_tokens % 3;
                             options.gradient_checkpointing = max_tokens % 2 == 0;
                           }),
                           expected))
          << bound << ", max_tokens " << max_tokens;
    }
    EXPECT_TRUE(SameBits(train([](TrainingOptions& options) {
                           options.batch_size = 4;
                           options.gradient_accumulation = 4;
                         }),
                         expected))
        << bound << ", four batches a step";
    EXPECT_FALSE(SameBits(train([](TrainingOptions& options) { options.dtype = DType::kF32; }), expected)) << bound << ": nothing was rounded";
  });
}

TEST(Trainer, LearnsInBf16WhatItLearnsInF32) {
  const auto train = [](DType dtype) {
    TinyRun run;
    run.options.dtype = dtype;
    run.options.num_epochs = 20;
    run.options.learning_rate = 5e-3;
    run.Train();
    return run.result.epochs.back().train_loss;
  };
  const double f32 = train(DType::kF32);
  EXPECT_LT(f32, 0.7) << "it learnt nothing: the test shows nothing";
  EXPECT_NEAR(train(DType::kBF16), f32, 0.15);
}

TEST(Trainer, GivesTheCommittedBitsAfterTwentyStepsOnEveryInstructionSet) {
  const auto train = [](std::string_view what) {
    TinyRun run;
    run.options.num_epochs = 5;  // of 4 steps
    run.Train();
    ASSERT_EQ(run.result.step_losses.size(), 20u);
    test::BitHashes hashes;
    for (const Parameter& parameter : run.model->parameters().parameters()) hashes[parameter.name] = test::HexHash(parameter.value.floats());
    test::ExpectBitHashes("training", hashes, what);
  };
  if (test::WritesBitHashes()) return train("scalar");
  test::ForEachInstructionSet(train);
}

TEST(Trainer, GivesOtherBitsForAnotherSeedOrderOrDropout) {
  const std::vector<float> expected = TinyRun().Train();
  TinyRun run;
  run.options.seed = 1;
  EXPECT_FALSE(SameBits(run.Train(), expected));
}

TEST(Trainer, LeavesAModelWhoseAnswersComeFromTheTrainedWeights) {
  for (const bool freeze : {false, true}) {
    TinyRun run;
    run.options.freeze = freeze;
    run.options.learning_rate = 0.05;
    mlac::Run inference;
    const std::vector<float> before = Predict(*run.model, inference, run.train);  // may keep something of the old weights
    run.Train();
    const std::vector<float> after = Predict(*run.model, inference, run.train);
    EXPECT_FALSE(SameBits(after, before));
    const std::unique_ptr<Model> fresh = test::TinyModel();
    for (Parameter& parameter : run.model->parameters().parameters()) Find(*fresh, parameter.name).value = parameter.value;
    EXPECT_TRUE(SameBits(Predict(*fresh, inference, run.train), after)) << "freeze " << freeze;
  }
}

// ---- Going on after an interruption ----

struct Variant {
  const char* name;
  std::function<void(TinyRun&)> set;
};

const std::vector<Variant>& Variants() {
  static const std::vector<Variant> variants = {
      {"plain", [](TinyRun&) {}},
      {"validation", [](TinyRun& run) { run.validation = TinyTexts(17, 2); }},
      {"early stopping",
       [](TinyRun& run) {
         run.validation = TinyTexts(17, 2);
         run.options.num_epochs = 6;
         run.options.patience = 1;
         run.options.learning_rate = 0.02;
       }},
      {"frozen encoder",
       [](TinyRun& run) {
         run.options.freeze = true;
         run.validation = TinyTexts(17, 2);
       }},
      {"class weights", [](TinyRun& run) { run.objective.class_weights = true; }},
      {"gradient accumulation and layer decay",
       [](TinyRun& run) {
         run.options.batch_size = 3;
         run.options.gradient_accumulation = 4;
         run.options.layer_decay = 0.8;
       }},
      {"bf16", [](TinyRun& run) { run.options.dtype = DType::kBF16; }},
      {"one text a step, one part a text",
       [](TinyRun& run) {
         run.train = TinyTexts(7, 1);
         run.options.batch_size = 1;
         run.options.max_tokens = 1;
       }},
  };
  return variants;
}

void ExpectSameResult(const TrainingResult& found, const TrainingResult& expected) {
  EXPECT_EQ(found.step_losses, expected.step_losses);
  EXPECT_EQ(found.best_epoch, expected.best_epoch);
  ASSERT_EQ(found.epochs.size(), expected.epochs.size());
  for (size_t i = 0; i < found.epochs.size(); ++i) {
    EXPECT_EQ(found.epochs[i].train_loss, expected.epochs[i].train_loss);
    EXPECT_EQ(found.epochs[i].validation.loss, expected.epochs[i].validation.loss);
    EXPECT_EQ(found.epochs[i].validation.score, expected.epochs[i].validation.score);
    EXPECT_EQ(found.epochs[i].best, expected.epochs[i].best);
  }
}

TEST(Resume, GivesTheBitsOfTheUnbrokenRunFromEveryStep) {
  for (const Variant& variant : Variants()) {
    SCOPED_TRACE(variant.name);
    TinyRun unbroken;
    variant.set(unbroken);
    const std::vector<float> expected = unbroken.Train();
    const size_t num_steps = unbroken.result.step_losses.size();
    for (size_t step = 1; step < num_steps; ++step) {
      SCOPED_TRACE(step);
      const test::TemporaryFolder folder;
      TinyRun first;
      variant.set(first);
      first.checkpoint = {.folder = folder / "out/checkpoint", .resume_command = "mlac train --resume", .identity = {{"data", "tiny"}}};
      first.recorder.after_step = [&](size_t done) { first.recorder.stop = done == step; };
      const Error error = ExpectError(ErrorCode::kCancelled, "interrupted after step " + std::to_string(step) + " of " +
                                                                 std::to_string(first.options.num_epochs * ((first.train.size() + first.options.step_size() - 1) / first.options.step_size())),
                                      [&] { first.Train(); });
      EXPECT_EQ(error.hint(), "go on with: mlac train --resume");
      EXPECT_EQ(first.recorder.checkpoints, std::vector<size_t>{step});

      TinyRun second;
      variant.set(second);
      second.options.num_threads = 2;
      second.options.max_tokens = 40;
      second.options.gradient_checkpointing = step % 2 == 0;
      second.checkpoint = first.checkpoint;
      second.checkpoint.resume = true;
      EXPECT_TRUE(SameBits(second.Train(), expected));
      EXPECT_EQ(second.recorder.resumed, std::vector<size_t>{step});
      EXPECT_EQ(second.recorder.steps.size(), num_steps - step);
      ExpectSameResult(second.result, unbroken.result);
    }
  }
}

TEST(Resume, GivesTheBitsOfTheUnbrokenRunBrokenOffAfterEachStep) {
  for (const Variant& variant : Variants()) {
    SCOPED_TRACE(variant.name);
    TinyRun unbroken;
    variant.set(unbroken);
    const std::vector<float> expected = unbroken.Train();
    const test::TemporaryFolder folder;
    std::vector<float> found;
    for (size_t attempt = 0; found.empty() && attempt < 100; ++attempt) {
      TinyRun run;
      variant.set(run);
      run.checkpoint = {.folder = folder / "out/checkpoint", .resume = attempt > 0};
      run.recorder.after_step = [&](size_t) { run.recorder.stop = true; };
      try {
        found = run.Train();
        ExpectSameResult(run.result, unbroken.result);
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::kCancelled) << error.what();
      }
    }
    EXPECT_TRUE(SameBits(found, expected));
    EXPECT_EQ(folder.List().front(), "out");
    for (const std::string& name : folder.List()) EXPECT_EQ(name.find("partial"), std::string::npos) << name;
  }
}

TEST(Resume, OnlyMeasuresWhatWasInterruptedWhileItWasMeasured) {
  for (const Variant& variant : Variants()) {
    SCOPED_TRACE(variant.name);
    TinyRun unbroken;
    variant.set(unbroken);
    const std::vector<float> expected = unbroken.Train();
    const size_t num_steps = unbroken.result.step_losses.size();
    const test::TemporaryFolder folder;
    TinyRun first;
    variant.set(first);
    first.checkpoint = {.folder = folder / "checkpoint", .resume_command = "mlac train --resume"};
    try {
      first.Train([](mlac::Run&) { throw Error(ErrorCode::kCancelled, "interrupted"); });
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled);
      EXPECT_TRUE(error.message().starts_with("interrupted after step " + std::to_string(num_steps) + " of ")) << error.message();
      EXPECT_EQ(error.hint(), "go on with: mlac train --resume");
    }
    EXPECT_EQ(first.recorder.checkpoints, std::vector<size_t>{num_steps});

    TinyRun second;
    variant.set(second);
    second.checkpoint = first.checkpoint;
    second.checkpoint.resume = true;
    std::vector<float> measured;
    const std::vector<float> found = second.Train([&](mlac::Run& run) {
      EXPECT_EQ(run.tape(), nullptr);
      EXPECT_EQ(run.dtype(), DType::kF32);
      measured = Weights(*second.model);
    });
    EXPECT_TRUE(SameBits(found, expected));
    EXPECT_TRUE(SameBits(measured, expected));
    EXPECT_TRUE(second.recorder.steps.empty());
    ExpectSameResult(second.result, unbroken.result);
  }
}

TEST(Trainer, PassesOnWhatElseFailsWhileItMeasures) {
  const test::TemporaryFolder folder;
  TinyRun run;
  run.checkpoint = {.folder = folder / "checkpoint"};
  ExpectError(ErrorCode::kInvalidInput, "broken", [&] { run.Train([](mlac::Run&) { throw Error(ErrorCode::kInvalidInput, "broken"); }); });
  EXPECT_TRUE(run.recorder.checkpoints.empty());
}

// Asks for a stop while a part of a step is computed, the `part`-th of all from 1.
class StoppingObjective : public Objective {
 public:
  StoppingObjective(Objective& objective, size_t part, std::atomic<bool>& stop) : objective_(objective), part_(part), stop_(stop) {}
  size_t num_examples() const override { return objective_.num_examples(); }
  size_t num_validation_examples() const override { return 0; }
  std::string Places(std::span<const size_t> examples) const override { return objective_.Places(examples); }
  TokenBatch Begin(std::span<const size_t> examples, size_t step) override { return objective_.Begin(examples, step); }
  double total_weight() const override { return objective_.total_weight(); }
  void AddGradients(mlac::Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    objective_.AddGradients(run, tape, part, first_sequence, loss);
    if (++num_parts == part_) stop_ = true;
  }
  ValidationReport Validate(mlac::Run& run, const std::function<void()>& before_batch) override {
    return objective_.Validate(run, before_batch);
  }

  size_t num_parts = 0;

 private:
  Objective& objective_;
  const size_t part_;
  std::atomic<bool>& stop_;
};

TEST(Resume, GivesTheBitsOfTheUnbrokenRunBrokenOffWithinAStep) {
  const auto set = [](TinyRun& run) {
    run.options.batch_size = 2;
    run.options.gradient_accumulation = 4;  // a step has four parts
  };
  TinyRun unbroken;
  set(unbroken);
  const std::vector<float> expected = unbroken.Train();
  for (const size_t part : {1, 6, 7}) {
    SCOPED_TRACE(part);
    const test::TemporaryFolder folder;
    TinyRun first;
    set(first);
    first.checkpoint = {.folder = folder / "checkpoint"};
    const std::unique_ptr<Objective> objective = MakeSequenceObjective(*first.model, first.train, first.validation, first.objective);
    StoppingObjective stopping(*objective, part, first.recorder.stop);
    ExpectError(ErrorCode::kCancelled, "interrupted after step " + std::to_string(part / 4) + " of 12",
                [&] { mlac::Train(*first.model, stopping, first.options, first.checkpoint, first.recorder, first.recorder.stop); });
    EXPECT_EQ(stopping.num_parts, part) << "it went on";
    TinyRun second;
    set(second);
    second.checkpoint = first.checkpoint;
    second.checkpoint.resume = part > 4;  // else there is no step to go on from
    EXPECT_TRUE(SameBits(second.Train(), expected));
  }
}

TEST(Resume, GivesTheBitsOfTheUnbrokenRunFromTheCheckpointsOfEveryFewSteps) {
  TinyRun unbroken;
  unbroken.validation = TinyTexts(17, 2);
  const std::vector<float> expected = unbroken.Train();
  for (const size_t save_steps : {1, 2, 3, 4, 5, 11}) {
    const test::TemporaryFolder folder;
    TinyRun saving;
    saving.validation = TinyTexts(17, 2);
    saving.options.save_steps = save_steps;
    saving.checkpoint = {.folder = folder / "checkpoint"};
    EXPECT_TRUE(SameBits(saving.Train(), expected)) << "saving changes nothing";
    std::vector<size_t> steps;
    for (size_t step = save_steps; step < 12; step += save_steps) steps.push_back(step);
    EXPECT_EQ(saving.recorder.checkpoints, steps);
    TinyRun resumed;  // as after kill -9 in the last steps
    resumed.validation = TinyTexts(17, 2);
    resumed.checkpoint = {.folder = folder / "checkpoint", .resume = true};
    EXPECT_TRUE(SameBits(resumed.Train(), expected)) << "every " << save_steps;
    EXPECT_EQ(resumed.recorder.resumed, std::vector<size_t>{steps.back()});
  }
}

TEST(Resume, StopsBeforeTheFirstStepWithoutACheckpoint) {
  const test::TemporaryFolder folder;
  TinyRun run;
  run.checkpoint = {.folder = folder / "out/checkpoint"};
  run.recorder.stop = true;
  const Error error = ExpectError(ErrorCode::kCancelled, "interrupted after step 0 of 12", [&] { run.Train(); });
  EXPECT_EQ(error.hint(), "");
  EXPECT_TRUE(folder.List().empty());
}

TEST(Resume, StopsWhileTheFeaturesOfAFrozenEncoderAreComputed) {
  TinyRun run;
  run.options.freeze = true;
  run.recorder.stop = true;
  ExpectError(ErrorCode::kCancelled, "interrupted after step 0 of 12", [&] { run.Train(); });
}

// ---- Which weights are kept ----

// Measures what it is told to, epoch by epoch, and learns like the objective that it stands for.
class ScriptedObjective : public Objective {
 public:
  // epoch: from 0, where it begins.
  ScriptedObjective(Objective& objective, std::vector<ValidationReport> reports, size_t epoch)
      : objective_(objective), reports_(std::move(reports)), epoch_(epoch) {}
  size_t num_examples() const override { return objective_.num_examples(); }
  size_t num_validation_examples() const override { return 1; }
  std::string Places(std::span<const size_t> examples) const override { return objective_.Places(examples); }
  TokenBatch Begin(std::span<const size_t> examples, size_t step) override {
    epoch_ = step / 4;  // of the tiny run
    return objective_.Begin(examples, step);
  }
  double total_weight() const override { return objective_.total_weight(); }
  void AddGradients(mlac::Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    objective_.AddGradients(run, tape, part, first_sequence, loss);
  }
  ValidationReport Validate(mlac::Run&, const std::function<void()>&) override { return reports_.at(epoch_); }

 private:
  Objective& objective_;
  const std::vector<ValidationReport> reports_;
  size_t epoch_;
};

ValidationReport Measured(double loss, double score, bool is_telling = true) {
  return {.loss = loss, .figures = {}, .score = score, .is_telling = is_telling};
}

// A run of ten epochs of 4 steps that stops early, broken off and resumed behind each step.
struct Scripted {
  std::vector<ValidationReport> reports;
  size_t patience, num_warmup_epochs, num_epochs, best_epoch;  // the latter two: what is to come of it
};

TEST(Trainer, KeepsTheBestEpochAndStopsWhenNoneBringsAnything) {
  for (const Scripted& scripted :
       {Scripted{{Measured(1, 0.5), Measured(0.9, 0.7), Measured(1, 0.6), Measured(1.1, 0.7)}, 2, 0, 4, 2},
        // The loss falls: it goes on; the score decides.
        Scripted{{Measured(1, 0.5), Measured(0.9, 0.4), Measured(0.8, 0.4), Measured(0.9, 0.4)}, 1, 0, 4, 1},
        // Of equal scores the lower loss.
        Scripted{{Measured(1, 0.5), Measured(0.9, 0.5), Measured(0.95, 0.5)}, 1, 0, 3, 2},
        // No score says anything: the lowest loss, though an epoch before had another score by chance.
        Scripted{{Measured(1, 0.13, false), Measured(0.9, 0, false), Measured(0.8, 0, false), Measured(0.85, 0, false)}, 1, 0, 4, 3},
        Scripted{{Measured(1, 0.13, false), Measured(0.9, 0.1, false), Measured(1.1, 0.12), Measured(1.2, 0.11)}, 2, 0, 4, 3},
        // The warm-up is three epochs: nothing counts before.
        Scripted{{Measured(1, 0), Measured(1, 0), Measured(1, 0), Measured(1, 0), Measured(1, 0)}, 2, 3, 5, 1}}) {
    const auto set = [&](TinyRun& run) {
      run.options.num_epochs = 10;
      run.options.patience = scripted.patience;
      run.options.warmup = 0.1 * static_cast<double>(scripted.num_warmup_epochs);
    };
    const auto train = [&](TinyRun& run, size_t done = 0) {
      const std::unique_ptr<Objective> learnt = MakeSequenceObjective(*run.model, run.train, run.validation, run.objective);
      ScriptedObjective objective(*learnt, scripted.reports, done == 0 ? 0 : (done - 1) / 4);
      run.result = mlac::Train(*run.model, objective, run.options, run.checkpoint, run.recorder, run.recorder.stop);
      return Weights(*run.model);
    };
    TinyRun unbroken;
    set(unbroken);
    std::vector<std::vector<float>> after_epoch;
    unbroken.recorder.after_epoch = [&](size_t) { after_epoch.push_back(Weights(*unbroken.model)); };
    const std::vector<float> weights = train(unbroken);
    EXPECT_EQ(unbroken.result.epochs.size(), scripted.num_epochs);
    EXPECT_EQ(unbroken.recorder.stopped_after, scripted.num_epochs);
    EXPECT_EQ(unbroken.result.best_epoch, scripted.best_epoch);
    EXPECT_TRUE(unbroken.result.epochs.at(scripted.best_epoch - 1).best);
    EXPECT_TRUE(SameBits(weights, after_epoch.at(scripted.best_epoch - 1)));
    for (size_t step = 2; step < 4 * scripted.num_epochs; step += 3) {
      const test::TemporaryFolder folder;
      TinyRun first, second;
      set(first);
      set(second);
      first.checkpoint = {.folder = folder / "checkpoint"};
      first.recorder.after_step = [&](size_t done) { first.recorder.stop = done == step; };
      ExpectError(ErrorCode::kCancelled, "interrupted after step " + std::to_string(step) + " of 40", [&] { train(first); });
      second.checkpoint = {.folder = folder / "checkpoint", .resume = true};
      EXPECT_TRUE(SameBits(train(second, step), weights)) << "broken off after step " << step;
      EXPECT_EQ(second.recorder.stopped_after, scripted.num_epochs);
      EXPECT_EQ(second.result.best_epoch, scripted.best_epoch);
    }
  }
}

TEST(Trainer, AScoreThatIsNoBetterThanOneAnswerSaysNothing) {
  for (const double learning_rate : {0.0, 1e-4, 1e-3, 1e-2}) {
    TinyRun run;
    run.validation = TinyTexts(40, 2);
    run.options.learning_rate = learning_rate;
    run.Train();
    std::array<double, test::kTinyLabels> counts = {};
    for (const int32_t label : run.validation.labels) ++counts[static_cast<size_t>(label)];
    const double share = *std::max_element(counts.begin(), counts.end()) / 40, of_one_label = 2 * share / (1 + share) / test::kTinyLabels;
    for (const EpochReport& epoch : run.result.epochs)
      EXPECT_EQ(epoch.validation.is_telling, epoch.validation.score > of_one_label + 1e-12) << learning_rate << ", epoch " << epoch.epoch;
  }
}

TEST(Trainer, TellsTheMeanLossOfTheEpochSoFar) {
  TinyRun unbroken;
  unbroken.Train();
  for (const StepReport& step : unbroken.recorder.steps) {
    double sum = 0;
    size_t count = 0;
    for (const StepReport& each : unbroken.recorder.steps)
      if (each.epoch == step.epoch && each.step <= step.step) sum += each.loss, ++count;
    EXPECT_NEAR(step.epoch_loss, sum / static_cast<double>(count), 1e-12) << step.step;
  }
  const test::TemporaryFolder folder;
  TinyRun first, second;
  first.checkpoint = {.folder = folder / "checkpoint"};
  first.recorder.after_step = [&](size_t step) { first.recorder.stop = step == 6; };
  ExpectError(ErrorCode::kCancelled, "interrupted after step 6 of 12", [&] { first.Train(); });
  second.checkpoint = {.folder = folder / "checkpoint", .resume = true};
  second.Train();
  EXPECT_NEAR(second.recorder.steps.front().epoch_loss, unbroken.recorder.steps[6].epoch_loss, 1e-12)
      << "with the steps before the interruption";
}

TEST(Trainer, KeepsTheLastEpochWithoutValidation) {
  TinyRun run;
  std::vector<float> last;
  run.recorder.after_epoch = [&](size_t) { last = Weights(*run.model); };
  const std::vector<float> weights = run.Train();
  EXPECT_TRUE(SameBits(weights, last));
  EXPECT_EQ(run.result.best_epoch, 3u);
  EXPECT_FALSE(run.result.epochs.front().has_validation);
}

TEST(Trainer, ChangesTheHeadAloneWhenTheEncoderIsFrozen) {
  TinyRun run;
  run.options.freeze = true;
  const std::unique_ptr<Model> before = test::TinyModel();
  run.Train();
  size_t num_changed = 0;
  for (const Parameter& parameter : before->parameters().parameters()) {
    const bool same = SameBits(parameter.value.floats(), Find(*run.model, parameter.name).value.floats());
    const bool in_head = parameter.name.starts_with("bert.pooler.") || parameter.name.starts_with("classifier.");
    EXPECT_EQ(same, !in_head) << parameter.name;
    num_changed += !same;
  }
  EXPECT_EQ(num_changed, 4u);  // weight and bias of pooler and classifier
}

TEST(Trainer, LayersLearnTheMoreSlowlyTheDeeperTheyLie) {
  const std::vector<std::string> names = {"bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.weight",
                                          "bert.encoder.layer.10.output.dense.bias", "bert.encoder.layer.11.attention.self.query.weight",
                                          "bert.pooler.dense.weight", "classifier.weight", "mpnet.encoder.relative_attention_bias.weight"};
  const std::vector<double> rates = LayerRates(names, {"bert.pooler.", "classifier."}, 0.5);
  EXPECT_EQ(rates, (std::vector<double>{1.0 / 4096, 1.0 / 2048, 0.5, 1, 1, 1, 1.0 / 4096}));
  for (const double rate : LayerRates(names, {}, 1)) EXPECT_EQ(rate, 1);
}

TEST(Trainer, MovesALayerByItsShareOfTheLearningRate) {
  // AdamW's first step has the length of the learning rate, whatever the gradient.
  const auto first_step = [](double layer_decay, const std::string& name) {
    TinyRun run;
    run.options.num_epochs = 1;
    run.options.batch_size = 100;
    run.options.weight_decay = 0;
    run.options.layer_decay = layer_decay;
    const Tensor before = Find(*run.model, name).value;
    run.Train();
    return std::fabs(Find(*run.model, name).value.floats()[0] - before.floats()[0]);
  };
  EXPECT_EQ(first_step(0.5, "classifier.weight"), first_step(1, "classifier.weight"));
  EXPECT_EQ(first_step(0.5, "bert.encoder.layer.1.output.dense.weight"), first_step(1, "bert.encoder.layer.1.output.dense.weight"));
  const std::string deep = "bert.encoder.layer.0.output.dense.weight";
  EXPECT_NEAR(first_step(0.5, deep) / first_step(1, deep), 0.5, 0.01);
}

TEST(Trainer, LearnsWhatThereIsToLearn) {
  TinyRun run;
  run.train = TinyTexts(120, 1);
  run.validation = TinyTexts(60, 2);
  run.options.num_epochs = 20;
  run.options.num_threads = 2;
  run.options.learning_rate = 1e-2;
  run.Train();
  EXPECT_LT(run.result.epochs.back().train_loss, 0.6 * run.result.epochs.front().train_loss);
  EXPECT_GT(run.result.epochs[run.result.best_epoch - 1].validation.figures[0].second, 0.7);
}

TEST(Trainer, WeighsRareLabelsLikeFrequentOnes) {
  TinyRun plain, weighted;
  weighted.objective.class_weights = true;
  EXPECT_FALSE(SameBits(weighted.Train(), plain.Train()));
  TinyRun even, even_weighted;  // equal counts: every weight is 1
  for (TinyRun* run : {&even, &even_weighted}) {
    run->train = TinyTexts(27, 1);
    for (size_t i = 0; i < 27; ++i) run->train.labels[i] = static_cast<int32_t>(i % 3);
  }
  even_weighted.objective.class_weights = true;
  EXPECT_TRUE(SameBits(even_weighted.Train(), even.Train()));
}

// ---- What is not finite ----

TEST(NotFinite, AWeightIsFoundBeforeTheFirstStep) {
  for (const auto& [value, shown] : {std::pair{kNotANumber, "nan"}, {kInfinity, "inf"}, {-kInfinity, "-inf"}}) {
    TinyRun run;
    SetFirst(*run.model, "bert.encoder.layer.1.output.dense.weight", value);
    ExpectError(ErrorCode::kInvalidInput,
                std::string("tensor 'bert.encoder.layer.1.output.dense.weight' of the model holds ") + shown +
                    " at element 0; expected finite numbers",
                [&] { run.Train(); });
    EXPECT_TRUE(run.recorder.steps.empty());
  }
}

TEST(NotFinite, ALossIsFoundInItsStepAndTheLastCheckpointIsKept) {
  const std::vector<float> expected = TinyRun().Train();
  const test::TemporaryFolder folder;
  TinyRun run;
  run.options.save_steps = 2;
  run.options.batch_size = 7;
  run.checkpoint = {.folder = folder / "checkpoint"};
  run.recorder.after_step = [&](size_t step) {
    if (step == 5) Fill(*run.model, "classifier.weight", 3e38f);
  };
  try {
    run.Train();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
    const std::string message = error.message();
    EXPECT_TRUE(message.starts_with("step 6: the loss is not finite; the largest weight is 3e+38, in 'classifier.weight'; the batch is tiny.csv lines "))
        << message;
    EXPECT_EQ(std::count(message.begin(), message.end(), ','), 1 + 1 + 4) << "seven lines: " << message;
    EXPECT_TRUE(error.hint().ends_with("the checkpoint of step 4 is kept")) << error.hint();
  }
  EXPECT_EQ(run.recorder.checkpoints, (std::vector<size_t>{2, 4}));
  TinyRun resumed, unbroken;
  resumed.options.batch_size = unbroken.options.batch_size = 7;
  resumed.checkpoint = {.folder = folder / "checkpoint", .resume = true};
  EXPECT_TRUE(SameBits(resumed.Train(), unbroken.Train()));
}

TEST(NotFinite, AGradientIsFoundInItsStepWithItsParameter) {
  TinyRun run;
  run.recorder.after_step = [&](size_t step) {
    if (step == 3) Fill(*run.model, "classifier.weight", 1e30f), SetFirst(*run.model, "classifier.weight", -1e30f);
  };
  try {
    run.Train();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_TRUE(error.message().starts_with("step 4: the gradient of '")) << error.message();
    EXPECT_NE(error.message().find("' is "), std::string::npos);
    EXPECT_NE(error.message().find("; the batch is tiny.csv lines "), std::string::npos) << error.message();
  }
}

TEST(NotFinite, LogitsOfAValidationTextAreFoundWithItsPlace) {
  TinyRun run;
  run.validation = TinyTexts(3, 2);
  run.options.learning_rate = 0;
  run.recorder.after_step = [&](size_t step) {
    if (step == 4) Fill(*run.model, "classifier.weight", 3e38f);
  };
  ExpectError(ErrorCode::kInvalidInput, "the logits of tiny.csv line 2 are not finite; the largest weight is 3e+38, in 'classifier.weight'",
              [&] { run.Train(); });
}

TEST(Spike, IsReportedInItsStepAndOnlyThen) {
  TinyRun run;
  run.options.num_epochs = 10;
  run.options.learning_rate = 1e-4;
  run.recorder.after_step = [&](size_t step) {
    if (step == 25) {
      Parameter& bias = Find(*run.model, "classifier.bias");
      bias.value.mutable_floats()[0] = 40;
    }
  };
  run.Train();
  ASSERT_FALSE(run.recorder.spikes.empty());
  const SpikeReport& spike = run.recorder.spikes.front();
  EXPECT_EQ(spike.step, 26u);
  EXPECT_GT(spike.loss, 3 * spike.usual_loss + 1);
  EXPECT_EQ(spike.places.substr(0, 15), "tiny.csv lines ");
  EXPECT_FALSE(spike.parameter.empty());
  TinyRun calm;
  calm.options.num_epochs = 10;
  calm.Train();
  EXPECT_TRUE(calm.recorder.spikes.empty());
}

// ---- The learning rate ----

TEST(LearningRate, RisesFromZeroToThePeakAndFallsToZero) {
  EXPECT_EQ(LearningRate(2, 0, 4, 12), 0);
  EXPECT_EQ(LearningRate(2, 1, 4, 12), 0.5);
  EXPECT_EQ(LearningRate(2, 3, 4, 12), 1.5);
  EXPECT_EQ(LearningRate(2, 4, 4, 12), 2);
  EXPECT_EQ(LearningRate(2, 8, 4, 12), 1);
  EXPECT_EQ(LearningRate(2, 11, 4, 12), 0.25);
  EXPECT_EQ(LearningRate(2, 12, 4, 12), 0);
}

TEST(LearningRate, StartsAtThePeakWithoutWarmUp) {
  EXPECT_EQ(LearningRate(2, 0, 0, 4), 2);
  EXPECT_EQ(LearningRate(2, 3, 0, 4), 0.5);
  EXPECT_EQ(LearningRate(2, 0, 0, 1), 2);
}

TEST(LearningRate, NeverStaysZeroInARunOfOneStep) {
  TinyRun run;
  run.options.num_epochs = 1;
  run.options.batch_size = 100;
  run.options.warmup = 1;
  EXPECT_FALSE(SameBits(run.Train(), Weights(*test::TinyModel())));
  EXPECT_EQ(run.recorder.steps.front().learning_rate, run.options.learning_rate);
}

TEST(LearningRate, ReachesThePeakInTheLastStepAtLeast) {
  TinyRun run;
  run.options.warmup = 1;
  run.Train();
  EXPECT_EQ(run.recorder.steps.back().learning_rate, run.options.learning_rate);
  EXPECT_EQ(run.recorder.steps.front().learning_rate, 0);
}

// ---- Options ----

TEST(Trainer, RefusesOptionsThatMakeNoSense) {
  const auto refuses = [](const char* message, const std::function<void(TinyRun&)>& set) {
    TinyRun run;
    set(run);
    ExpectError(ErrorCode::kInvalidArgument, message, [&] { run.Train(); });
  };
  refuses("the texts to train on: expected at least one", [](TinyRun& run) { run.train = {}; });
  refuses("epochs: expected at least 1", [](TinyRun& run) { run.options.num_epochs = 0; });
  refuses("batch size: expected at least 1", [](TinyRun& run) { run.options.batch_size = 0; });
  refuses("learning rate: expected a finite number from 0", [](TinyRun& run) { run.options.learning_rate = std::nan(""); });
  refuses("learning rate: expected a finite number from 0", [](TinyRun& run) { run.options.learning_rate = -1; });
  refuses("longest gradient: expected a number from 0", [](TinyRun& run) { run.options.max_grad_norm = -1; });
  refuses("warm-up: expected a share from 0 to 1", [](TinyRun& run) { run.options.warmup = 1.01; });
  refuses("gradient accumulation: expected at least 1", [](TinyRun& run) { run.options.gradient_accumulation = 0; });
  refuses("batches a step: expected at most 2^40 examples together", [](TinyRun& run) {  // 2^64 together, which is 0
    run.options.batch_size = size_t{1} << 40;
    run.options.gradient_accumulation = size_t{1} << 24;
  });
  refuses("layer decay: expected a number above 0, up to 1", [](TinyRun& run) { run.options.layer_decay = 0; });
  refuses("layer decay: expected a number above 0, up to 1", [](TinyRun& run) { run.options.layer_decay = 1.5; });
  refuses("layer decay: expected a number above 0, up to 1", [](TinyRun& run) { run.options.layer_decay = std::nan(""); });
  refuses("weight decay: expected a finite number from 0", [](TinyRun& run) { run.options.weight_decay = HUGE_VAL; });
}

TEST(Places, AreLinesOfTheFileOrFilesOfTheFolder) {
  LabelledTokens texts = TinyTexts(60, 1);
  const std::vector<size_t> rows = {0, 4, 9};
  EXPECT_EQ(texts.Places(std::span(rows).first(1)), "tiny.csv line 2");
  EXPECT_EQ(texts.Places(rows), "tiny.csv lines 2, 6 and 11");
  std::vector<size_t> all(60);
  for (size_t i = 0; i < 60; ++i) all[i] = i;
  EXPECT_TRUE(texts.Places(all).ends_with(", 50, 51 and 10 more")) << texts.Places(all);
  texts.source = "reviews";
  texts.files.assign(60, "pos/1.txt");
  EXPECT_EQ(texts.Places(std::span(rows).first(2)), "reviews texts pos/1.txt and pos/1.txt");
}

}  // namespace
}  // namespace mlac
