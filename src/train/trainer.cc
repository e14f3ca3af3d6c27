#include "train/trainer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "autograd/run.h"
#include "base/error.h"
#include "base/random.h"
#include "kernels/cross_entropy.h"
#include "models/inference.h"
#include "train/checkpoint.h"
#include "train/metrics.h"
#include "train/optimizer.h"

namespace mlac {
namespace {

constexpr size_t kTokensPerEvaluationBatch = 4096;

// A spike (SpikeReport): against the mean of this many steps, once there are enough of them.
constexpr size_t kUsualSteps = 50, kFewestUsualSteps = 20;
constexpr double kSpikeFactor = 3, kSpikeSummand = 1;

void CheckOptions(const LabelledTokens& train, const TrainingOptions& options) {
  const auto check = [](bool fine, const char* what, const char* expected) {
    if (!fine) throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: expected {}", what, expected));
  };
  check(train.size() > 0, "the texts to train on", "at least one");
  check(options.num_epochs > 0, "epochs", "at least 1");
  check(options.batch_size > 0, "batch size", "at least 1");
  check(options.learning_rate >= 0 && std::isfinite(options.learning_rate), "learning rate", "a finite number from 0");
  check(options.max_grad_norm >= 0, "longest gradient", "a number from 0");
  check(options.warmup >= 0 && options.warmup <= 1, "warm-up", "a share from 0 to 1");
  check(options.weight_decay >= 0 && std::isfinite(options.weight_decay), "weight decay", "a finite number from 0");
}

// What is not finite in the file that training starts from would spread over everything.
void CheckWeights(const Model& model) {
  for (const Parameter& parameter : model.parameters().parameters()) {
    const std::span<const float> values = parameter.value.floats();
    const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
    if (bad != values.end())
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("tensor '{}' of the model holds {} at element {}; expected finite numbers", parameter.name, *bad, bad - values.begin()),
                  "the file is broken or comes from a training that failed: take another revision");
  }
}

std::string LargestWeight(const Model& model) {
  float largest = -1;
  std::string name;
  for (const Parameter& parameter : model.parameters().parameters())
    for (const float x : parameter.value.floats())
      if (std::fabs(x) > largest) {
        largest = std::fabs(x);
        name = parameter.name;
      }
  return fmt::format("the largest weight is {:.3g}, in '{}'", largest, name);
}

// Sequences of `tokens`, in the order of `indices`.
TokenBatch Gather(const TokenBatch& tokens, std::span<const size_t> indices) {
  TokenBatch batch;
  for (const size_t i : indices) {
    const auto begin = static_cast<ptrdiff_t>(tokens.offsets[i]), end = static_cast<ptrdiff_t>(tokens.offsets[i + 1]);
    batch.token_ids.insert(batch.token_ids.end(), tokens.token_ids.begin() + begin, tokens.token_ids.begin() + end);
    batch.token_type_ids.insert(batch.token_type_ids.end(), tokens.token_type_ids.begin() + begin, tokens.token_type_ids.begin() + end);
    batch.offsets.push_back(batch.token_ids.size());
  }
  return batch;
}

// Calls body(begin, end) for runs of whole sequences of at most max_tokens tokens together (one sequence at least).
template <typename Body>
void ForEachPart(const Offsets& offsets, size_t max_tokens, Body body) {
  const size_t sequences = offsets.size() - 1;
  for (size_t begin = 0; begin < sequences;) {
    size_t end = begin + 1;
    while (end < sequences && offsets[end + 1] - offsets[begin] <= max_tokens) ++end;
    body(begin, end);
    begin = end;
  }
}

class Trainer {
 public:
  Trainer(Model& model, const LabelledTokens& train, const LabelledTokens& validation, const TrainingOptions& options,
          const CheckpointOptions& checkpoint, TrainingObserver& observer, const std::atomic<bool>& stop)
      : model_(model), train_(train), validation_(validation), options_(options), checkpoint_(checkpoint), observer_(observer), stop_(stop),
        team_(options.num_threads), run_({.team = &team_, .tape = &tape_}), evaluation_run_({.team = &team_, .tape = nullptr}),
        optimizer_(ChooseTrainable(model, options.freeze), {.weight_decay = options.weight_decay, .max_grad_norm = options.max_grad_norm}) {
    steps_per_epoch_ = (train.size() + options.batch_size - 1) / options.batch_size;
    num_steps_ = steps_per_epoch_ * options.num_epochs;
    // As transformers rounds; but one step always has the full rate, else a run of a single step would learn nothing.
    num_warmup_steps_ = std::min(num_steps_ - 1, static_cast<size_t>(std::ceil(options.warmup * static_cast<double>(num_steps_))));
    SetClassWeights();
  }

