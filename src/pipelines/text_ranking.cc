// text-ranking: how well each text answers a query, by a cross-encoder: a classifier with one label that reads query and text together.
// JSON: [{"index", "score"}, ...], best first, index from 0 in the order given. Text: index, score and text a line.
#include "base/error.h"
#include "pipelines/ranked_texts.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

class TextRanking : public Task {
 public:
  explicit TextRanking(const TaskOptions& options) : options_(options), ranked_(options.top_k.value_or(0), options.format) {
    if (options.query.empty()) throw Error(ErrorCode::kInvalidArgument, "text-ranking: expected a query, found none");
  }

  void Begin(std::string&) override {}

  void Add(TextModel& model, std::span<const TextInput> texts, std::string&) override {
    model.Require("text-ranking");
    std::vector<TextInput> pairs;
    for (const TextInput& text : texts) pairs.push_back({options_.query, text.text, text.place});
    const EncodedTexts encoded = model.EncodeWithPrompt(pairs, model.ranking_prompts().Default());
    num_truncated_ += encoded.num_truncated;
    const std::vector<float> logits = model.Logits(encoded.batch);
    RequireFinite(logits);
    const std::vector<float> scores = options_.raw_scores ? logits : Sigmoids(logits);
    for (size_t i = 0; i < texts.size(); ++i) ranked_.Add(num_seen_++, scores[i], texts[i].text);
  }

  void End(std::string& out) override { ranked_.Write(out); }

 private:
  TaskOptions options_;
  RankedTexts ranked_;
  size_t num_seen_ = 0;
};

}  // namespace

std::unique_ptr<Task> MakeTextRanking(const TaskOptions& options) { return std::make_unique<TextRanking>(options); }

}  // namespace mlac
