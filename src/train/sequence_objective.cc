#include "train/sequence_objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "kernels/cross_entropy.h"
#include "models/inference.h"
#include "train/metrics.h"
#include "train/regression_metrics.h"
#include "train/set_metrics.h"
#include "train/trainer.h"

namespace mlac {
namespace {

// -log sigmoid(x) of a label that is there, -log (1 - sigmoid(x)) of one that is not: the cross-entropy of the two logits 0 and x. A target t between is
// their mean, weighted by t: the latter less t x.
void BinaryCrossEntropy(std::span<const float> logits, std::span<const float> targets, float scale, std::vector<double>& losses, float* gradient) {
  const size_t count = logits.size();
  std::vector<float> pairs(2 * count), gradients(gradient == nullptr ? 0 : 2 * count), scales(count, scale);
  std::vector<int32_t> labels(count);
  for (size_t i = 0; i < count; ++i) {
    pairs[2 * i + 1] = logits[i];
    labels[i] = targets[i] == 1.0f ? 1 : 0;
  }
  losses.resize(count);
  kernels::CrossEntropy(pairs.data(), labels.data(), count, 2, losses.data(), scales.data(), gradient == nullptr ? nullptr : gradients.data());
  for (size_t i = 0; gradient != nullptr && i < count; ++i) gradient[i] = gradients[2 * i + 1];
  for (size_t i = 0; i < count; ++i) {
    if (labels[i] == 1 || targets[i] == 0) continue;
    losses[i] -= static_cast<double>(targets[i]) * static_cast<double>(logits[i]);
    if (gradient != nullptr) gradient[i] -= targets[i] * scale;
  }
}

void SquaredError(std::span<const float> values, std::span<const float> targets, float scale, std::vector<double>& losses, float* gradient) {
  losses.clear();
  for (size_t i = 0; i < values.size(); ++i) {
    const float difference = values[i] - targets[i];
    losses.push_back(static_cast<double>(difference) * difference);
    if (gradient != nullptr) gradient[i] = 2 * difference * scale;
  }
}

// The macro F1 of always answering the largest label: that label's F1 over the labels that occur. Also of whatever answers with one label
// alone the score is no higher.
double ScoreOfOneLabel(const ClassificationMetrics& metrics) {
  const uint64_t largest = metrics.per_class[FindLargestClass(metrics).label].support;
  const auto occurs = [](const ClassMetrics& label) { return label.support > 0; };
  const auto num_labels = std::count_if(metrics.per_class.begin(), metrics.per_class.end(), occurs);
  return Ratio(2 * largest, largest + metrics.num_examples) / static_cast<double>(num_labels);
}

// The highest F1 that giving every text the same labels reaches: the most frequent ones, as many as are best.
double ScoreOfOneSet(const Figures& figures) {
  std::vector<uint64_t> supports;
  uint64_t num_all = 0, num_right = 0;
  for (const ClassMetrics& label : figures.per_class) {
    supports.push_back(label.support);
    num_all += label.support;
  }
  std::sort(supports.rbegin(), supports.rend());
  double best = 0;
  for (size_t i = 0; i < supports.size(); ++i) {
    num_right += supports[i];
    best = std::max(best, Ratio(2 * num_right, num_all + (i + 1) * figures.num_examples));
  }
  return best;
}

class SequenceObjective : public Objective {
 public:
  SequenceObjective(Model& model, const LabelledTokens& train, const LabelledTokens& validation, const SequenceObjectiveOptions& options)
      : model_(model), train_(train), validation_(validation), options_(options) {
    SetClassWeights();
  }

  size_t num_examples() const override { return train_.size(); }
  size_t num_validation_examples() const override { return validation_.size(); }
  std::string Places(std::span<const size_t> examples) const override { return train_.Places(examples); }

  TokenBatch Begin(std::span<const size_t> examples, size_t) override {
    examples_.assign(examples.begin(), examples.end());
    total_weight_ = 0;
    if (single_label())
      for (const size_t i : examples) total_weight_ += class_weights_[static_cast<size_t>(train_.labels[i])];
    else
      total_weight_ = static_cast<double>(examples.size() * model_.num_labels());
    return GatherSequences(train_.tokens, examples);
  }

  double total_weight() const override { return total_weight_; }

  void AddGradients(Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    const std::span<const size_t> examples = std::span(examples_).subspan(first_sequence, part.num_sequences());
    const Tensor logits = Logits(run, examples, part);
    Tensor gradient = run.NewTensor(logits.shape());
    if (single_label())
      AddCrossEntropy(logits.floats(), examples, gradient.mutable_floats(), loss);
    else
      AddLossesOfTargets(logits.floats(), examples, gradient.mutable_floats(), loss);
    tape.Backward(run, logits, gradient);
  }