  TrainingResult Run() {
    if (checkpoint_.resume) Resume();
    CheckWeights(model_);
    if (options_.freeze) CacheFeatures();
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
    if (!best_.empty()) RestoreBest();
    for (Optimizer::Slot& slot : optimizer_.slots()) {
      slot.parameter->gradient = {};
      slot.parameter->trainable = false;
    }
    return {std::move(state_.step_losses), std::move(state_.epochs), state_.best_epoch};
  }

 private:
  // All steps of an epoch are done, but not what ends it: a run may be interrupted between the two.
  bool EpochIsOpen() const { return state_.epochs.size() < state_.step / steps_per_epoch_; }
  bool Done() const { return state_.stopped_early || (state_.step == num_steps_ && !EpochIsOpen()); }

  // What learns gets memory of its own; the rest stays in the mapped file.
  static std::deque<Parameter>& ChooseTrainable(Model& model, bool freeze) {
    const std::vector<std::string> head = model.head_prefixes();
    for (Parameter& parameter : model.parameters().parameters()) {
      const bool in_head = std::any_of(head.begin(), head.end(), [&](const std::string& prefix) { return parameter.name.starts_with(prefix); });
      parameter.trainable = in_head || !freeze;
      if (parameter.trainable) parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
    }
    return model.parameters().parameters();
  }

  void SetClassWeights() {
    class_weights_.assign(model_.num_labels(), 1.0);
    if (!options_.class_weights) return;
    std::vector<size_t> counts(model_.num_labels());
    for (const int32_t label : train_.labels) ++counts[static_cast<size_t>(label)];
    for (size_t i = 0; i < counts.size(); ++i)
      if (counts[i] > 0) class_weights_[i] = static_cast<double>(train_.size()) / (static_cast<double>(counts.size()) * static_cast<double>(counts[i]));
  }

