// token-classification: names, places and other entities in texts.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "data/split.h"
#include "train/fine_tune_task.h"
#include "train/tagged_texts.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

class TokenClassificationTask : public FineTuneTask {
 public:
  std::string name() const override { return "token-classification"; }

  void Read(const FineTuneOptions& options, FineTuneObserver& observer) override {
    TaggedTexts all = ReadTaggedTexts(options.data, options.tag_columns);
    columns_ = all.columns;
    label_names_ = TagsOf(all);
    if (label_names_.size() < 2)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected at least two tags, found only '{}'", all.texts.source, label_names_[0]),
                  "a word without an entity has the tag O, others B-TYPE or I-TYPE");
    if (!options.validation.empty()) {
      parts_[1].texts = ReadTaggedTexts(options.validation, options.tag_columns);
      parts_[0].texts = std::move(all);
    } else if (options.validation_split > 0) {
      const SplitRows rows = SplitStratified(all.texts, options.validation_split, options.training.seed);
      parts_[0].texts = Subset(all, rows.train);
      parts_[1].texts = Subset(all, rows.validation);
      observer.OnNote(fmt::format("{}: {} sentences to train, {} to validate (seed {})", all.texts.source, rows.train.size(), rows.validation.size(),
                                  options.training.seed));
    } else {
      parts_[0].texts = std::move(all);
    }
    if (!options.test.empty()) parts_[2].texts = ReadTaggedTexts(options.test, options.tag_columns);
  }

  HeadRequest head() const override { return {.head = Head::kTokenClassification, .num_labels = label_names_.size()}; }
  const std::vector<std::string>& label_names() const override { return label_names_; }

  void Tokenize(const Tokenizer& tokenizer, size_t max_length) override {
    for (Part& part : parts_) part.tokens = AlignTags(tokenizer, max_length, part.texts, label_names_);
  }

  std::vector<Finding> Check(size_t max_length) const override {
    std::vector<DataPart> parts;
    for (size_t i = 0; i < 3; ++i)
      if (i == 0 || parts_[i].texts.size() > 0) parts.push_back({kPartNames[i], &parts_[i].texts.texts, parts_[i].tokens.num_cut});
    std::vector<Finding> findings = CheckData(parts, {.max_length = max_length, .classes = false});
    for (size_t i = 0; i < 3; ++i)
      for (Finding& finding : CheckTags(parts_[i].tokens, kPartNames[i])) findings.push_back(std::move(finding));
    return findings;
  }

  std::array<PartSummary, 3> parts() const override {
    std::array<PartSummary, 3> summaries;
    for (size_t i = 0; i < 3; ++i)
      summaries[i] = {kPartNames[i], parts_[i].texts.texts.source, parts_[i].texts.size(), parts_[i].tokens.num_cut, HashOfTexts(parts_[i].texts.texts)};
    return summaries;
  }

  std::string token_hash() const override { return HashOfTokens(parts_[0].tokens.tokens, parts_[1].tokens.tokens); }

  std::vector<std::pair<std::string, std::string>> reading() const override {
    if (columns_.words.empty()) return {};
    return {{"text-column", columns_.words}, {"target-column", columns_.tags}};
  }

  std::unique_ptr<Objective> MakeObjective(Model& model) override {
    return MakeTokenObjective(model, parts_[0].tokens, parts_[1].tokens, label_names_);
  }

  void Measure(const Model& model, Run& run, size_t part, const std::function<void()>& check_stop, FineTuneResult& result) const override {
    result.figures = MeasureTokens(PredictTokenLabels(model, run, parts_[part].tokens, check_stop), parts_[part].tokens, label_names_,
                                   {.check_stop = check_stop});
    result.metrics_json = FiguresJson(result.figures);
  }

  ModelCard Card(const FineTuneResult& result) const override {
    ModelCard card;
    card.task = name();
    card.title = "Entities in text";
    card.introduction = "Gives each word of a text a tag";
    card.usage_options = " --aggregation-strategy first";
    card.figures = &result.figures;
    card.label_names = label_names_;
    return card;
  }

 private:
  struct Part {
    TaggedTexts texts;
    TaggedTokens tokens;
  };

  std::vector<std::string> label_names_;
  TagColumns columns_;  // of the training data, where it has lists
  std::array<Part, 3> parts_;
};

}  // namespace

std::unique_ptr<FineTuneTask> MakeTokenClassificationTask(const FineTuneOptions&) { return std::make_unique<TokenClassificationTask>(); }

}  // namespace mlac
