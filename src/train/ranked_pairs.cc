#include "train/ranked_pairs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "data/table.h"
#include "train/fine_tune_task.h"
#include "train/ranking_metrics.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

class RankedPairsBuilder {
 public:
  explicit RankedPairsBuilder(RankedPairs& pairs) : pairs_(pairs) {}

  void Add(const std::string& query, std::string document, std::string score, float value, size_t line) {
    pairs_.texts.texts.push_back(query);
    pairs_.texts.pairs.push_back(std::move(document));
    pairs_.texts.targets.push_back(std::move(score));
    pairs_.texts.labels.push_back(0);
    pairs_.texts.lines.push_back(line);
    pairs_.scores.push_back(value);
  }

  // A positive stands in each row with another negative.
  void AddOnce(const std::string& query, const std::string& document, bool answers, size_t line) {
    if (seen_.emplace(query, document, answers).second)
      Add(query, document, answers ? "1" : "0", answers ? 1.0f : 0.0f, line);
    else
      ++pairs_.num_repeated;
  }

 private:
  RankedPairs& pairs_;
  std::set<std::tuple<std::string, std::string, bool>> seen_;
};

void AddScored(RankedPairsBuilder& builder, const std::vector<std::string>& cells, const std::string& path, size_t line) {
  const std::string place = fmt::format("{}: line {}", path, line);
  const std::vector<std::string> documents = ItemsOf(cells[1]), scores = ItemsOf(cells[2]);
  if (documents.size() != scores.size())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} documents have {} scores", place, documents.size(), scores.size()));
  for (size_t i = 0; i < documents.size(); ++i) {
    const float value = ReadScore(scores[i], place);
    if (value < 0 || value > 1)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a score from 0 to 1, found {}", place, value),
                  "1: the document answers the query; divide larger scores by their greatest");
    builder.Add(cells[0], documents[i], scores[i], value, line);
  }
}

class RankingObjective : public Objective {
 public:
  RankingObjective(Model& model, const RankedTokens& train, const RankedTokens& validation)
      : model_(model),
        validation_(validation),
        pairs_(MakeSequenceObjective(model, train.tokens, validation.tokens, {.problem_type = ProblemType::kMultiLabel})) {}

  size_t num_examples() const override { return pairs_->num_examples(); }
  size_t num_validation_examples() const override { return pairs_->num_validation_examples(); }
  std::string Places(std::span<const size_t> examples) const override { return pairs_->Places(examples); }
  TokenBatch Begin(std::span<const size_t> examples, size_t step) override { return pairs_->Begin(examples, step); }
  double total_weight() const override { return pairs_->total_weight(); }
  void AddGradients(Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    pairs_->AddGradients(run, tape, part, first_sequence, loss);
  }
  void CacheFeatures(Run& run, const std::function<void()>& before_batch) override { pairs_->CacheFeatures(run, before_batch); }

  ValidationReport Validate(Run& run, const std::function<void()>& before_batch) override {
    const Figures figures = MeasureRankedPairs(Predict(model_, run, validation_.tokens, before_batch), validation_, {.intervals = false});
    return ReportOf(figures);
  }

 private:
  Model& model_;
  const RankedTokens& validation_;
  std::unique_ptr<Objective> pairs_;  // a classifier with one label that a pair has or has not
};

// The rankings that can be right or wrong.
std::vector<QueryFigures> RankDocuments(std::span<const float> logits, const RankedTokens& pairs) {
  std::map<uint32_t, std::vector<size_t>> rows_of;
  for (size_t i = 0; i < pairs.query_ids.size(); ++i) rows_of[pairs.query_ids[i]].push_back(i);
  std::vector<QueryFigures> figures;
  for (const auto& [query, rows] : rows_of) {
    std::vector<float> scores, gains;
    for (const size_t row : rows) {
      scores.push_back(logits[row]);
      gains.push_back(pairs.tokens.targets[row]);
    }
    const auto num_relevant = std::count_if(gains.begin(), gains.end(), [](float gain) { return gain >= kRelevant; });
    if (num_relevant > 0 && static_cast<size_t>(num_relevant) < gains.size()) {
      figures.push_back(MeasureRanking(scores, gains));
      figures.back().row = static_cast<uint32_t>(rows.front());
    }
  }
  return figures;
}

}  // namespace

