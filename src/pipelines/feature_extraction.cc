// feature-extraction: one vector a text, pooled as the folder says, else the mean of its tokens; or one a token.
// JSON: [[...], ...], with tokens [[[...], ...], ...]. Text: a vector a line, numbers apart by spaces.
#include "base/json.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

class FeatureExtraction : public Task {
 public:
  explicit FeatureExtraction(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    CheckPrompt(options);
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    const EncodedTexts encoded = model.EncodeWithPrompt(texts, PromptOf(model, options_));
    num_truncated_ += encoded.num_truncated;
    const TokenBatch& batch = encoded.batch;
    const std::vector<float> vectors =
        options_.tokens ? model.EmbedTokens(batch) : model.Embed(batch, /*normalize=*/true, encoded.pooled_from);
    RequireFinite(vectors);
    const size_t size = options_.tokens ? model.model().hidden_size() : model.embedding_size();
    for (size_t i = 0; i < texts.size(); ++i) {
      if (json_ && !first_) out += ", ";
      first_ = false;
      const size_t begin = options_.tokens ? batch.offsets[i] : i, end = options_.tokens ? batch.offsets[i + 1] : i + 1;
      if (json_ && options_.tokens) out += '[';
      for (size_t row = begin; row < end; ++row) {
        if (json_ && row > begin) out += ", ";
        AppendVector(std::span(vectors).subspan(row * size, size), out);
      }
      if (json_ && options_.tokens) out += ']';
    }
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  void AppendVector(std::span<const float> vector, std::string& out) const {
    if (json_) out += '[';
    for (size_t i = 0; i < vector.size(); ++i) {
      if (i > 0) out += json_ ? ", " : " ";
      AppendFloat(out, vector[i]);
    }
    out += json_ ? ']' : '\n';
  }

  TaskOptions options_;
  bool json_, first_ = true;
};

}  // namespace

std::unique_ptr<Task> MakeFeatureExtraction(const TaskOptions& options) { return std::make_unique<FeatureExtraction>(options); }

}  // namespace mlac
