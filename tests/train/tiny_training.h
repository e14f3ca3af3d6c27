#pragma once
// A training run of a tiny model on made-up texts: some milliseconds a step, with dropout.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "models/model_folder.h"
#include "tests/support/reference.h"
#include "train/sequence_objective.h"
#include "train/trainer.h"

namespace mlac::test {

constexpr size_t kTinyLabels = 3;

// The classifier of the parity fixtures (2 layers, 32 wide, dropout 0.1) with a new head.
inline std::unique_ptr<Model> TinyModel() {
  return OpenModel(FixturePath("models/classifier"),
                   HeadRequest{.head = Head::kSequenceClassification, .num_labels = kTinyLabels, .fresh = true, .seed = 7});
}

// Texts of 4 to 14 tokens; the label is what the second token is modulo 3, but every tenth is wrong. Labels are of different frequency.
inline LabelledTokens TinyTexts(size_t count, uint64_t seed) {
  LabelledTokens texts;
  texts.source = "tiny.csv";
  Random random(seed);
  for (size_t i = 0; i < count; ++i) {
    const size_t length = 4 + random.Below(11);
    std::vector<int32_t> ids = {2};
    for (size_t t = 2; t < length; ++t) ids.push_back(static_cast<int32_t>(17 + random.Below(100)));
    ids.push_back(3);
    const auto label = static_cast<int32_t>(std::min<uint64_t>(random.Below(4), 2));
    ids[1] = static_cast<int32_t>(60 + 3 * random.Below(2)) + (i % 10 == 9 ? (label + 1) % 3 : label);
    texts.tokens.token_ids.insert(texts.tokens.token_ids.end(), ids.begin(), ids.end());
    texts.tokens.token_type_ids.resize(texts.tokens.token_ids.size());
    texts.tokens.offsets.push_back(texts.tokens.token_ids.size());
    texts.labels.push_back(label);
    texts.lines.push_back(i + 2);
  }
  return texts;
}

inline std::vector<float> Weights(const Model& model) {
  std::vector<float> weights;
  for (const Parameter& parameter : model.parameters().parameters())
    weights.insert(weights.end(), parameter.value.floats().begin(), parameter.value.floats().end());
  return weights;
}

// Keeps what it is told; after_step is called behind each step and may raise `stop`.
struct Recorder : TrainingObserver {
  void OnResume(size_t step) override { resumed.push_back(step); }
  void OnStep(const StepReport& report) override {
    steps.push_back(report);
    if (after_step) after_step(report.step);
  }
  void OnSpike(const SpikeReport& report) override { spikes.push_back(report); }
  void OnEpoch(const EpochReport& report) override {
    epochs.push_back(report);
    if (after_epoch) after_epoch(report.epoch);
  }
  void OnCheckpoint(size_t step, const std::string&) override { checkpoints.push_back(step); }
  void OnEarlyStop(size_t epoch) override { stopped_after = epoch; }

  std::function<void(size_t)> after_step, after_epoch;
  std::atomic<bool> stop = false;
  std::vector<size_t> resumed, checkpoints;
  std::vector<StepReport> steps;
  std::vector<SpikeReport> spikes;
  std::vector<EpochReport> epochs;
  size_t stopped_after = 0;
};

struct TinyRun {
  TrainingOptions options = {.num_epochs = 3, .learning_rate = 2e-3, .batch_size = 8, .save_steps = 0, .patience = 0};
  SequenceObjectiveOptions objective = {};
  LabelledTokens train = TinyTexts(28, 1), validation = {};  // 28: the last batch of an epoch has 4
  CheckpointOptions checkpoint = {};
  Recorder recorder = {};
  std::unique_ptr<Model> model = TinyModel();
  TrainingResult result = {};

  // The weights that training gives.
  std::vector<float> Train(const std::function<void(mlac::Run& run)>& measure = nullptr) {
    const std::unique_ptr<Objective> learnt = MakeSequenceObjective(*model, train, validation, objective);
    result = mlac::Train(*model, *learnt, options, checkpoint, recorder, recorder.stop, measure);
    return Weights(*model);
  }
};

}  // namespace mlac::test
