// fill-mask: a masked language model learns the words of a field from texts without labels.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "train/fine_tune_task.h"
#include "train/mask_objective.h"

namespace mlac {
namespace {

class FillMaskTask : public FineTuneTask {
 public:
  explicit FillMaskTask(const FineTuneOptions& options)
      : masking_(options.masking), seed_(options.training.seed), text_column_(options.text_column) {}

  std::string name() const override { return "fill-mask"; }

  void Read(const FineTuneOptions& options, FineTuneObserver& observer) override {
    observer_ = &observer;
    LabelledTexts all = ReadTextsToMask(options.data, text_column_);
    for (const std::string& note : all.notes) observer.OnNote(note);
    if (!options.validation.empty()) {
      parts_[1].texts = ReadTextsToMask(options.validation, text_column_);
      parts_[0].texts = std::move(all);
    } else {
      SplitOffValidation(options, std::move(all), parts_[0].texts, parts_[1].texts, observer);
    }
    if (!options.test.empty()) parts_[2].texts = ReadTextsToMask(options.test, text_column_);
  }

  HeadRequest head() const override { return {.head = Head::kMaskedLanguageModel}; }
  const std::vector<std::string>& label_names() const override { return no_labels_; }

  void Tokenize(const Tokenizer& tokenizer, size_t max_length) override {
    mask_token_ = tokenizer.special_ids().mask < 0 ? "" : tokenizer.TokenOf(tokenizer.special_ids().mask);
    masker_ = std::make_unique<TokenMasker>(tokenizer, masking_.probability, masking_.whole_words);
    measuring_masker_ = std::make_unique<TokenMasker>(MeasuringMasker(tokenizer));
    for (Part& part : parts_) part.to_mask = JoinTextsToMask(tokenizer, part.texts, max_length, masking_.line_by_line);
    const TextsToMask& train = parts_[0].to_mask;
    if (train.blocks.size() == 0) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: none of its texts has a token", train.source));
    observer_->OnNote(fmt::format("{}: {} texts make {} {} of at most {} tokens", train.source, parts_[0].texts.size(), train.blocks.size(),
                                  train.blocks.size() == 1 ? "block" : "blocks", max_length));
  }

  std::vector<Finding> Check(size_t max_length) const override {
    std::vector<DataPart> parts;
    for (size_t i = 0; i < 3; ++i)
      if (i == 0 || parts_[i].texts.size() > 0) parts.push_back({kPartNames[i], &parts_[i].texts, 0});
    return CheckData(parts, {.max_length = max_length, .classes = false});
  }

  std::array<PartSummary, 3> parts() const override {
    std::array<PartSummary, 3> summaries;
    for (size_t i = 0; i < 3; ++i)
      summaries[i] = {kPartNames[i], parts_[i].texts.source, parts_[i].texts.size(), 0, HashOfTexts(parts_[i].texts)};
    return summaries;
  }

  std::string token_hash() const override { return HashOfTokens(parts_[0].to_mask.blocks.tokens, parts_[1].to_mask.blocks.tokens); }

  std::vector<std::pair<std::string, std::string>> parameters() const override {
    return {{"share of masked tokens", fmt::format("{}", masking_.probability)},
            {"whole words", masking_.whole_words ? "yes" : "no"},
            {"texts joined", masking_.line_by_line ? "no" : "yes"}};
  }

  std::vector<std::pair<std::string, std::string>> reading() const override {
    return {{"text-column", text_column_}, {"line-by-line", masking_.line_by_line ? "yes" : "no"}};
  }

  std::unique_ptr<Objective> MakeObjective(Model& model) override {
    WarnOfNewHead(model);
    return MakeMaskObjective(model, *masker_, parts_[0].to_mask, *measuring_masker_, parts_[1].to_mask, seed_);
  }

  void Measure(const Model& model, Run& run, size_t part, const std::function<void()>& check_stop, FineTuneResult& result) const override {
    result.figures = MeasureMasks(MaskedLogitsOf(model, run, check_stop), *measuring_masker_, parts_[part].to_mask, model.vocab_size(),
                                  {.check_stop = check_stop});
    result.metrics_json = FiguresJson(result.figures);
  }

  ModelCard Card(const FineTuneResult& result) const override {
    ModelCard card;
    card.task = name();
    card.title = "Masked language model";
    card.introduction = "Fills in the words that are missing in a text.";
    if (new_head_) card.introduction += " Its head was made new: the model that it began from had none.";
    card.arguments = fmt::format("\"a text with a {} in it\"", mask_token_);
    card.python_arguments = card.arguments;
    card.text_column = text_column_;
    card.figures = &result.figures;
    return card;
  }

 private:
  struct Part {
    LabelledTexts texts;
    TextsToMask to_mask;
  };

  void WarnOfNewHead(const Model& model) {
    std::vector<std::string> names;
    for (const Parameter& parameter : model.parameters().parameters())
      if (!model.parameters().Has(parameter.name) && !IsOfAdapter(parameter.name)) names.push_back(parameter.name);
    new_head_ = !names.empty();
    if (!new_head_) return;
    observer_->OnFinding(
        {.code = "new_head",
         .severity = Severity::kWarning,
         .count = names.size(),
         .message = fmt::format("the model has no head of a masked language model; a new one is made over its word embeddings, which "
                                "takes many more texts to learn than one that has it ('{}' and {} more)",
                                names.front(), names.size() - 1)});
  }

  const MaskingOptions masking_;
  const uint64_t seed_;
  const std::string text_column_;
  FineTuneObserver* observer_ = nullptr;
  std::unique_ptr<TokenMasker> masker_, measuring_masker_;
  std::string mask_token_;
  bool new_head_ = false;
  const std::vector<std::string> no_labels_;
  std::array<Part, 3> parts_;
};

}  // namespace

std::unique_ptr<FineTuneTask> MakeFillMaskTask(const FineTuneOptions& options) { return std::make_unique<FillMaskTask>(options); }

}  // namespace mlac
