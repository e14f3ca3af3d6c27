#include "train/text_tuples.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "base/display.h"
#include "base/error.h"
#include "data/table.h"

namespace mlac {
namespace {

using Names = std::vector<std::string>;

// The names that data sets of sentence-transformers have, the most telling first.
const Names kFirst = {"anchor", "query", "question", "sentence1", "text1", "text"};
const Names kSecond = {"positive", "answer", "document", "documents", "passage", "sentence2", "text2", "text_pair"};
const Names kNegative = {"negative", "negatives"};
const Names kScore = {"score", "scores", "label", "labels", "similarity"};

bool Contains(const Names& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

// there: the columns that have no role yet.
std::string Pick(const std::string& wanted, const Names& known, const Names& there) {
  if (!wanted.empty()) return wanted;
  for (const std::string& name : known)
    if (Contains(there, name)) return name;
  return "";
}

Finding FindBlank(const std::string& part, const TextTuples& tuples, size_t column) {
  const std::string& name = column == 1 ? tuples.columns.second : tuples.columns.negative;
  Finding finding{.code = "empty_text", .severity = Severity::kWarning};
  for (size_t row = 0; row < tuples.size(); ++row) {
    if (!IsBlank(tuples.text(row, column))) continue;
    ++finding.count;
    AddExample(finding, tuples.texts.Place(row));
  }
  finding.message =
      fmt::format("{}: {} of the column {} {} empty or blank", part, finding.count == 1 ? "1 text" : fmt::format("{} texts", finding.count),
                  Quoted(name), finding.count == 1 ? "is" : "are");
  return finding;
}

Finding FindContradictions(const std::string& part, const TextTuples& tuples) {
  std::set<std::pair<std::string_view, std::string_view>> positives;
  for (size_t row = 0; row < tuples.size(); ++row) positives.emplace(tuples.text(row, 0), tuples.text(row, 1));
  Finding finding{.code = "negative_is_positive", .severity = Severity::kWarning};
  for (size_t row = 0; row < tuples.size(); ++row) {
    if (!positives.contains({tuples.text(row, 0), tuples.text(row, 2)})) continue;
    ++finding.count;
    AddExample(finding, tuples.texts.Place(row));
  }
  finding.message = fmt::format("{}: {} a positive of the same anchor too", part,
                                finding.count == 1 ? "1 negative is" : fmt::format("{} negatives are", finding.count));
  return finding;
}

// What is asked for by name counts before what is recognised.
TupleKind KindOf(const TupleColumns& wanted, const TupleColumns& found) {
  for (const TupleColumns& columns : {wanted, found}) {
    if (!columns.negative.empty()) return TupleKind::kTriples;
    if (!columns.score.empty()) return TupleKind::kScoredPairs;
  }
  return TupleKind::kPairs;
}

}  // namespace

std::string_view Name(TupleKind kind) {
  switch (kind) {
    case TupleKind::kPairs:
      return "pairs";
    case TupleKind::kTriples:
      return "triples";
    case TupleKind::kScoredPairs:
      return "scored pairs";
  }
  return "";
}

TupleColumns FindTupleColumns(const std::string& path, const TupleColumns& wanted) {
  const Names there = ColumnNames(path), asked_for = {wanted.first, wanted.second, wanted.negative, wanted.score};
  Names free = there;
  std::erase_if(free, [&](const std::string& name) { return Contains(asked_for, name); });
  TupleColumns found = {.first = Pick(wanted.first, kFirst, free),
                        .second = Pick(wanted.second, kSecond, free),
                        .negative = Pick(wanted.negative, kNegative, free),
                        .score = Pick(wanted.score, kScore, free)};
  if (there.empty()) {  // no object in its first line: what reads it says so
    if (found.first.empty()) found.first = kFirst.front();
    if (found.second.empty()) found.second = kSecond.front();
  }
  if (found.first.empty() || found.second.empty()) {
    std::string list;
    for (size_t i = 0; i < std::min<size_t>(there.size(), 20); ++i) list += (i == 0 ? "" : ", ") + Quoted(there[i]);
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected columns of two texts, such as 'anchor' and 'positive', 'query' and 'document' or 'sentence1' and "
                            "'sentence2'; found {}",
                            path, list),
                "--text-column and --text-pair-column name them");
  }
  const Names all = {found.first, found.second, found.negative, found.score};
  for (size_t i = 0; i < all.size(); ++i)
    if (!all[i].empty() && std::count(all.begin(), all.end(), all[i]) > 1)
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: expected different columns, found {} twice", path, Quoted(all[i])));
  return found;
}

