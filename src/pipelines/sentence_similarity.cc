// sentence-similarity: the cosine of the first text's vector with that of each other text.
// JSON: [0.61, 0.05]. Text: cosine and text a line, in the order given.
#include <fmt/format.h>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

class SentenceSimilarity : public Task {
 public:
  explicit SentenceSimilarity(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    CheckPrompt(options);
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    const EncodedTexts encoded = model.EncodeWithPrompt(texts, PromptOf(model, options_));
    num_truncated_ += encoded.num_truncated;
    const std::vector<float> vectors = model.Embed(encoded.batch, /*normalize=*/true, encoded.pooled_from);
    RequireFinite(vectors);
    const size_t size = model.embedding_size();
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::span<const float> vector = std::span(vectors).subspan(i * size, size);
      if (first_.empty()) {
        first_.assign(vector.begin(), vector.end());
        continue;
      }
      const float cosine = Cosine(first_, vector);
      if (json_) {
        if (num_compared_ > 0) out += ", ";
        AppendFloat(out, cosine);
      } else {
        out += fmt::format("{:7.4f}  {}\n", cosine, Printable(texts[i].text));
      }
      ++num_compared_;
    }
  }

  void End(std::string& out) override {
    if (num_compared_ == 0) throw Error(ErrorCode::kInvalidArgument, "sentence-similarity: expected at least two texts, found one");
    if (json_) out += "]\n";
  }

 private:
  const TaskOptions options_;
  bool json_;
  std::vector<float> first_;
  size_t num_compared_ = 0;
};

}  // namespace

std::unique_ptr<Task> MakeSentenceSimilarity(const TaskOptions& options) { return std::make_unique<SentenceSimilarity>(options); }

}  // namespace mlac
