// text-ranking: how well each text answers a query, by a cross-encoder: a classifier with one label that reads query and text together.
// JSON: [{"index", "score"}, ...], best first, index from 0 in the order given. Text: index, score and text a line.
#include <fmt/format.h>

#include <algorithm>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

struct Ranked {
  size_t index;
  float score;
  std::string text;  // where it is to be shown

  // Best first; of equals the one that came first.
  bool operator<(const Ranked& other) const { return score != other.score ? score > other.score : index < other.index; }
};

class TextRanking : public Task {
 public:
  explicit TextRanking(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
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
    for (size_t i = 0; i < texts.size(); ++i) Keep({num_seen_++, scores[i], json_ ? std::string() : texts[i].text});
  }

  void End(std::string& out) override {
    std::sort(ranked_.begin(), ranked_.end());
    if (json_) out += '[';
    for (size_t i = 0; i < ranked_.size(); ++i) {
      const Ranked& ranked = ranked_[i];
      if (json_) {
        out += fmt::format("{}{{\"index\": {}, \"score\": ", i > 0 ? ", " : "", ranked.index);
        AppendFloat(out, ranked.score);
        out += '}';
      } else {
        out += fmt::format("{}\t{:.4f}\t{}\n", ranked.index, ranked.score, Printable(ranked.text));
      }
    }
    if (json_) out += "]\n";
  }

 private:
  // With a limit the worst is dropped, so that memory does not grow with the number of texts. A heap has its last in order on top.
  void Keep(Ranked ranked) {
    const size_t limit = options_.top_k.value_or(0);
    ranked_.push_back(std::move(ranked));
    if (limit == 0) return;
    std::push_heap(ranked_.begin(), ranked_.end());
    if (ranked_.size() <= limit) return;
    std::pop_heap(ranked_.begin(), ranked_.end());
    ranked_.pop_back();
  }

  TaskOptions options_;
  bool json_;
  size_t num_seen_ = 0;
  std::vector<Ranked> ranked_;
};

}  // namespace

std::unique_ptr<Task> MakeTextRanking(const TaskOptions& options) { return std::make_unique<TextRanking>(options); }

}  // namespace mlac
