#pragma once
// Fine-tuning a classifier: epochs, evaluation, checkpoints that give the same bits when resumed.
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/model.h"
#include "tensor/token_batch.h"

namespace mlac {

// Texts as tokens, with a label each. lines: where each text stands in its file, for messages.
struct LabelledTokens {
  TokenBatch tokens;
  std::vector<int32_t> labels;
  std::vector<size_t> lines;

  size_t size() const { return labels.size(); }
};

struct TrainingOptions {
  size_t num_epochs = 3;
  double learning_rate = 5e-5;
  size_t batch_size = 32;
  double max_grad_norm = 1.0;  // 0: no clipping
  double warmup = 0.1;         // share of all steps
  double weight_decay = 0.01;
  size_t save_steps = 100;   // a checkpoint every so many steps; 0: none but on interruption
  size_t max_tokens = 0;     // tokens computed at once, 0: the whole batch; changes no bit
  size_t patience = 2;       // epochs without a better validation score before training stops; 0: never
  uint64_t seed = 0;
  bool freeze = false;         // only the head learns
  bool class_weights = false;  // each label weighs as if all were equally frequent
  size_t num_threads = 1;
};

// What a step did.
struct StepReport {
  size_t step = 0;       // from 1
  size_t num_steps = 0;  // of the whole run
  size_t epoch = 0;      // from 1
  double loss = 0, gradient_norm = 0, learning_rate = 0;
  size_t num_examples = 0, num_tokens = 0;
};

struct EpochReport {
  size_t epoch = 0;  // from 1
  size_t step = 0;   // steps done
  double train_loss = 0;
  bool has_validation = false;
  double validation_loss = 0, accuracy = 0, macro_f1 = 0;
  bool best = false;  // the best so far
};

// Told of progress, from the training thread.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnResume(size_t step) = 0;
  virtual void OnStep(const StepReport& report) = 0;
  virtual void OnEpoch(const EpochReport& report) = 0;
  virtual void OnCheckpoint(size_t step, const std::string& folder) = 0;
  virtual void OnEarlyStop(size_t epoch) = 0;
};

struct TrainingResult {
  std::vector<double> step_losses;
  std::vector<EpochReport> epochs;
  size_t best_epoch = 0;  // whose weights the model now holds; the last without validation
};

// A checkpoint is a folder of training.safetensors (weights and moments), best.safetensors (weights of the best epoch so far, if any) and
// state.json; it appears whole or not at all. docs/file-formats.md describes it.
struct CheckpointOptions {
  std::string folder;                            // "" : no checkpoints
  bool resume = false;                           // begin from the one in `folder`
  std::map<std::string, std::string> identity;   // what must be the same for a resumed run to be the same run: name to value
};

// Trains model (built with a classification head) and leaves the weights of the best epoch in it. validation may be empty. The weights are a
// function of model, data, options (save_steps, max_tokens and num_threads excepted) and identity alone.
// Throws kCancelled, after writing a checkpoint, once *stop is true; kInvalidInput with step, lines and advice if the loss or a gradient is
// not finite; kNotFound or kInvalidInput for a checkpoint that is missing or of another run.
TrainingResult TrainClassifier(Model& model, const LabelledTokens& train, const LabelledTokens& validation, const TrainingOptions& options,
                               const CheckpointOptions& checkpoint, TrainingObserver& observer, const std::atomic<bool>& stop);

// Logits of all texts, [texts, labels] row-major, in batches of some thousand tokens.
std::vector<float> Predict(const Model& model, Run& run, const TokenBatch& tokens);

// The index of the greatest logit of each row, the first of equals.
std::vector<int32_t> Argmax(std::span<const float> logits, size_t num_labels);

}  // namespace mlac
