#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "autograd/bf16_training.h"
#include "autograd/run.h"
#include "base/error.h"
#include "base/find_not_finite.h"
#include "base/random.h"
#include "models/inference.h"
#include "train/checkpoint.h"
#include "train/epoch_choice.h"
#include "train/optimizer.h"

namespace mlac {
namespace {

// A spike (SpikeReport): against the mean of this many steps, once there are enough of them.
constexpr size_t kUsualSteps = 50, kFewestUsualSteps = 20;
constexpr double kSpikeFactor = 3, kSpikeSummand = 1;

constexpr size_t kMostExamplesPerStep = size_t{1} << 40;

void CheckTrainingOptions(const Objective& objective, const TrainingOptions& options) {
  const auto check = [](bool fine, const char* what, const char* expected) {
    if (!fine) throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: expected {}", what, expected));
  };
  check(objective.num_examples() > 0, "the texts to train on", "at least one");
  check(options.num_epochs > 0, "epochs", "at least 1");
  check(options.batch_size > 0, "batch size", "at least 1");
  check(options.learning_rate >= 0 && std::isfinite(options.learning_rate), "learning rate", "a finite number from 0");
  check(options.max_grad_norm >= 0, "longest gradient", "a number from 0");
  check(options.warmup >= 0 && options.warmup <= 1, "warm-up", "a share from 0 to 1");
  check(options.gradient_accumulation > 0, "gradient accumulation", "at least 1");
  check(options.batch_size <= kMostExamplesPerStep / options.gradient_accumulation, "batches a step", "at most 2^40 examples together");
  check(options.layer_decay > 0 && options.layer_decay <= 1, "layer decay", "a number above 0, up to 1");
  check(options.weight_decay >= 0 && std::isfinite(options.weight_decay), "weight decay", "a finite number from 0");
}

// What is not finite in the file that training starts from would spread over everything.
void CheckWeights(const Model& model) {
  for (const Parameter* each : model.parameters().All()) {
    const Parameter& parameter = *each;
    const std::span<const float> values = parameter.value.floats();
    if (const std::optional<size_t> bad = FindNotFinite(values))
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("tensor '{}' of the model holds {} at element {}; expected finite numbers", parameter.name, values[*bad], *bad),
                  "the file is broken or comes from a training that failed: take another revision");
  }
}

class Trainer {
 public:
  Trainer(Model& model, Objective& objective, const TrainingOptions& options, const CheckpointOptions& checkpoint, TrainingObserver& observer,
          const std::atomic<bool>& stop)
      : model_(model), objective_(objective), options_(options), checkpoint_(checkpoint), observer_(observer), stop_(stop),
        team_(options.num_threads), run_({.team = &team_, .tape = &tape_, .dtype = options.dtype, .recompute = options.gradient_checkpointing}),
        evaluation_run_({.team = &team_, .tape = nullptr}),
        optimizer_(ChooseTrainable(model, options.freeze), AdamW(model, options)) {
    steps_per_epoch_ = (objective.num_examples() + options.step_size() - 1) / options.step_size();
    num_steps_ = state_.num_steps = steps_per_epoch_ * options.num_epochs;
    // As transformers rounds; but one step always has the full rate, else a run of a single step would learn nothing.
    num_warmup_steps_ = std::min(num_steps_ - 1, static_cast<size_t>(std::ceil(options.warmup * static_cast<double>(num_steps_))));
  }

  TrainingResult Run(const std::function<void(mlac::Run&)>& measure) {
    if (checkpoint_.resume) Resume();
    CheckWeights(model_);
    if (options_.freeze && !Done()) objective_.CacheFeatures(evaluation_run_, [this] { StopIfAsked(); });
    while (!Done()) {
      if (stop_) Interrupted();
      if (EpochIsOpen()) {
        EndEpoch();
      } else {
        if (state_.step % steps_per_epoch_ == 0 || order_.empty()) ShuffleEpoch(state_.step / steps_per_epoch_);
        Step();
      }
      const bool at_rest = !EpochIsOpen() && !Done();  // the next thing is a step
      if (at_rest && options_.save_steps > 0 && state_.step % options_.save_steps == 0) Save();
    }
    Finish(measure);
    return {std::move(state_.step_losses), std::move(state_.epochs), state_.best_epoch, run_.memory_use()};
  }

 private:
  // All steps of an epoch are done, but not what ends it: a run may be interrupted between the two.
  bool EpochIsOpen() const { return state_.epochs.size() < state_.step / steps_per_epoch_; }
  bool Done() const { return state_.stopped_early || (state_.step == num_steps_ && !EpochIsOpen()); }

  static AdamWOptions AdamW(const Model& model, const TrainingOptions& options) {
    return {.weight_decay = options.weight_decay, .max_grad_norm = options.max_grad_norm, .layer_decay = options.layer_decay,
            .head_prefixes = model.head_prefixes()};
  }