  // The encoder does not change, so what the head sees of each text is computed once.
  void CacheFeatures(Run& run, const std::function<void()>& before_batch) override {
    const size_t size = model_.hidden_size();
    features_ = Tensor::Uninitialized({train_.size(), size});
    ForEachPart(train_.tokens.offsets, kTokensPerEvaluationBatch, [&](size_t begin, size_t end) {
      before_batch();
      const TokenBatch batch = Slice(train_.tokens, begin, end);
      const Tensor part = model_.SequenceFeatures(run, batch);
      std::copy(part.floats().begin(), part.floats().end(), features_.mutable_floats().begin() + static_cast<ptrdiff_t>(begin * size));
    });
  }

  ValidationReport Validate(Run& run, const std::function<void()>& before_batch) override {
    const std::vector<float> logits = Predict(model_, run, validation_, before_batch);
    const size_t num_labels = model_.num_labels();
    ValidationReport report;
    for (const double loss : ExactLosses(logits)) report.loss += loss / static_cast<double>(validation_.size());
    switch (options_.problem_type) {
      case ProblemType::kSingleLabel: {
        // Without intervals the names are not looked at; only their number matters.
        const ClassificationMetrics metrics = ComputeMetrics(validation_.labels, Argmax(logits, num_labels), {}, std::vector<std::string>(num_labels),
                                                             {.intervals = false});
        report.figures = {{"accuracy", metrics.accuracy}, {"macro_f1", metrics.macro_f1}};
        report.score = metrics.macro_f1;
        report.is_telling = report.score > ScoreOfOneLabel(metrics);
        break;
      }
      case ProblemType::kMultiLabel: {
        const Figures figures = ComputeSetMetrics(validation_.size(), CountLabels(validation_.targets, logits, num_labels),
                                                  std::vector<std::string>(num_labels), {.intervals = false});
        for (const Figure& figure : figures.figures) report.figures.emplace_back(figure.name, figure.value);
        report.score = figures.figures.front().value;
        report.is_telling = report.score > ScoreOfOneSet(figures);
        break;
      }
      case ProblemType::kRegression: {
        const Figures figures = ComputeRegressionMetrics(validation_.targets, logits, {.intervals = false});
        for (const Figure& figure : figures.figures) report.figures.emplace_back(figure.name, figure.value);
        report.score = -figures.figures.front().value;
        break;
      }
    }
    return report;
  }

 private:
  bool single_label() const { return options_.problem_type == ProblemType::kSingleLabel; }

  void SetClassWeights() {
    class_weights_.assign(model_.num_labels(), 1.0);
    if (!options_.class_weights || !single_label()) return;
    std::vector<size_t> counts(model_.num_labels());
    for (const int32_t label : train_.labels) ++counts[static_cast<size_t>(label)];
    for (size_t i = 0; i < counts.size(); ++i)
      if (counts[i] > 0) class_weights_[i] = static_cast<double>(train_.size()) / (static_cast<double>(counts.size()) * static_cast<double>(counts[i]));
  }

  Tensor Logits(Run& run, std::span<const size_t> examples, const TokenBatch& batch) {
    if (!features_.defined()) return model_.Classify(run, model_.SequenceFeatures(run, batch));
    const size_t size = features_.dim(1);
    Tensor features = run.NewTensor({examples.size(), size});
    for (size_t i = 0; i < examples.size(); ++i)
      std::copy_n(features_.floats().data() + examples[i] * size, size, features.mutable_floats().data() + i * size);
    return model_.Classify(run, features);
  }

  void AddCrossEntropy(std::span<const float> logits, std::span<const size_t> examples, std::span<float> gradient, double& loss) const {
    const size_t num_labels = model_.num_labels();
    std::vector<int32_t> labels;
    std::vector<float> scales;
    for (const size_t i : examples) {
      labels.push_back(train_.labels[i]);
      scales.push_back(static_cast<float>(class_weights_[static_cast<size_t>(train_.labels[i])] / total_weight_));
    }
    std::vector<double> losses(examples.size());
    kernels::CrossEntropy(logits.data(), labels.data(), labels.size(), num_labels, losses.data(), scales.data(), gradient.data());
    for (size_t i = 0; i < losses.size(); ++i) {
      if (options_.label_smoothing > 0)
        Smooth(logits.subspan(i * num_labels, num_labels), static_cast<size_t>(labels[i]), scales[i], gradient.subspan(i * num_labels, num_labels), losses[i]);
      loss += losses[i] * class_weights_[static_cast<size_t>(labels[i])];
    }
  }

