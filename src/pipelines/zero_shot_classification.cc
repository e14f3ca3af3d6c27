// zero-shot-classification: labels of the user's own, by a model of natural language inference: does "This example is LABEL." follow from the text?
// Yin et al. 2019, https://arxiv.org/abs/1909.00161. JSON, as transformers' pipeline: [{"sequence", "labels", "scores"}, ...], best first.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "pipelines/sequence_task.h"

namespace mlac {
namespace {

constexpr std::string_view kPlace = "{}";

class ZeroShotClassification : public SequenceTask {
 public:
  explicit ZeroShotClassification(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    if (options.candidate_labels.empty()) throw Error(ErrorCode::kInvalidArgument, "zero-shot-classification: expected at least one label, found none");
    if (options.hypothesis_template.find(kPlace) == std::string::npos)
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("zero-shot-classification: expected {{}} for the label in the hypothesis template, found '{}'",
                              options.hypothesis_template));
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  TaskBatch Ask(const TextModel& model, std::span<const TextInput> texts) override {
    model.Require("zero-shot-classification");
    CheckSingleTexts("zero-shot-classification", texts);
    TaskBatch asked;
    for (size_t i = 0; i < texts.size(); ++i) {
      const bool needs_place = texts[i].place.empty() && texts.size() > 1;
      num_truncated_ += AskText(model, texts[i], needs_place ? fmt::format("text {}", i + 1) : texts[i].place, asked.batch);
    }
    logits_.resize(asked.batch.num_sequences() * model.label_names().size());
    return asked;
  }

  void Take(const TextModel&, size_t sequence, std::span<const float> rows) override {
    std::copy(rows.begin(), rows.end(), logits_.begin() + static_cast<ptrdiff_t>(sequence * rows.size()));
  }

  void Write(const TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    const size_t size = logits_.size() / texts.size();
    for (size_t i = 0; i < texts.size(); ++i) AppendAnswer(model, std::span(logits_).subspan(i * size, size), texts[i].text, out);
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  size_t num_hypotheses() const { return options_.candidate_labels.size(); }

  // One pair at a time: the text and the template are not copied for each label. Returns whether the text was cut for any of them.
  bool AskText(const TextModel& model, const TextInput& text, const std::string& place, TokenBatch& batch) const {
    TextInput pair = {text.text, std::nullopt, place};
    bool truncated = false;
    for (const std::string& label : options_.candidate_labels) {
      pair.pair = options_.hypothesis_template;
      pair.pair->replace(pair.pair->find(kPlace), kPlace.size(), label);
      const EncodedTexts encoded = model.Encode(std::span(&pair, 1), Truncation::kOnlyFirst);
      truncated |= encoded.num_truncated > 0;
      batch.token_ids.insert(batch.token_ids.end(), encoded.batch.token_ids.begin(), encoded.batch.token_ids.end());
      batch.token_type_ids.insert(batch.token_type_ids.end(), encoded.batch.token_type_ids.begin(), encoded.batch.token_type_ids.end());
      batch.offsets.push_back(batch.num_tokens());
    }
    return truncated;
  }

  // logits: [hypotheses, labels of the model].
  std::vector<float> Scores(const TextModel& model, std::span<const float> logits) const {
    const size_t num_labels = model.label_names().size(), entailment = *EntailmentLabel(model.label_names());
    const bool alone = options_.multi_label || num_hypotheses() == 1;
    const size_t contradiction = entailment == 0 ? num_labels - 1 : 0;
    std::vector<float> chosen;
    for (size_t i = 0; i < num_hypotheses(); ++i) {
      if (alone) chosen.push_back(logits[i * num_labels + contradiction]);
      chosen.push_back(logits[i * num_labels + entailment]);
    }
    std::vector<float> scores = Probabilities(chosen, alone ? 2 : num_hypotheses());
    for (size_t i = 0; alone && i < num_hypotheses(); ++i) scores[i] = scores[2 * i + 1];
    scores.resize(num_hypotheses());
    return scores;
  }

  void AppendAnswer(const TextModel& model, std::span<const float> logits, const std::string& text, std::string& out) {
    const std::vector<float> scores = Scores(model, logits);
    std::vector<size_t> order(scores.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    if (!json_) {
      out += Printable(text) + '\n';
      for (const size_t i : order) out += fmt::format("  {}\t{:.4f}\n", Printable(options_.candidate_labels[i]), scores[i]);
      return;
    }
    if (!std::exchange(first_, false)) out += ", ";
    if (options_.label_pairs) return AppendPairs(order, scores, out);
    out += "{\"sequence\": ";
    AppendJsonString(out, text);
    out += ", \"labels\": [";
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0) out += ", ";
      AppendJsonString(out, options_.candidate_labels[order[i]]);
    }
    out += "], \"scores\": [";
    for (size_t i = 0; i < order.size(); ++i) {
      if (i > 0) out += ", ";
      AppendFloat(out, scores[order[i]]);
    }
    out += "]}";
  }

  void AppendPairs(std::span<const size_t> order, std::span<const float> scores, std::string& out) const {
    out += '[';
    for (size_t i = 0; i < order.size(); ++i) {
      out += i > 0 ? R"(,{"label":)" : R"({"label":)";
      AppendJsonString(out, options_.candidate_labels[order[i]]);
      out += R"(,"score":)";
      AppendFloat(out, scores[order[i]]);
      out += '}';
    }
    out += ']';
  }

  TaskOptions options_;
  bool json_, first_ = true;
  std::vector<float> logits_;  // [texts, hypotheses, labels of the model]
};

}  // namespace

std::unique_ptr<SequenceTask> MakeZeroShotClassification(const TaskOptions& options) {
  return std::make_unique<ZeroShotClassification>(options);
}

}  // namespace mlac
