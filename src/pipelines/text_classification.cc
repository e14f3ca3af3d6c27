// text-classification: the label of each text and its score: a probability, or of a regression the value.
// JSON, as transformers' pipeline for a list of texts: [{"label", "score"}, ...], with top_k [[{"label", "score"}, ...], ...].
// Text: label and score a line (with top_k: text first, then its labels). Where a text may have several labels, or with a threshold: text
// first, then the labels that count, perhaps none.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/display.h"
#include "base/error.h"
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
    if (options_.threshold && model.problem_type() == ProblemType::kRegression)
      throw Error(ErrorCode::kInvalidArgument, "--threshold: the model gives a number and no label");
    const EncodedTexts encoded = model.Encode(texts);
    num_truncated_ += encoded.num_truncated;
    const std::vector<float> logits = model.Logits(encoded.batch);
    RequireFinite(logits);
    const size_t num_labels = model.label_names().size();
    const std::vector<float> scores = Scores(model, logits, num_labels);
    for (size_t i = 0; i < texts.size(); ++i) {
      if (json_ && !first_) out += ", ";
      first_ = false;
      const size_t begin = i * num_labels;
      AppendAnswer(model, std::span(logits).subspan(begin, num_labels), std::span(scores).subspan(begin, num_labels), texts[i].text, out);
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

  // Whether labels are chosen by a bound and not by their rank. A model with one label is taken for one that gives a score.
  bool Decides(const TextModel& model) const {
    return options_.threshold || (model.problem_type() == ProblemType::kMultiLabel && model.label_names().size() > 1);
  }

  // Without a bound of the user's as CountLabels of train/ decides, which measures such models: a sigmoid is above 0.5 where its logit is
  // above 0.
  bool Counts(float logit, float score) const { return options_.threshold ? static_cast<double>(score) > *options_.threshold : logit > 0; }

  void AppendAnswer(const TextModel& model, std::span<const float> logits, std::span<const float> scores, const std::string& text,
                    std::string& out) const {
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    const bool decides = Decides(model) && (!json_ || options_.threshold || options_.counted_labels), is_list = options_.top_k || decides;
    const bool marks = decides && options_.top_k && !options_.threshold && !json_;  // the best K, each with whether it counts
    if (decides && !marks) std::erase_if(order, [&](size_t i) { return !Counts(logits[i], scores[i]); });
    const size_t wanted = options_.top_k.value_or(decides ? 0 : 1);
    if (wanted > 0 && wanted < order.size()) order.resize(wanted);
    if (json_ && is_list) out += '[';
    if (!json_ && is_list) out += Printable(text) + '\n';
    if (!json_ && is_list && order.empty()) out += "  (no label)\n";
    for (size_t i = 0; i < order.size(); ++i) {
      const std::string& label = model.label_names()[order[i]];
      if (json_) {
        out += i > 0 ? ", {\"label\": " : "{\"label\": ";
        AppendJsonString(out, label);
        out += ", \"score\": ";
        AppendFloat(out, scores[order[i]]);
        out += '}';
      } else {
        const char* counts = !marks ? "" : Counts(logits[order[i]], scores[order[i]]) ? "\tyes" : "\tno";
        out += fmt::format("{}{}\t{:.4f}{}\n", is_list ? "  " : "", Printable(label), scores[order[i]], counts);
      }
    }
    if (json_ && is_list) out += ']';
  }

  TaskOptions options_;
  bool json_, first_ = true;
};

}  // namespace

std::unique_ptr<Task> MakeTextClassification(const TaskOptions& options) { return std::make_unique<TextClassification>(options); }

}  // namespace mlac
