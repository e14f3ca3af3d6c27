// A served model that is a folder: TextModel behind ServedModel's interface.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/thread_team.h"
#include "kernels/vector_ops.h"
#include "models/adapter.h"
#include "pipelines/text_model.h"
#include "serve/joined_adapters.h"
#include "serve/served_model.h"

namespace mlac {
namespace {

// torch.nn.functional.normalize's eps.
constexpr float kSmallestNorm = 1e-12f;
constexpr size_t kMaxRecordBytes = size_t{16} << 20;  // of training.json

// Whether the vectors of a model with this head were trained to be compared, or may be: those of a classifier's encoder were not.
bool GivesVectors(Head head) { return head == Head::kNone || head == Head::kMaskedLanguageModel; }

// The tasks of the folder's head, that which it is for first. Folders of sentence-transformers often keep the head of the language model
// that they began as.
std::vector<std::string> TasksOf(const TextModel& model) {
  const bool gives_vectors = GivesVectors(model.model().head());
  std::vector<std::string> tasks;
  for (std::string& task : model.Tasks())
    if (gives_vectors || (task != "feature-extraction" && task != "sentence-similarity")) tasks.push_back(std::move(task));
  if (tasks.back() == "fill-mask" && !FileExists(model.folder() + "/modules.json")) std::rotate(tasks.begin(), tasks.end() - 1, tasks.end());
  return tasks;
}

std::string_view DtypeOf(const TextModel& model, DType dtype) {
  for (const Parameter* parameter : model.model().parameters().All())
    if (parameter->value.dtype() == DType::kI8) return "int8";
  return dtype == DType::kBF16 ? "bfloat16" : "float32";
}

// By training.json, as mlac writes it: its task, and the columns that were read. Of a file that is none nothing is known.
bool ReadsSingleTexts(const std::string& folder) {
  const std::string path = folder + "/training.json";
  if (!FileExists(path)) return false;
  const nlohmann::json record = ParseJsonOrDiscard(ReadFile(path, kMaxRecordBytes));
  if (!record.is_object() || !record.contains("format_version") || record.value("task", nlohmann::json()) != "text-classification")
    return false;
  const auto reading = record.find("reading");
  return reading != record.end() && reading->is_object() && reading->contains("text-column") && !reading->contains("text-pair-column");
}

class FolderModel : public ServedModel {
 public:
  FolderModel(const std::string& folder, const ServedModelOptions& options)
      : model_(folder, {.num_threads = options.num_threads,
                        .max_length = options.max_length,
                        .dtype = options.dtype,
                        .team = options.team,
                        .adapter = options.adapter,
                        .base = options.base}),
        is_classifier_(model_.model().head() == Head::kSequenceClassification),
        options_(options),
        tasks_(TasksOf(model_)),
        joined_(options.joined && CanJoin(model_.model()) ? options.joined : nullptr),
        reads_single_texts_(is_classifier_ && ReadsSingleTexts(options.adapter.empty() ? folder : options.adapter)),
        dtype_(DtypeOf(model_, options.dtype)),
        prompts_(GivesVectors(model_.model().head()) ? model_.prompts() : SentencePrompts()) {}

  const Tokenizer& tokenizer() const override { return model_.tokenizer(); }
  size_t max_length() const override { return model_.max_length(); }
  size_t vocab_size() const override { return model_.model().vocab_size(); }
  const std::vector<std::string>& tasks() const override { return tasks_; }
  std::string_view dtype() const override { return dtype_; }
  bool is_classifier() const override { return is_classifier_; }
  const std::vector<std::string>& label_names() const override { return model_.label_names(); }
  size_t output_size() const override { return model_.row_size(Output::kSequence); }
  bool reads_single_texts() const override { return reads_single_texts_; }
  ProblemType problem_type() const override { return model_.problem_type(); }
  size_t row_size(Output output) const override {
    return output == Output::kTokens && !GivesVectors(model_.model().head()) ? 0 : model_.row_size(output);
  }
  std::string_view pooling() const override { return Name(model_.sentence_encoder().pooling()); }
  bool normalizes() const override { return model_.sentence_encoder().normalizes(); }
  const SentencePrompts& prompts() const override { return prompts_; }
  bool pools_prompt() const override { return model_.sentence_encoder().pools_prompt(); }

  void Compute(const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane) override {
    const std::vector<float> values = model_.Compute(batch, wanted, lane);
    std::copy(values.begin(), values.end(), out.begin());
  }

  bool joins_batches() const override { return joined_ != nullptr; }
  RowRoom* row_room() const override { return joined_ ? &joined_->room() : nullptr; }
  void ComputeInTurn(ComputeTurns& turns, const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out) override {
    joined_->Compute(turns, {.model = &model_, .batch = &batch, .wanted = wanted, .out = out});
  }

  std::unique_ptr<ServedModel> OpenAdapter(const std::string& adapter) const override {
    if (!options_.base || !options_.adapter.empty())
      throw Error(ErrorCode::kUnsupported,
                  fmt::format("the model of {} was not opened to share its weights with adapters", model_.folder()));
    ServedModelOptions options = options_;
    options.adapter = adapter;
    return std::make_unique<FolderModel>(model_.folder(), options);
  }

  const TextModel* text_model() const override { return &model_; }
  void Answer(Task& task, std::span<const TextInput> texts, std::string& out) override { task.Add(model_, texts, out); }

 private:
  TextModel model_;
  const bool is_classifier_;
  const ServedModelOptions options_;
  const std::vector<std::string> tasks_;
  const std::shared_ptr<JoinedAdapters> joined_;
  const bool reads_single_texts_;
  const std::string_view dtype_;
  const SentencePrompts prompts_;
};

}  // namespace

bool Does(const ServedModel& model, std::string_view task) {
  return std::find(model.tasks().begin(), model.tasks().end(), task) != model.tasks().end();
}

std::unique_ptr<ServedModel> OpenServedModel(const std::string& folder, const ServedModelOptions& options) {
  ServedModelOptions shared = options;
  if (options.takes_adapters && !options.base) {
    if (!shared.team) shared.team = std::make_shared<ThreadTeam>(options.num_threads == 0 ? DefaultNumThreads() : options.num_threads);
    shared.base = OpenBase(folder);
    shared.joined = std::make_shared<JoinedAdapters>(shared.base, shared.team, options.dtype, options.max_batch_tokens);
  }
  return std::make_unique<FolderModel>(folder, shared);
}

void NormalizeVector(std::span<float> vector) {
  const float length = std::sqrt(kernels::Dot(vector.data(), vector.data(), vector.size()));
  kernels::Scale(vector.data(), 1.0f / std::max(length, kSmallestNorm), vector.data(), vector.size());
}

}  // namespace mlac