  // From the target that is 1 for the label alone to 1 - smoothing for it and smoothing / labels more for each.
  void Smooth(std::span<const float> logits, size_t label, float scale, std::span<float> gradient, double& loss) const {
    double mean = 0;
    for (const float logit : logits) mean += logit;
    mean /= static_cast<double>(logits.size());
    loss += options_.label_smoothing * (static_cast<double>(logits[label]) - mean);
    const auto each = static_cast<float>(options_.label_smoothing / static_cast<double>(logits.size()));
    for (float& g : gradient) g -= each * scale;
    gradient[label] += static_cast<float>(options_.label_smoothing) * scale;
  }

  void AddLossesOfTargets(std::span<const float> logits, std::span<const size_t> examples, std::span<float> gradient, double& loss) const {
    const size_t num_labels = model_.num_labels();
    std::vector<float> targets;
    for (const size_t i : examples)
      targets.insert(targets.end(), train_.targets.begin() + static_cast<ptrdiff_t>(i * num_labels),
                     train_.targets.begin() + static_cast<ptrdiff_t>((i + 1) * num_labels));
    std::vector<double> losses;
    const auto scale = static_cast<float>(1 / total_weight_);
    if (options_.problem_type == ProblemType::kMultiLabel)
      BinaryCrossEntropy(logits, targets, scale, losses, gradient.data());
    else
      SquaredError(logits, targets, scale, losses, gradient.data());
    for (const double each : losses) loss += each;
  }

  std::vector<double> ExactLosses(std::span<const float> logits) const {
    if (!single_label()) {
      const std::vector<float> losses = LossesOf(logits, validation_, model_.num_labels(), options_.problem_type);
      return {losses.begin(), losses.end()};
    }
    std::vector<double> losses(validation_.size());
    kernels::CrossEntropy(logits.data(), validation_.labels.data(), losses.size(), model_.num_labels(), losses.data(), nullptr, nullptr);
    return losses;
  }

  Model& model_;
  const LabelledTokens &train_, &validation_;
  const SequenceObjectiveOptions options_;
  std::vector<double> class_weights_;
  std::vector<size_t> examples_;  // of this step
  double total_weight_ = 1;
  Tensor features_;  // with a frozen encoder: [texts, hidden_size]
};

}  // namespace

std::unique_ptr<Objective> MakeSequenceObjective(Model& model, const LabelledTokens& train, const LabelledTokens& validation,
                                                 const SequenceObjectiveOptions& options) {
  return std::make_unique<SequenceObjective>(model, train, validation, options);
}

std::vector<float> Predict(const Model& model, Run& run, const LabelledTokens& texts, const std::function<void()>& before_batch) {
  std::vector<float> logits;
  logits.reserve(texts.size() * model.num_labels());
  ForEachPart(texts.tokens.offsets, kTokensPerEvaluationBatch, [&](size_t begin, size_t end) {
    if (before_batch) before_batch();
    const TokenBatch batch = Slice(texts.tokens, begin, end);
    const Tensor part = model.Classify(run, model.SequenceFeatures(run, batch));
    const std::span<const float> values = part.floats();
    if (const std::optional<size_t> bad = FindRowNotFinite(values, model.num_labels())) {
      const size_t row = begin + *bad;
      RefuseOverflow(fmt::format("the logits of {} are not finite; {}", texts.Places(std::span(&row, 1)), LargestWeight(model)));
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

std::vector<float> LossesOf(std::span<const float> logits, const LabelledTokens& texts, size_t num_labels, ProblemType problem_type) {
  std::vector<double> exact(texts.size());
  if (problem_type == ProblemType::kSingleLabel) {
    kernels::CrossEntropy(logits.data(), texts.labels.data(), exact.size(), num_labels, exact.data(), nullptr, nullptr);
    return {exact.begin(), exact.end()};
  }
  if (problem_type == ProblemType::kMultiLabel)
    BinaryCrossEntropy(logits, texts.targets, 1, exact, nullptr);
  else
    SquaredError(logits, texts.targets, 1, exact, nullptr);
  std::vector<float> losses;
  for (size_t row = 0; row < texts.size(); ++row) {
    double sum = 0;
    for (size_t i = 0; i < num_labels; ++i) sum += exact[row * num_labels + i];
    losses.push_back(static_cast<float>(sum / static_cast<double>(num_labels)));
  }
  return losses;
}

}  // namespace mlac
