#include "project/fine_tuned_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "pipelines/sequence_task.h"
#include "project/config.h"
#include "train/fine_tune_task.h"
#include "train/tagged_texts.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

// Keeps the notes of reading data.
class NoteKeeper : public FineTuneObserver {
 public:
  explicit NoteKeeper(std::vector<std::string>& notes) : notes_(notes) {}
  void OnNote(const std::string& note) override { notes_.push_back(note); }
  void OnFinding(const Finding&) override {}
  void OnStart(size_t, size_t, size_t, size_t) override {}
  void OnResume(size_t) override {}
  void OnStep(const StepReport&) override {}
  void OnSpike(const SpikeReport&) override {}
  void OnEpoch(const EpochReport&) override {}
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t) override {}

 private:
  std::vector<std::string>& notes_;
};

double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

// The code points [begin, end) of a text.
std::string CodePoints(const std::string& text, size_t begin, size_t end) {
  std::string out;
  size_t number = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++number;
    if (number > begin && number <= end) out += c;
  }
  return out;
}

class EntityFinder : public TaskModel {
 public:
  EntityFinder(const std::string& folder, size_t num_threads)
      : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}) {
    model_.Require("token-classification");
  }

  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return model_.model().max_positions(); }

  std::vector<Prediction> Predict(std::span<const std::string> texts) override {
    const std::unique_ptr<Task> task = MakeTokenClassification({.format = OutputFormat::kJson, .aggregation = Aggregation::kFirst});
    std::vector<TextInput> inputs;
    for (const std::string& text : texts) inputs.push_back({text, std::nullopt});
    std::string answers;
    task->Begin(answers);
    task->Add(model_, inputs, answers);
    task->End(answers);
    std::vector<Prediction> predictions;
    const json parsed = json::parse(answers);
    for (size_t i = 0; i < texts.size(); ++i) predictions.push_back(PredictionOf(texts[i], parsed.at(i)));
    return predictions;
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.TokenLogits(batch); });
  }

 private:
  static Prediction PredictionOf(const std::string& text, const json& entities) {
    Prediction prediction;
    prediction.probability = 1;
    prediction.meaning = "";
    for (const json& entity : entities) {
      const std::string type = entity.at("entity_group");
      const char* between = prediction.label.empty() ? "" : "; ";
      prediction.label += fmt::format("{}{}: {}", between, type, CodePoints(text, entity.at("start"), entity.at("end")));
      *prediction.meaning += between + type;
      prediction.probability = std::min(prediction.probability, entity.at("score").get<float>());
    }
    return prediction;
  }

  TextModel model_;
  const std::vector<std::string> no_labels_;
};

// A model of any head: one pass over a batch.
class AnyModel : public TaskModel {
 public:
  AnyModel(const std::string& folder, size_t num_threads)
      : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}) {}

  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return model_.model().max_positions(); }

  // Computes the texts; there is nothing to say of each.
  std::vector<Prediction> Predict(std::span<const std::string> texts) override {
    std::vector<TextInput> inputs;
    for (const std::string& text : texts) inputs.push_back({text, std::nullopt});
    Pass(model_.Encode(inputs).batch);
    return std::vector<Prediction>(texts.size());
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { Pass(batch); });
  }

 private:
  void Pass(const TokenBatch& batch) {
    constexpr size_t kFirst[] = {0};
    switch (model_.model().head()) {
      case Head::kSequenceClassification:
        model_.Logits(batch);
        return;
      case Head::kTokenClassification:
      case Head::kQuestionAnswering:
        model_.TokenLogits(batch);
        return;
      case Head::kMaskedLanguageModel:
        model_.MaskedLogits(batch, kFirst);
        return;
      case Head::kNone:
        model_.Embed(batch);
        return;
    }
  }

  TextModel model_;
  const std::vector<std::string> no_labels_;
};

}  // namespace

FineTuneOptions TrainingOptionsOf(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                                  size_t num_threads) {
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
  return options;
}

ModelCard CardOfTrained(const ModelConfig& model, const ModelData& data, const std::string& trained, const FineTuneResult& result) {
  std::vector<std::string> notes;
  NoteKeeper keeper(notes);
  return CardOfTask(model.task, TrainingOptionsOf(model, trained, data, "", 1), keeper, result);
}

std::vector<Finding> CheckDataOf(const std::string& task, const ModelData& data, std::vector<std::string>& notes) {
  NoteKeeper keeper(notes);
  return CheckFineTuneData(task,
                           {.model = "",
                            .data = data.train,
                            .validation = data.validation,
                            .test = data.test,
                            .validation_split = 0,  // all that is there, undivided
                            .text_column = data.text_column,
                            .target_column = data.target_column,
                            .out = "",
                            .command = "",
                            .resume_command = "",
                            .training = {}},
                           keeper);
}

TaskEvaluation EvaluateTask(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                            const std::atomic<bool>& stop) {
  ThrowIfStopped(stop);
  EvaluationResult result = Evaluate({.model = folder,
                                      .data = data,
                                      .text_column = columns.text_column,
                                      .target_column = columns.target_column,
                                      .num_threads = num_threads});
  ThrowIfStopped(stop);
  TaskEvaluation evaluation;
  evaluation.figures = std::move(result.figures);
  evaluation.metrics_json = std::move(result.metrics_json);
  return evaluation;
}

std::unique_ptr<TaskModel> OpenEntityFinder(const std::string& folder, size_t num_threads) {
  return std::make_unique<EntityFinder>(folder, num_threads);
}

std::unique_ptr<TaskModel> OpenAnyModel(const std::string& folder, size_t num_threads) {
  return std::make_unique<AnyModel>(folder, num_threads);
}

std::vector<TextInput> InputsOfTaggedTexts(const std::string& data, const ModelData&, size_t at_most) {
  const TaggedTexts texts = ReadTaggedTexts(data);
  std::vector<TextInput> inputs;
  for (size_t i = 0; i < std::min(at_most, texts.size()); ++i) inputs.push_back({texts.texts.texts[i], std::nullopt});
  return inputs;
}

TaskModel::Latency MeasurePasses(const TextModel& model, size_t num_tokens, const std::atomic<bool>& stop,
                                 const std::function<void(const TokenBatch& batch)>& pass) {
  constexpr size_t kRuns = 5, kPasses = 100, kWarmups = 5;
  if (num_tokens > model.model().max_positions())
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a latency of {} tokens; the model takes 1 to {}", num_tokens, model.model().max_positions()));
  TokenBatch batch;  // ids that every vocabulary of that size has; what they say has no bearing on the time
  for (size_t t = 0; t < num_tokens; ++t) batch.token_ids.push_back(static_cast<int32_t>(t * 104729 % model.model().vocab_size()));
  batch.token_type_ids.resize(num_tokens);
  batch.offsets.push_back(num_tokens);
  std::vector<double> p50, p99;
  for (size_t run = 0; run < kRuns; ++run) {
    ThrowIfStopped(stop);
    std::vector<double> times;
    for (size_t i = 0; i < kWarmups + kPasses; ++i) {
      const auto begin = Clock::now();
      pass(batch);
      if (i >= kWarmups) times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
    p50.push_back(Quantile(times, 0.5));
    p99.push_back(Quantile(times, 0.99));
  }
  return {Quantile(p50, 0.5), Quantile(p99, 0.5), ProcessorName()};
}

std::string ProcessorName() {
  static const std::string kName = [] {  // asked for once a gate of each of many models
    const Machine machine = DescribeMachine();
    return machine.processor.empty() ? machine.architecture : machine.processor;
  }();
  return kName;
}

}  // namespace mlac
