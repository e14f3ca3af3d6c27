// A served model that is a folder: TextModel behind ServedModel's interface.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "kernels/vector_ops.h"
#include "pipelines/text_model.h"
#include "serve/served_model.h"

namespace mlac {
namespace {

// torch.nn.functional.normalize's eps.
constexpr float kSmallestNorm = 1e-12f;

// "prompts" of config_sentence_transformers.json: a text to put before each text, by the name of its use ("query").
std::map<std::string, std::string> ReadPrompts(const std::string& folder) {
  const std::string path = folder + "/config_sentence_transformers.json";
  std::map<std::string, std::string> prompts;
  if (!FileExists(path)) return prompts;
  const nlohmann::json config = ReadJsonFile(path);
  const auto list = config.is_object() ? config.find("prompts") : config.end();
  if (list == config.end() || list->is_null()) return prompts;
  if (!list->is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: 'prompts' is no object", path));
  for (const auto& [name, prompt] : list->items()) {
    if (!prompt.is_string()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the prompt '{}' is no text", path, name));
    prompts[name] = prompt.get<std::string>();
  }
  return prompts;
}

class FolderModel : public ServedModel {
 public:
  FolderModel(const std::string& folder, const ServedModelOptions& options)
      : model_(folder, {.num_threads = options.num_threads, .max_length = options.max_length, .dtype = options.dtype}),
        is_classifier_(model_.model().head() == Head::kSequenceClassification),
        prompts_(ReadPrompts(folder)) {
    // Packs the weights, so that the first request does not wait for it.
    std::vector<float> out(output_size());
    Compute({.token_ids = {0}, .token_type_ids = {0}, .offsets = {0, 1}}, out);
  }

  const Tokenizer& tokenizer() const override { return model_.tokenizer(); }
  size_t max_length() const override { return model_.max_length(); }
  size_t vocab_size() const override { return model_.model().vocab_size(); }
  bool is_classifier() const override { return is_classifier_; }
  const std::vector<std::string>& label_names() const override { return model_.label_names(); }
  size_t output_size() const override { return is_classifier_ ? model_.model().num_labels() : model_.embedding_size(); }
  std::string_view pooling() const override { return Name(model_.sentence_encoder().pooling()); }
  bool normalizes() const override { return model_.sentence_encoder().normalizes(); }
  const std::map<std::string, std::string>& prompts() const override { return prompts_; }

  void Compute(const TokenBatch& batch, std::span<float> out) override {
    const std::vector<float> values = is_classifier_ ? model_.Logits(batch) : model_.Embed(batch, /*normalize=*/false);
    std::copy(values.begin(), values.end(), out.begin());
  }

 private:
  TextModel model_;
  const bool is_classifier_;
  const std::map<std::string, std::string> prompts_;
};

}  // namespace

std::unique_ptr<ServedModel> OpenServedModel(const std::string& folder, const ServedModelOptions& options) {
  return std::make_unique<FolderModel>(folder, options);
}

void NormalizeVector(std::span<float> vector) {
  const float length = std::sqrt(kernels::Dot(vector.data(), vector.data(), vector.size()));
  kernels::Scale(vector.data(), 1.0f / std::max(length, kSmallestNorm), vector.data(), vector.size());
}

}  // namespace mlac