  void ShuffleEpoch(size_t epoch) {
    order_.resize(train_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    Random random(options_.seed, /*stream=*/epoch + 1);
    Shuffle(std::span(order_), random);
  }

  // The encoder does not change, so what the head sees of each text is computed once.
  void CacheFeatures() {
    const size_t size = model_.hidden_size();
    features_ = Tensor::Uninitialized({train_.size(), size});
    ForEachPart(train_.tokens.offsets, kTokensPerEvaluationBatch, [&](size_t begin, size_t end) {
      if (stop_) Interrupted();
      const TokenBatch batch = Slice(train_.tokens, begin, end);
      const Tensor part = model_.SequenceFeatures(evaluation_run_, model_.Encode(evaluation_run_, batch), batch.offsets);
      std::copy(part.floats().begin(), part.floats().end(), features_.mutable_floats().begin() + static_cast<ptrdiff_t>(begin * size));
    });
  }

  Tensor Logits(std::span<const size_t> indices, const TokenBatch& batch) {
    if (!features_.defined()) return model_.Classify(run_, model_.SequenceFeatures(run_, model_.Encode(run_, batch), batch.offsets));
    const size_t size = features_.dim(1);
    Tensor features = run_.NewTensor({indices.size(), size});
    for (size_t i = 0; i < indices.size(); ++i)
      std::copy_n(features_.floats().data() + indices[i] * size, size, features.mutable_floats().data() + i * size);
    return model_.Classify(run_, features);
  }

  void Step() {
    const size_t in_epoch = state_.step % steps_per_epoch_, first = in_epoch * options_.batch_size;
    const std::span<const size_t> indices(order_.data() + first, std::min(options_.batch_size, order_.size() - first));
    double total_weight = 0;
    for (const size_t i : indices) total_weight += class_weights_[static_cast<size_t>(train_.labels[i])];
    optimizer_.ZeroGradients(run_);
    const TokenBatch batch = Gather(train_.tokens, indices);
    double loss = 0;
    const size_t max_tokens = options_.max_tokens == 0 ? batch.num_tokens() : options_.max_tokens;
    ForEachPart(batch.offsets, max_tokens, [&](size_t begin, size_t end) {
      run_.BeginDropout(options_.seed, static_cast<uint32_t>(state_.step), static_cast<uint32_t>(batch.offsets[begin]), static_cast<uint32_t>(begin));
      ForwardAndBackward(indices.subspan(begin, end - begin), Slice(batch, begin, end), total_weight, loss);
    });
    loss /= total_weight;
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
    observer_.OnStep({.step = state_.step, .num_steps = num_steps_, .epoch = (state_.step - 1) / steps_per_epoch_ + 1, .loss = loss,
                      .gradient_norm = norm, .learning_rate = learning_rate, .num_examples = indices.size(), .num_tokens = batch.num_tokens()});
  }

  // Adds the gradients of one part of a batch, and its weighted losses one by one, so that the sum does not depend on the parts.
  void ForwardAndBackward(std::span<const size_t> indices, const TokenBatch& batch, double total_weight, double& loss) {
    const Tensor logits = Logits(indices, batch);
    const size_t num_labels = model_.num_labels();
    std::vector<int32_t> labels;
    std::vector<float> scales;
    for (const size_t i : indices) {
      labels.push_back(train_.labels[i]);
      scales.push_back(static_cast<float>(class_weights_[static_cast<size_t>(train_.labels[i])] / total_weight));
    }
    std::vector<double> losses(indices.size());
    Tensor gradient = run_.NewTensor(logits.shape());
    kernels::CrossEntropy(logits.floats().data(), labels.data(), labels.size(), num_labels, losses.data(), scales.data(),
                          gradient.mutable_floats().data());
    tape_.Backward(run_, logits, gradient);
    for (size_t i = 0; i < losses.size(); ++i) loss += losses[i] * class_weights_[static_cast<size_t>(labels[i])];
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
    if (validation_.size() > 0) {
      Validate(report);
      report.best = state_.best_epoch == 0 || report.macro_f1 > state_.best_score;
      if (report.best) {
        state_.best_score = report.macro_f1;
        KeepBest();
      }
    }
    if (report.best || validation_.size() == 0) state_.best_epoch = report.epoch;
    const bool stops = options_.patience > 0 && report.epoch - state_.best_epoch >= options_.patience && state_.step < num_steps_;
    state_.stopped_early = stops;
    state_.epochs.push_back(report);
    observer_.OnEpoch(report);
    if (stops) observer_.OnEarlyStop(report.epoch);
  }

  void Validate(EpochReport& report) {
    run_.EndDropout();
    const std::vector<float> logits = Predict(model_, evaluation_run_, validation_, [&] {
      if (stop_) Interrupted();
    });
    std::vector<double> losses(validation_.size());
    kernels::CrossEntropy(logits.data(), validation_.labels.data(), validation_.size(), model_.num_labels(), losses.data(), nullptr, nullptr);
    const std::vector<int32_t> predicted = Argmax(logits, model_.num_labels());
    report.has_validation = true;
    for (const double loss : losses) report.validation_loss += loss / static_cast<double>(losses.size());
    // Without intervals the names are not looked at; only their number matters.
    const ClassificationMetrics metrics =
        ComputeMetrics(validation_.labels, predicted, {}, std::vector<std::string>(model_.num_labels()), {.intervals = false});
    report.accuracy = metrics.accuracy;
    report.macro_f1 = metrics.macro_f1;
  }

  void KeepBest() {
    best_.clear();
    for (const Optimizer::Slot& slot : optimizer_.slots())
      best_.push_back(Tensor::FromValues(slot.parameter->value.shape(), slot.parameter->value.floats()));
    best_is_saved_ = false;
  }

  void RestoreBest() {
    for (size_t i = 0; i < best_.size(); ++i) optimizer_.slots()[i].parameter->value = best_[i];
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
    observer_.OnResume(state_.step);
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
    return train_.Places(rows);
  }

  Model& model_;
  const LabelledTokens &train_, &validation_;
  const TrainingOptions options_;
  const CheckpointOptions checkpoint_;
  TrainingObserver& observer_;
  const std::atomic<bool>& stop_;

  ThreadTeam team_;
  Tape tape_;
  mlac::Run run_, evaluation_run_;
  Optimizer optimizer_;
  size_t steps_per_epoch_ = 0, num_steps_ = 0, num_warmup_steps_ = 0;
  std::vector<double> class_weights_;
  std::vector<size_t> order_;
  Tensor features_;  // with a frozen encoder: [texts, hidden_size]
  TrainingState state_;
  std::vector<Tensor> best_;  // values of the optimiser's parameters after the best epoch
  bool best_is_saved_ = false;  // in the checkpoint
  size_t saved_step_ = 0;       // of the checkpoint; 0: none
};

}  // namespace

TrainingResult TrainClassifier(Model& model, const LabelledTokens& train, const LabelledTokens& validation, const TrainingOptions& options,
                               const CheckpointOptions& checkpoint, TrainingObserver& observer, const std::atomic<bool>& stop) {
  CheckOptions(train, options);
  return Trainer(model, train, validation, options, checkpoint, observer, stop).Run();
}

std::string LabelledTokens::Places(std::span<const size_t> rows) const {
  constexpr size_t kMostShown = 50;
  std::vector<std::string> places;
  for (const size_t row : rows.first(std::min(rows.size(), kMostShown))) places.push_back(files.empty() ? fmt::format("{}", lines.at(row)) : files.at(row));
  if (rows.size() > kMostShown) places.push_back(fmt::format("{} more", rows.size() - kMostShown));
  std::string text = source + (!files.empty() ? " texts " : rows.size() == 1 ? " line " : " lines ");
  for (size_t i = 0; i < places.size(); ++i) text += (i == 0 ? "" : i + 1 == places.size() ? " and " : ", ") + places[i];
  return text;
}

std::vector<float> Predict(const Model& model, Run& run, const LabelledTokens& texts, const std::function<void()>& before_batch) {
  std::vector<float> logits;
  logits.reserve(texts.size() * model.num_labels());
  ForEachPart(texts.tokens.offsets, kTokensPerEvaluationBatch, [&](size_t begin, size_t end) {
    if (before_batch) before_batch();
    const TokenBatch batch = Slice(texts.tokens, begin, end);
    const Tensor part = model.Classify(run, model.SequenceFeatures(run, model.Encode(run, batch), batch.offsets));
    const std::span<const float> values = part.floats();
    const auto bad = std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
    if (bad != values.end()) {
      const size_t row = begin + static_cast<size_t>(bad - values.begin()) / model.num_labels();
      throw Error(ErrorCode::kInvalidInput, fmt::format("the logits of {} are not finite; {}", texts.Places(std::span(&row, 1)), LargestWeight(model)),
                  "the model overflows on this text: train it with a lower --lr");
    }
    logits.insert(logits.end(), values.begin(), values.end());
  });
  return logits;
}

std::vector<int32_t> Argmax(std::span<const float> logits, size_t num_labels) {
  std::vector<int32_t> best;
  for (size_t first = 0; first < logits.size(); first += num_labels) {
    const auto row = logits.subspan(first, num_labels);
    best.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return best;
}

}  // namespace mlac
