#pragma once
// Training a model on an objective: epochs, evaluation, checkpoints that give the same bits when resumed.
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "models/model.h"
#include "train/objective.h"

namespace mlac {

struct TrainingOptions {
  size_t num_epochs = 3;
  double learning_rate = 5e-5;
  size_t batch_size = 32;
  double max_grad_norm = 1.0;  // 0: no clipping
  double warmup = 0.1;         // share of all steps, the last one excepted
  double weight_decay = 0.01;
  size_t save_steps = 100;   // a checkpoint every so many steps; 0: none but on interruption
  size_t max_tokens = 0;     // tokens computed at once, 0: the whole batch; changes no bit
  size_t patience = 2;  // epochs without a better score or a lower loss of the validation before training stops (epoch_choice.h); 0: never
  uint64_t seed = 0;
  bool freeze = false;         // only the head learns; the encoder then runs once a text, without dropout
  size_t num_threads = 1;
  // A step learns from this many batches, computed one after another: the bits of one batch of so many times batch_size, in the memory of batch_size.
  size_t gradient_accumulation = 1;
  bool gradient_checkpointing = false;  // keeps the input of each layer and computes the rest again for the gradients; changes no bit
  double layer_decay = 1.0;  // AdamWOptions::layer_decay
  // kBF16: linear layers multiply numbers rounded to bf16, forward and backward, and sum in f32 (autograd/bf16_training.h). Weights and moments are f32,
  // and so is what is measured on the examples set aside. The bits then depend on the processor, too: kernels::Bf16PathInUse().
  DType dtype = DType::kF32;

  size_t step_size() const { return batch_size * gradient_accumulation; }  // examples a step
};

// What a step did.
struct StepReport {
  size_t step = 0;       // from 1
  size_t num_steps = 0;  // of the whole run
  size_t epoch = 0;      // from 1
  double loss = 0, gradient_norm = 0, learning_rate = 0;
  double epoch_loss = 0;  // mean of the steps of this epoch so far
  size_t num_examples = 0, num_tokens = 0;
};

// A loss far above those before it: above three times their mean, and 1 more.
struct SpikeReport {
  size_t step = 0;
  double loss = 0, usual_loss = 0;  // usual: the mean of the last 50 steps
  std::string parameter;            // whose gradient was the longest
  std::string places;               // of the batch
};

struct EpochReport {
  size_t epoch = 0;  // from 1
  size_t step = 0;   // steps done
  double train_loss = 0;
  bool has_validation = false;
  ValidationReport validation = {};  // where there is any
  bool best = false;                 // the best so far
};

// Told of progress, from the training thread.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnResume(size_t step) = 0;
  virtual void OnStep(const StepReport& report) = 0;
  virtual void OnSpike(const SpikeReport& report) = 0;
  virtual void OnEpoch(const EpochReport& report) = 0;
  virtual void OnCheckpoint(size_t step, const std::string& folder) = 0;
  virtual void OnEarlyStop(size_t epoch) = 0;
};

struct TrainingResult {
  std::vector<double> step_losses;
  std::vector<EpochReport> epochs;
  size_t best_epoch = 0;  // whose weights the model now holds; the last without validation
  PassMemory memory = {};  // of the forward and backward passes
  std::vector<std::string> notes = {};  // NotesOnTraining, once there are any
};

// A checkpoint is a folder of training.safetensors (weights and moments), best.safetensors (weights of the best epoch so far, if any),
// state.json and SHA256SUMS; it appears whole or not at all. docs/file-formats.md describes it.
struct CheckpointOptions {
  std::string folder = "";                       // "" : no checkpoints
  bool resume = false;                           // begin from the one in `folder`
  std::string resume_command = {};               // what a user types to go on, for the message of an interrupted run
  std::map<std::string, std::string> identity = {};  // what must be the same for a resumed run to be the same run: name to value
};

// Trains model on objective, which was made for it, and leaves the weights of the best epoch in it. The weights are a function of model,
// objective and options (save_steps, max_tokens, gradient_checkpointing and num_threads excepted) alone. measure, if any, is called once
// the weights are there, with a run of inference; if it throws kCancelled, the checkpoint that is written holds all steps, so that a run
// that is resumed only measures. Throws kCancelled, after writing a checkpoint, once `stop` is true: between two parts of a step or two
// batches of an evaluation. kInvalidInput with step, places of the batch and advice if a weight, the loss or a gradient is not finite:
// nothing is saved then, the last checkpoint stays. kNotFound or kInvalidInput for a checkpoint that is missing, broken or of another run;
// kInvalidArgument for options that make no sense.
TrainingResult Train(Model& model, Objective& objective, const TrainingOptions& options, const CheckpointOptions& checkpoint,
                     TrainingObserver& observer, const std::atomic<bool>& stop, const std::function<void(Run& run)>& measure = nullptr);

// "the largest weight is 3.2e+04, in 'classifier.weight'": for messages about numbers that are not finite.
std::string LargestWeight(const Model& model);

}  // namespace mlac
