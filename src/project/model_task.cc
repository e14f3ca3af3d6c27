#include "project/model_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "base/thread_team.h"
#include "data/texts.h"
#include "kernels/cross_entropy.h"
#include "pipelines/text_model.h"
#include "project/config.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kTextsAtOnce = 256;

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

class TextClassifier : public TaskModel {
 public:
  TextClassifier(const std::string& folder, size_t num_threads)
      : folder_(folder), model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}) {
    if (model_.model().head() != Head::kSequenceClassification) model_.Logits({});  // throws what the model can do
  }

  const std::vector<std::string>& labels() const override { return model_.label_names(); }

  size_t max_tokens() const override { return model_.model().max_positions(); }

  // [texts, labels]
  std::vector<float> Logits(std::span<const std::string> texts) {
    std::vector<float> logits;
    for (size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
      std::vector<TextInput> part;
      for (const std::string& text : texts.subspan(begin, std::min(kTextsAtOnce, texts.size() - begin)))
        part.push_back({text, std::nullopt});
      const std::vector<float> some = model_.Logits(model_.Encode(part).batch);
      logits.insert(logits.end(), some.begin(), some.end());
    }
    return logits;
  }

  std::vector<Prediction> Predict(std::span<const std::string> texts) override {
    const size_t num_labels = labels().size();
    const std::vector<float> logits = Logits(texts), probabilities = Probabilities(logits, num_labels);
    const std::vector<int32_t> best = Argmax(logits, num_labels);
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::span row = std::span(probabilities).subspan(i * num_labels, num_labels);
      const auto label = static_cast<size_t>(best[i]);
      predictions.push_back({labels()[label], row[label], {row.begin(), row.end()}});
    }
    return predictions;
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    constexpr size_t kRuns = 5, kPasses = 100, kWarmups = 5;
    if (num_tokens > model_.model().max_positions())
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("a latency of {} tokens; the model takes 1 to {}", num_tokens, model_.model().max_positions()));
    TokenBatch batch;  // ids that every vocabulary of that size has; what they say has no bearing on the time
    for (size_t t = 0; t < num_tokens; ++t) batch.token_ids.push_back(static_cast<int32_t>(t * 104729 % model_.model().vocab_size()));
    batch.token_type_ids.resize(num_tokens);
    batch.offsets.push_back(num_tokens);
    std::vector<double> p50, p99;
    for (size_t run = 0; run < kRuns; ++run) {
      ThrowIfStopped(stop);
      std::vector<double> times;
      for (size_t i = 0; i < kWarmups + kPasses; ++i) {
        const auto begin = Clock::now();
        model_.Logits(batch);
        if (i >= kWarmups) times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
      }
      p50.push_back(Quantile(times, 0.5));
      p99.push_back(Quantile(times, 0.99));
    }
    return {Quantile(p50, 0.5), Quantile(p99, 0.5), ProcessorName()};
  }

 private:
  std::string folder_;
  TextModel model_;
};

// ---- text-classification ----

std::vector<Finding> CheckClassification(const ModelData& data, std::vector<std::string>& notes) {
  LabelledTextsOptions reading = {.text_column = data.text_column, .label_column = data.target_column};
  std::vector<LabelledTexts> texts;
  std::vector<DataPart> parts;
  texts.reserve(3);
  for (const auto& [name, path] : {std::pair{"train", data.train}, {"validation", data.validation}, {"test", data.test}}) {
    if (path.empty()) continue;
    texts.push_back(ReadLabelledTexts(path, reading));
    reading.label_names = texts.front().label_names;
    notes.insert(notes.end(), texts.back().notes.begin(), texts.back().notes.end());
    parts.push_back({name, &texts.back(), 0});
  }
  return CheckData(parts);
}

FineTuneResult TrainClassification(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                                   size_t num_threads, FineTuneObserver& observer, const std::atomic<bool>& stop) {
  FineTuneOptions options = {.model = base,
                             .data = data.train,
                             .validation = data.validation,
                             .test = "",
                             .validation_split = model.train.validation_split,
                             .text_column = data.text_column,
                             .target_column = data.target_column,
                             .max_length = model.train.max_length,
                             .out = out,
                             .resume = FolderExists(out),
                             .command = "mlac apply",
                             .resume_command = "mlac apply",
                             .training = model.train.options};
  options.training.num_threads = num_threads;
  options.sequence.class_weights = model.train.class_weights;
  return FineTuneClassifier(options, observer, stop);
}

std::unique_ptr<TaskModel> OpenClassifier(const std::string& folder, size_t num_threads) {
  return std::make_unique<TextClassifier>(folder, num_threads);
}

TaskEvaluation EvaluateClassification(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                                      const std::atomic<bool>& stop) {
  TextClassifier model(folder, num_threads);
  const LabelledTexts texts = ReadLabelledTexts(data, {.text_column = columns.text_column, .label_column = columns.target_column});
  TaskEvaluation result;
  std::vector<std::string> names = model.labels();
  std::unordered_map<std::string, int32_t> ids;
  for (size_t i = 0; i < names.size(); ++i) ids.emplace(names[i], static_cast<int32_t>(i));
  for (const int32_t label : texts.labels) {
    const std::string& name = texts.label_names[static_cast<size_t>(label)];
    const auto [entry, is_new] = ids.emplace(name, static_cast<int32_t>(names.size()));
    if (is_new) names.push_back(name);
    if (entry->second >= static_cast<int32_t>(model.labels().size())) ++result.num_unknown;
    result.truth.push_back(entry->second);
  }
  const size_t num_labels = model.labels().size();
  std::vector<float> logits;
  for (size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
    ThrowIfStopped(stop);
    const std::vector<float> some = model.Logits(std::span(texts.texts).subspan(begin, std::min(kTextsAtOnce, texts.size() - begin)));
    logits.insert(logits.end(), some.begin(), some.end());
  }
  result.predicted = Argmax(logits, num_labels);
  std::vector<float> losses;
  if (result.num_unknown == 0) {
    std::vector<double> exact(texts.size());
    kernels::CrossEntropy(logits.data(), result.truth.data(), exact.size(), num_labels, exact.data(), nullptr, nullptr);
    losses.assign(exact.begin(), exact.end());
  }
  result.metrics = ComputeMetrics(result.truth, result.predicted, losses, std::move(names));
  return result;
}

constexpr std::array<ModelTask, 1> kTasks = {{
    {"text-classification", CheckClassification, TrainClassification, OpenClassifier, EvaluateClassification},
}};

}  // namespace

std::span<const ModelTask> AllModelTasks() { return kTasks; }

const ModelTask& TaskOf(const ModelConfig& model) {
  for (const ModelTask& task : kTasks)
    if (task.name == model.task) return task;
  throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no task '{}'", model.task));
}

void ThrowIfStopped(const std::atomic<bool>& stop) {
  if (stop) throw Error(ErrorCode::kCancelled, "interrupted", "go on with: mlac apply");
}

std::string ProcessorName() {
  static const std::string kName = [] {  // asked for once a gate of each of many models
    const Machine machine = DescribeMachine();
    return machine.processor.empty() ? machine.architecture : machine.processor;
  }();
  return kName;
}

}  // namespace mlac