TextTuples ReadTextTuples(const std::string& path, const TupleColumns& wanted, std::optional<TupleKind> kind) {
  TextTuples tuples;
  tuples.columns = FindTupleColumns(path, wanted);
  tuples.kind = kind ? *kind : KindOf(wanted, tuples.columns);
  if (tuples.kind != TupleKind::kTriples) tuples.columns.negative.clear();
  if (tuples.kind != TupleKind::kScoredPairs) tuples.columns.score.clear();
  Names columns = {tuples.columns.first, tuples.columns.second};
  if (tuples.kind == TupleKind::kTriples) columns.push_back(tuples.columns.negative);
  if (tuples.kind == TupleKind::kScoredPairs) columns.push_back(tuples.columns.score);
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = columns, .column_hint = kTupleColumnHint});
  LabelledTexts& texts = tuples.texts;
  texts.source = std::filesystem::path(path).filename().string();
  texts.label_names = {""};
  std::vector<std::string> cells;
  while (reader->Next(cells)) {
    if (tuples.kind == TupleKind::kScoredPairs)
      tuples.scores.push_back(ReadScore(cells[2], fmt::format("{}: line {}", path, reader->line())));
    texts.texts.push_back(std::move(cells[0]));
    texts.pairs.push_back(std::move(cells[1]));
    texts.targets.push_back(cells.size() > 2 ? std::move(cells[2]) : "");
    texts.labels.push_back(0);
    texts.lines.push_back(reader->line());
  }
  texts.notes = reader->notes();
  return tuples;
}

std::string Describe(const TextTuples& tuples) {
  const TupleColumns& columns = tuples.columns;
  const std::string& third = tuples.kind == TupleKind::kTriples ? columns.negative : columns.score;
  const std::string names =
      third.empty() ? fmt::format("{} and {}", Printable(columns.first, 40), Printable(columns.second, 40))
                    : fmt::format("{}, {} and {}", Printable(columns.first, 40), Printable(columns.second, 40), Printable(third, 40));
  return fmt::format("{}: {} {} of the columns {}", tuples.texts.source, tuples.size(), Name(tuples.kind), names);
}

TextTuples Subset(const TextTuples& tuples, std::span<const size_t> rows) {
  TextTuples subset = {.kind = tuples.kind, .columns = tuples.columns, .texts = Subset(tuples.texts, rows), .scores = {}};
  for (const size_t row : rows)
    if (!tuples.scores.empty()) subset.scores.push_back(tuples.scores[row]);
  return subset;
}

SplitRows SplitByFirstText(const LabelledTexts& texts, double fraction, uint64_t seed) {
  LabelledTexts firsts;
  firsts.texts = texts.texts;
  firsts.labels = texts.labels;
  firsts.label_names = texts.label_names;
  return SplitStratified(firsts, fraction, seed);
}

std::vector<std::pair<std::string, std::string>> ReadingOf(const TupleColumns& columns) {
  std::vector<std::pair<std::string, std::string>> reading = {{"text-column", columns.first}, {"text-pair-column", columns.second}};
  if (!columns.negative.empty()) reading.emplace_back("negative-column", columns.negative);
  if (!columns.score.empty()) reading.emplace_back("target-column", columns.score);
  return reading;
}

void CheckTrainable(const TextTuples& tuples) {
  if (tuples.kind == TupleKind::kScoredPairs) {
    const auto [least, greatest] = std::minmax_element(tuples.scores.begin(), tuples.scores.end());
    if (tuples.scores.empty() || *least == *greatest)
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: expected at least two different scores, found one in {} rows", tuples.texts.source, tuples.size()));
    return;
  }
  const std::set<std::string_view> positives(tuples.texts.pairs.begin(), tuples.texts.pairs.end());
  if (positives.size() < 2)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected at least two different texts in the column {}, found {} in {} rows", tuples.texts.source,
                            Quoted(tuples.columns.second), positives.size(), tuples.size()),
                "the positives of other rows are what an anchor is told apart from");
}

std::vector<Finding> CheckTuples(const std::string& part, const TextTuples& tuples) {
  std::vector<Finding> findings = {FindBlank(part, tuples, 1)};
  if (tuples.kind == TupleKind::kTriples) {
    findings.push_back(FindBlank(part, tuples, 2));
    findings.push_back(FindContradictions(part, tuples));
  }
  std::erase_if(findings, [](const Finding& finding) { return finding.count == 0; });
  return findings;
}

float ReadScore(std::string_view cell, const std::string& place) {
  cell = WithoutSpaces(cell);
  if (cell == "true") return 1;
  if (cell == "false") return 0;
  if (const std::optional<float> value = ParseNumberCell(cell)) return *value;
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a number as score, found '{}'", place, Printable(cell, 40)), DecimalCommaHint(cell));
}

}  // namespace mlac