RankedPairs ReadRankedPairs(const std::string& path, const TupleColumns& wanted) {
  RankedPairs pairs;
  TupleColumns& columns = pairs.columns = FindTupleColumns(path, wanted);
  if (columns.negative.empty() && columns.score.empty())
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected a column of scores or of negatives beside '{}' and '{}'", path, columns.first, columns.second),
                "--target-column and --negative-column name them");
  const bool scored = columns.negative.empty() || (wanted.negative.empty() && !wanted.score.empty());  // what is asked for counts first
  (scored ? columns.negative : columns.score).clear();
  const std::unique_ptr<TableReader> reader =
      OpenTable(path, {.columns = {columns.first, columns.second, scored ? columns.score : columns.negative},
                       .list_separator = kListSeparator,
                       .column_hint = kTupleColumnHint});
  pairs.texts.source = std::filesystem::path(path).filename().string();
  pairs.texts.label_names = {""};
  RankedPairsBuilder builder(pairs);
  std::vector<std::string> cells;
  while (reader->Next(cells)) {
    if (scored) {
      AddScored(builder, cells, path, reader->line());
      continue;
    }
    for (const std::string& positive : ItemsOf(cells[1])) builder.AddOnce(cells[0], positive, true, reader->line());
    for (const std::string& negative : ItemsOf(cells[2])) builder.AddOnce(cells[0], negative, false, reader->line());
  }
  pairs.texts.notes = reader->notes();
  return pairs;
}

RankedPairs Subset(const RankedPairs& pairs, std::span<const size_t> rows) {
  RankedPairs subset = {.columns = pairs.columns, .texts = Subset(pairs.texts, rows), .scores = {}};
  for (const size_t row : rows) subset.scores.push_back(pairs.scores[row]);
  return subset;
}

RankedTokens TokenizeRankedPairs(const Tokenizer& tokenizer, size_t max_length, const RankedPairs& pairs) {
  RankedTokens ranked;
  ranked.num_cut = TokenizeTexts(tokenizer, max_length, pairs.texts, ranked.tokens.tokens);
  ranked.tokens.labels = pairs.texts.labels;
  ranked.tokens.targets = pairs.scores;
  ranked.tokens.source = pairs.texts.source;
  ranked.tokens.lines = pairs.texts.lines;
  TextNumbers numbers;
  for (const std::string& query : pairs.texts.texts) ranked.query_ids.push_back(numbers.Of(query));
  return ranked;
}

Figures MeasureRankedPairs(std::span<const float> logits, const RankedTokens& pairs, const MetricsOptions& options) {
  const std::vector<float>& targets = pairs.tokens.targets;
  Figures figures = {.num_examples = logits.size(), .figures = {}};
  if (const std::vector<QueryFigures> queries = RankDocuments(logits, pairs); !queries.empty()) {
    const Figures ranking = ComputeRankingMetrics(queries, options);
    // Without recall, which depends on how many documents a query has.
    figures.figures.assign(ranking.figures.begin(), ranking.figures.begin() + 2);
    if (options.intervals) figures.by_row.assign(ranking.by_row.begin(), ranking.by_row.begin() + 2);
  }
  figures.figures.push_back(AveragePrecision(logits, targets, options));
  std::vector<double> is_right;
  for (size_t i = 0; i < logits.size(); ++i) is_right.push_back((logits[i] > 0) == (targets[i] >= kRelevant) ? 1 : 0);
  const auto num_right = static_cast<size_t>(std::count(is_right.begin(), is_right.end(), 1.0));
  Figure accuracy = {"accuracy", "accuracy", static_cast<double>(num_right) / static_cast<double>(logits.size())};
  if (options.intervals) accuracy.interval = WilsonInterval(num_right, logits.size());
  figures.figures.push_back(std::move(accuracy));
  if (options.intervals) {
    using Form = RowFigure::Form;
    const std::vector<double> scores(logits.begin(), logits.end()), gains(targets.begin(), targets.end());
    figures.by_row.push_back(
        {.name = "average_precision", .form = Form::kAveragePrecision, .num_units = logits.size(), .a = scores, .b = gains});
    figures.by_row.push_back(
        {.name = "accuracy", .form = Form::kRatio, .num_units = logits.size(), .a = is_right, .b = std::vector<double>(logits.size(), 1)});
  }
  double sum = 0;
  for (const float loss : LossesOf(logits, pairs.tokens, 1, ProblemType::kMultiLabel)) sum += static_cast<double>(loss);
  figures.loss = sum / static_cast<double>(logits.size());
  return figures;
}

std::unique_ptr<Objective> MakeRankingObjective(Model& model, const RankedTokens& train, const RankedTokens& validation) {
  return std::make_unique<RankingObjective>(model, train, validation);
}

}  // namespace mlac
