// text-classification: the label of each text and its score: a probability, or of a regression the value.
// JSON, as transformers' pipeline for a list of texts: [{"label", "score"}, ...], with top_k [[{"label", "score"}, ...], ...].
// Text: label and score a line (with top_k: text first, then its labels).
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/display.h"
#include "base/json.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

class TextClassification : public Task {
 public:
  explicit TextClassification(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {}

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    const EncodedTexts encoded = model.Encode(texts);
    num_truncated_ += encoded.num_truncated;
    const std::vector<float> logits = model.Logits(encoded.batch);
    RequireFinite(logits);
    const size_t num_labels = model.label_names().size();
    const std::vector<float> scores = Scores(model, logits, num_labels);
    for (size_t i = 0; i < texts.size(); ++i) {
      if (json_ && !first_) out += ", ";
      first_ = false;
      AppendAnswer(model, std::span(scores).subspan(i * num_labels, num_labels), texts[i].text, out);
    }
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  std::vector<float> Scores(const TextModel& model, const std::vector<float>& logits, size_t num_labels) const {
    constexpr ScoreFunction kFunctions[] = {ScoreFunction::kSoftmax, ScoreFunction::kSigmoid, ScoreFunction::kNone};  // by ProblemType
    switch (options_.function_to_apply.value_or(kFunctions[static_cast<size_t>(model.problem_type())])) {
      case ScoreFunction::kSoftmax: return Probabilities(logits, num_labels);
      case ScoreFunction::kSigmoid: return Sigmoids(logits);
      case ScoreFunction::kNone: break;
    }
    return logits;
  }

  void AppendAnswer(const TextModel& model, std::span<const float> scores, const std::string& text, std::string& out) const {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    const size_t wanted = options_.top_k.value_or(1);
    if (wanted > 0 && wanted < order.size()) order.resize(wanted);
    if (json_ && options_.top_k) out += '[';
    if (!json_ && options_.top_k) out += Printable(text) + '\n';
    for (size_t i = 0; i < order.size(); ++i) {
      const std::string& label = model.label_names()[order[i]];
      if (json_) {
        out += i > 0 ? ", {\"label\": " : "{\"label\": ";
        AppendJsonString(out, label);
        out += ", \"score\": ";
        AppendFloat(out, scores[order[i]]);
        out += '}';
      } else {
        out += fmt::format("{}{}\t{:.4f}\n", options_.top_k ? "  " : "", Printable(label), scores[order[i]]);
      }
    }
    if (json_ && options_.top_k) out += ']';
  }

  TaskOptions options_;
  bool json_, first_ = true;
};

}  // namespace

std::unique_ptr<Task> MakeTextClassification(const TaskOptions& options) { return std::make_unique<TextClassification>(options); }

}  // namespace mlac
