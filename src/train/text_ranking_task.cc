// text-ranking: a cross-encoder, which reads a query and a document together and says how well one answers the other.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/display.h"
#include "base/error.h"
#include "train/fine_tune_task.h"
#include "train/ranked_pairs.h"
#include "train/sentence_folder.h"

namespace mlac {
namespace {

std::string Describe(const RankedPairs& pairs) {
  const TupleColumns& columns = pairs.columns;
  const bool scored = columns.negative.empty();
  std::string text =
      fmt::format("{}: {} pairs of the columns {}, {} and {}", pairs.texts.source, pairs.size(), Printable(columns.first, 40),
                  Printable(columns.second, 40), Printable(scored ? columns.score : columns.negative, 40));
  if (pairs.num_repeated > 0) text += fmt::format(", {} repeated ones left out", pairs.num_repeated);
  return text;
}

void CheckTrainable(const RankedPairs& pairs) {
  const auto [least, greatest] = std::minmax_element(pairs.scores.begin(), pairs.scores.end());
  if (pairs.scores.empty() || *least == *greatest)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected documents that answer and such that do not, found the score {} in all of {} pairs",
                            pairs.texts.source, pairs.scores.empty() ? 0 : *least, pairs.size()),
                "a column of negatives, or scores of 0 and 1, tells them apart");
}

class TextRankingTask : public FineTuneTask {
 public:
  explicit TextRankingTask(const FineTuneOptions&) {}

  std::string name() const override { return "text-ranking"; }

  void Read(const FineTuneOptions& options, FineTuneObserver& observer) override {
    RankedPairs all = ReadRankedPairs(options.data, options.tuple_columns);
    for (const std::string& note : all.texts.notes) observer.OnNote(note);
    CheckTrainable(all);
    description_ = Describe(all);
    observer.OnNote(description_);
    const auto read = [columns = all.columns](const std::string& path) { return ReadRankedPairs(path, columns); };
    std::array<RankedPairs, 3> divided = DivideByFirstText<RankedPairs>(options, std::move(all), read, "pairs of whole queries", observer);
    for (size_t i = 0; i < 3; ++i) parts_[i].pairs = std::move(divided[i]);
  }

  HeadRequest head() const override { return {.head = Head::kSequenceClassification, .num_labels = 1}; }
  const std::vector<std::string>& label_names() const override { return label_names_; }

  void Tokenize(const Tokenizer& tokenizer, size_t max_length) override {
    for (Part& part : parts_) part.tokens = TokenizeRankedPairs(tokenizer, max_length, part.pairs);
  }

  std::vector<Finding> Check(size_t max_length) const override {
    std::vector<DataPart> parts;
    for (size_t i = 0; i < 3; ++i)
      if (i == 0 || parts_[i].pairs.size() > 0) parts.push_back({kPartNames[i], &parts_[i].pairs.texts, parts_[i].tokens.num_cut});
    return CheckData(parts, {.max_length = max_length, .classes = false});
  }

  std::array<PartSummary, 3> parts() const override {
    std::array<PartSummary, 3> summaries;
    for (size_t i = 0; i < 3; ++i)
      summaries[i] = {kPartNames[i], parts_[i].pairs.texts.source, parts_[i].pairs.size(), parts_[i].tokens.num_cut,
                      HashOfTexts(parts_[i].pairs.texts)};
    return summaries;
  }

  std::string token_hash() const override { return HashOfTokens(parts_[0].tokens.tokens.tokens, parts_[1].tokens.tokens.tokens); }

  std::vector<std::pair<std::string, std::string>> parameters() const override { return {{"loss", "binary cross-entropy"}}; }

  bool can_freeze() const override { return true; }
  std::vector<std::pair<std::string, std::string>> reading() const override { return ReadingOf(parts_[0].pairs.columns); }

  std::unique_ptr<Objective> MakeObjective(Model& model) override {
    return MakeRankingObjective(model, parts_[0].tokens, parts_[1].tokens);
  }

  void Measure(const Model& model, Run& run, size_t part, const std::function<void()>& check_stop, FineTuneResult& result) const override {
    result.figures =
        MeasureRankedPairs(Predict(model, run, parts_[part].tokens.tokens, check_stop), parts_[part].tokens, {.check_stop = check_stop});
    result.metrics_json = FiguresJson(result.figures);
  }

  void Complete(const std::string& folder, const Model&, size_t) const override { WriteCrossEncoderConfig(folder); }

  ModelCard Card(const FineTuneResult& result) const override {
    ModelCard card;
    card.task = name();
    card.title = "Cross-encoder";
    card.introduction = "Reads a query and a text together and says how well the text answers, from 0 to 1.";
    card.usage_options = " --query \"your query here\"";
    card.python_library = "sentence-transformers";
    card.usage_python =
        "from sentence_transformers import CrossEncoder\n\n"
        "model = CrossEncoder(\".\")\n"
        "print(model.predict([(\"your query here\", \"your text here\")]))";
    card.columns = description_ + ".";
    card.figures = &result.figures;
    return card;
  }

 private:
  struct Part {
    RankedPairs pairs;
    RankedTokens tokens;
  };

  std::vector<std::string> label_names_ = {"LABEL_0"};  // as transformers names a single one
  std::string description_;
  std::array<Part, 3> parts_;
};

}  // namespace

std::unique_ptr<FineTuneTask> MakeTextRankingTask(const FineTuneOptions& options) { return std::make_unique<TextRankingTask>(options); }

}  // namespace mlac