  // What learns gets memory of its own; the rest stays in the mapped file. Of a model with an adapter parameters() holds what the base has not.
  static std::deque<Parameter>& ChooseTrainable(Model& model, bool freeze) {
    for (Parameter& parameter : model.parameters().parameters()) {
      parameter.trainable = !freeze || StartsWithAny(parameter.name, model.head_prefixes());
      if (parameter.trainable) parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
    }
    return model.parameters().parameters();
  }

  void ShuffleEpoch(size_t epoch) {
    order_.resize(objective_.num_examples());
    std::iota(order_.begin(), order_.end(), size_t{0});
    Random random(options_.seed, /*stream=*/epoch + 1);
    Shuffle(std::span(order_), random);
  }

  void Step() {
    const size_t in_epoch = state_.step % steps_per_epoch_, first = in_epoch * options_.step_size();
    const std::span<const size_t> indices(order_.data() + first, std::min(options_.step_size(), order_.size() - first));
    optimizer_.ZeroGradients(run_);
    const TokenBatch batch = objective_.Begin(indices, state_.step);
    const size_t max_tokens = options_.max_tokens == 0 ? batch.num_tokens() : options_.max_tokens;
    // A batch of batch_size examples has as many sequences as its share of the step.
    const size_t max_sequences = (batch.num_sequences() + options_.gradient_accumulation - 1) / options_.gradient_accumulation;
    const auto for_each_part = [&](const std::function<void(const TokenBatch& part, size_t first)>& body) {
      ForEachPart(batch.offsets, max_tokens, max_sequences, [&](size_t begin, size_t end) {
        StopIfAsked();  // weights and moments are still those of the step before
        run_.dropout().Begin(options_.seed, static_cast<uint32_t>(state_.step), static_cast<uint32_t>(batch.offsets[begin]), static_cast<uint32_t>(begin));
        body(Slice(batch, begin, end), begin);
      });
    };
    if (objective_.couples_examples() && (batch.num_tokens() > max_tokens || batch.num_sequences() > max_sequences))
      run_.WithoutTape([&] { for_each_part([&](const TokenBatch& part, size_t first) { objective_.Observe(run_, part, first); }); });
    double loss = 0;
    for_each_part([&](const TokenBatch& part, size_t first) { objective_.AddGradients(run_, tape_, part, first, loss); });
    for (Optimizer::Slot& slot : optimizer_.slots()) FinishWeightGradient(run_, *slot.parameter);
    loss /= objective_.total_weight();
    if (!std::isfinite(loss)) NotFinite("the loss is not finite; " + LargestWeight(model_), indices);
    double norm = 0;
    try {
      norm = optimizer_.GradientNorm(run_);
    } catch (const Error& error) {
      NotFinite(error.message(), indices);
    }
    ReportSpike(loss, indices);
    const double learning_rate = LearningRate(options_.learning_rate, state_.step, num_warmup_steps_, num_steps_);
    optimizer_.Step(run_, learning_rate, state_.step + 1, norm);
    state_.step_losses.push_back(loss);
    ++state_.step;
    epoch_loss_ = in_epoch == 0 ? loss : epoch_loss_ + loss;
    observer_.OnStep({.step = state_.step,
                      .num_steps = num_steps_,
                      .epoch = (state_.step - 1) / steps_per_epoch_ + 1,
                      .loss = loss,
                      .gradient_norm = norm,
                      .learning_rate = learning_rate,
                      .epoch_loss = epoch_loss_ / static_cast<double>(in_epoch + 1),
                      .num_examples = indices.size(),
                      .num_tokens = batch.num_tokens()});
  }

  void ReportSpike(double loss, std::span<const size_t> indices) {
    const size_t count = std::min(kUsualSteps, state_.step_losses.size());
    if (count < kFewestUsualSteps) return;
    double usual = 0;
    for (size_t i = state_.step - count; i < state_.step; ++i) usual += state_.step_losses[i] / static_cast<double>(count);
    if (loss <= kSpikeFactor * usual + kSpikeSummand) return;
    observer_.OnSpike({.step = state_.step + 1, .loss = loss, .usual_loss = usual, .parameter = optimizer_.LargestGradient(run_),
                       .places = Places(indices)});
  }

  void EndEpoch() {
    EpochReport report = {.epoch = state_.step / steps_per_epoch_, .step = state_.step};
    for (size_t i = state_.step - steps_per_epoch_; i < state_.step; ++i) report.train_loss += state_.step_losses[i] / static_cast<double>(steps_per_epoch_);
    report.has_validation = objective_.num_validation_examples() > 0;
    if (report.has_validation) {
      run_.dropout().End();
      report.validation = objective_.Validate(evaluation_run_, [this] { StopIfAsked(); });
      report.best = state_.best_epoch == 0 || IsBetter(report.validation, state_.epochs[state_.best_epoch - 1].validation);
      if (report.best) KeepBest();
    }
    if (report.best || !report.has_validation) state_.best_epoch = report.epoch;
    state_.epochs.push_back(report);
    state_.stopped_early = report.has_validation && options_.patience > 0 && state_.step < num_steps_ &&
                           EpochsWithoutProgress(state_.epochs, num_warmup_steps_) >= options_.patience;
    observer_.OnEpoch(report);
    if (state_.stopped_early) observer_.OnEarlyStop(report.epoch);
  }

