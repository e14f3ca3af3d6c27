// text-classification: one label a text or pair, several, or a number.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/display.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "data/split.h"
#include "train/fine_tune_task.h"
#include "train/regression_metrics.h"
#include "train/set_metrics.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

class TextClassificationTask : public FineTuneTask {
 public:
  explicit TextClassificationTask(const FineTuneOptions& options)
      : options_(options.sequence),
        text_column_(options.text_column),
        pair_column_(options.text_pair_column),
        target_column_(options.target_column),
        label_separator_(options.label_separator) {}

  std::string name() const override { return "text-classification"; }

  void Read(const FineTuneOptions& options, FineTuneObserver& observer) override {
    LabelledTextsOptions reading = {.text_column = options.text_column, .label_column = options.target_column,
                                    .pair_column = options.text_pair_column, .targets = !single_label(), .skip_unlabelled = options.skip_unlabelled};
    CheckMaySkipUnlabelled(options.skip_unlabelled, options_.problem_type);
    const auto read = [&](const std::string& path) {
      LabelledTexts texts = ReadLabelledTexts(path, reading);
      for (const std::string& note : texts.notes) observer.OnNote(note);
      return texts;
    };
    LabelledTexts all = read(options.data);
    if (single_label()) {
      CheckTrainable(all);
      reading.label_names = label_names_ = all.label_names;
    }
    LabelledTexts &train = parts_[0].texts, &validation = parts_[1].texts, &test = parts_[2].texts;
    if (!options.validation.empty()) {
      validation = read(options.validation);
      train = std::move(all);
    } else {
      SplitOffValidation(options, std::move(all), train, validation, observer);
    }
    if (!options.test.empty()) test = read(options.test);
    if (single_label()) return;
    if (options_.problem_type == ProblemType::kRegression) {
      label_names_ = {options.target_column};
    } else {
      label_names_ = LabelsOf(train, options.label_separator);
    }
    for (Part& part : parts_)
      part.tokens.targets = ReadTargets(part.texts, options_.problem_type, label_names_, options.label_separator);
  }

  HeadRequest head() const override { return {.head = Head::kSequenceClassification, .num_labels = label_names_.size()}; }
  const std::vector<std::string>& label_names() const override { return label_names_; }
  std::string problem_type() const override {
    constexpr const char* kNames[] = {"single_label_classification", "multi_label_classification", "regression"};
    return kNames[static_cast<size_t>(options_.problem_type)];
  }

  void Tokenize(const Tokenizer& tokenizer, size_t max_length) override {
    for (Part& part : parts_) {
      part.num_cut = TokenizeTexts(tokenizer, max_length, part.texts, part.tokens.tokens);
      part.tokens.labels = part.texts.labels;
      part.tokens.source = part.texts.source;
      part.tokens.lines = part.texts.lines;
      part.tokens.files = part.texts.files;
    }
  }

  std::vector<Finding> Check(size_t max_length) const override {
    std::vector<DataPart> parts;
    for (size_t i = 0; i < 3; ++i)
      if (i == 0 || parts_[i].texts.size() > 0) parts.push_back({kPartNames[i], &parts_[i].texts, parts_[i].num_cut});
    return CheckData(parts, {.max_length = max_length, .classes = single_label()});
  }

  std::array<PartSummary, 3> parts() const override {
    std::array<PartSummary, 3> summaries;
    for (size_t i = 0; i < 3; ++i)
      summaries[i] = {kPartNames[i], parts_[i].texts.source, parts_[i].texts.size(), parts_[i].num_cut, HashOfTexts(parts_[i].texts)};
    return summaries;
  }

  std::string token_hash() const override { return HashOfTokens(parts_[0].tokens.tokens, parts_[1].tokens.tokens); }

  std::vector<std::pair<std::string, std::string>> parameters() const override {
    std::vector<std::pair<std::string, std::string>> parameters = {{"class weights", options_.class_weights ? "yes" : "no"}};
    if (options_.label_smoothing > 0) parameters.emplace_back("label smoothing", fmt::format("{}", options_.label_smoothing));
    if (!single_label()) parameters.emplace_back("problem type", problem_type());
    return parameters;
  }

  bool can_freeze() const override { return true; }
  std::vector<std::pair<std::string, std::string>> reading() const override {
    if (is_folder()) return {};
    std::vector<std::pair<std::string, std::string>> reading = {{"text-column", text_column_}};
    if (has_pairs()) reading.emplace_back("text-pair-column", pair_column_);
    reading.emplace_back("target-column", target_column_);
    if (options_.problem_type == ProblemType::kMultiLabel) reading.emplace_back("label-separator", label_separator_);
    return reading;
  }

  std::unique_ptr<Objective> MakeObjective(Model& model) override {
    return MakeSequenceObjective(model, parts_[0].tokens, parts_[1].tokens, options_);
  }

  void Measure(const Model& model, Run& run, size_t part, const std::function<void()>& check_stop, FineTuneResult& result) const override {
    MeasureSequences(Predict(model, run, parts_[part].tokens, check_stop), parts_[part].tokens, label_names_, options_.problem_type,
                     check_stop, result.metrics, result.figures, result.metrics_json);
  }

  ModelCard Card(const FineTuneResult& result) const override {
    ModelCard card;
    card.task = name();
    card.label_names = label_names_;
    if (!is_folder()) {
      card.text_column = text_column_;
      card.label_column = target_column_;
    }
    if (has_pairs()) SetPairColumn(card, pair_column_);
    if (single_label()) {
      card.metrics = &result.metrics;
      return card;
    }
    const bool regression = options_.problem_type == ProblemType::kRegression;
    const char* what = has_pairs() ? "pair of texts" : "text";
    card.gives_numbers = regression;
    card.title = regression ? "Text regression" : fmt::format("Text classifier of {} labels, several a {}", label_names_.size(), what);
    card.introduction = regression ? fmt::format("Gives a {} a number.", what)
                                   : fmt::format("Gives a {} those of its labels whose score is above 0.5", what);
    card.figures = &result.figures;
    card.usage_options = regression ? "" : " --top-k all";
    return card;
  }

 private:
  struct Part {
    LabelledTexts texts;
    LabelledTokens tokens;
    size_t num_cut = 0;
  };

  bool is_folder() const { return !parts_[0].texts.files.empty(); }
  bool has_pairs() const { return !pair_column_.empty(); }
  bool single_label() const { return options_.problem_type == ProblemType::kSingleLabel; }

  SequenceObjectiveOptions options_;
  std::string text_column_, pair_column_, target_column_, label_separator_;
  std::vector<std::string> label_names_;
  std::array<Part, 3> parts_;
};

}  // namespace

std::unique_ptr<FineTuneTask> MakeTextClassificationTask(const FineTuneOptions& options) { return std::make_unique<TextClassificationTask>(options); }

}  // namespace mlac