  void KeepBest() {
    best_.clear();
    for (const Optimizer::Slot& slot : optimizer_.slots())
      best_.push_back(Tensor::FromValues(slot.parameter->value.shape(), slot.parameter->value.floats()));
    best_is_saved_ = false;
  }

  void Finish(const std::function<void(mlac::Run&)>& measure) {
    std::vector<Tensor> last;
    for (Optimizer::Slot& slot : optimizer_.slots()) {
      if (!best_.empty()) {
        last.push_back(slot.parameter->value);
        slot.parameter->value = best_[last.size() - 1];
      }
      slot.parameter->gradient = Gradient();
      slot.parameter->trainable = false;
    }
    if (!measure) return;
    try {
      measure(evaluation_run_);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kCancelled) throw;
      for (size_t i = 0; i < last.size(); ++i) optimizer_.slots()[i].parameter->value = last[i];
      Interrupted();
    }
  }

  void Save() {
    if (checkpoint_.folder.empty() || saved_step_ == state_.step) return;
    WriteCheckpoint(checkpoint_.folder, checkpoint_.identity, state_, optimizer_, best_, best_is_saved_);
    best_is_saved_ = !best_.empty();
    saved_step_ = state_.step;
    observer_.OnCheckpoint(state_.step, checkpoint_.folder);
  }

  void Resume() {
    state_ = ReadCheckpoint(checkpoint_.folder, checkpoint_.identity, optimizer_, best_);
    best_is_saved_ = !best_.empty();
    saved_step_ = state_.step;
    if (state_.step % steps_per_epoch_ != 0) ShuffleEpoch(state_.step / steps_per_epoch_);
    epoch_loss_ =
        std::accumulate(state_.step_losses.end() - static_cast<ptrdiff_t>(state_.step % steps_per_epoch_), state_.step_losses.end(), 0.0);
    observer_.OnResume(state_.step);
  }

  void StopIfAsked() {
    if (stop_) Interrupted();
  }

  [[noreturn]] void Interrupted() {
    if (state_.step > 0) Save();
    std::string hint;
    if (state_.step > 0 && !checkpoint_.folder.empty())
      hint = checkpoint_.resume_command.empty() ? "the checkpoint is saved: resume from it" : "go on with: " + checkpoint_.resume_command;
    throw Error(ErrorCode::kCancelled, fmt::format("interrupted after step {} of {}", state_.step, num_steps_), hint);
  }

  [[noreturn]] void NotFinite(const std::string& what, std::span<const size_t> indices) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("step {}: {}; the batch is {}", state_.step + 1, what, Places(indices)),
                std::string("a lower --lr or --max-grad-norm or a longer --warmup helps most often") +
                    (saved_step_ > 0 ? fmt::format("; the checkpoint of step {} is kept", saved_step_) : ""));
  }

  std::string Places(std::span<const size_t> indices) const {
    std::vector<size_t> rows(indices.begin(), indices.end());
    std::sort(rows.begin(), rows.end());
    return objective_.Places(rows);
  }

  Model& model_;
  Objective& objective_;
  const TrainingOptions options_;
  const CheckpointOptions checkpoint_;
  TrainingObserver& observer_;
  const std::atomic<bool>& stop_;

  ThreadTeam team_;
  Tape tape_;
  mlac::Run run_, evaluation_run_;
  Optimizer optimizer_;
  size_t steps_per_epoch_ = 0, num_steps_ = 0, num_warmup_steps_ = 0;
  std::vector<size_t> order_;
  TrainingState state_;
  double epoch_loss_ = 0;     // the sum of the losses of this epoch's steps
  std::vector<Tensor> best_;  // values of the optimiser's parameters after the best epoch
  bool best_is_saved_ = false;  // in the checkpoint
  size_t saved_step_ = 0;       // of the checkpoint; 0: none
};

}  // namespace

TrainingResult Train(Model& model, Objective& objective, const TrainingOptions& options, const CheckpointOptions& checkpoint,
                     TrainingObserver& observer, const std::atomic<bool>& stop, const std::function<void(Run& run)>& measure) {
  CheckTrainingOptions(objective, options);
  return Trainer(model, objective, options, checkpoint, observer, stop).Run(measure);
}

std::string LargestWeight(const Model& model) {
  float largest = -1;
  std::string name;
  for (const Parameter* parameter : model.parameters().All())
    for (const float x : parameter->value.floats())
      if (std::fabs(x) > largest) {
        largest = std::fabs(x);
        name = parameter->name;
      }
  return fmt::format("the largest weight is {:.3g}, in '{}'", largest, name);
}

}  // namespace mlac
