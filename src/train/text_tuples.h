#pragma once
// What sentence embeddings and cross-encoders learn from: rows of two or three texts, or of two and a score.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/check.h"
#include "data/split.h"
#include "data/texts.h"

namespace mlac {

// The columns of a file, or "" for one that is recognised by its name.
struct TupleColumns {
  std::string first = {};     // else the first that is there of anchor, query, question, sentence1, text1, text
  std::string second = {};    // ... positive, answer, document, documents, passage, sentence2, text2, text_pair
  std::string negative = {};  // ... negative, negatives
  std::string score = {};     // ... score, scores, label, labels, similarity
};

inline constexpr char kTupleColumnHint[] = "--text-column, --text-pair-column, --negative-column and --target-column name the columns";

// The names of the columns that are in the file; negative and score are "" where there is none. Throws kInvalidInput, naming the columns
// that there are, for a file without two texts, and what ColumnNames throws.
TupleColumns FindTupleColumns(const std::string& path, const TupleColumns& wanted);

enum class TupleKind {
  kPairs,        // anchor and positive: texts that belong together
  kTriples,      // ... and a text that does not belong to the anchor
  kScoredPairs,  // two sentences and how near they are
};
std::string_view Name(TupleKind kind);  // "pairs", "triples", "scored pairs"

struct TextTuples {
  TupleKind kind = TupleKind::kPairs;
  TupleColumns columns;
  // texts and pairs hold the first and second of each row; targets the negative of triples, the score as it stands of scored pairs, else
  // nothing. There are no labels.
  LabelledTexts texts;
  std::vector<float> scores;  // of scored pairs; else empty

  size_t size() const { return texts.size(); }
  size_t num_columns() const { return kind == TupleKind::kTriples ? 3 : 2; }
  const std::string& text(size_t row, size_t column) const {
    return column == 0 ? texts.texts[row] : column == 1 ? texts.pairs[row] : texts.targets[row];
  }
};

// Reads CSV, TSV or JSON Lines. Without a kind the columns tell it: with one of negatives triples, else with one of scores scored pairs,
// those that are asked for before those that are recognised. Throws as FindTupleColumns and OpenTable, and kInvalidInput with the line for
// a score that is no finite number.
TextTuples ReadTextTuples(const std::string& path, const TupleColumns& wanted, std::optional<TupleKind> kind = std::nullopt);

// "train.csv: 90 triples of the columns anchor, positive and negative"
std::string Describe(const TextTuples& tuples);

TextTuples Subset(const TextTuples& tuples, std::span<const size_t> rows);

// Rows with one first text (an anchor, a query) stay on one side; else as SplitStratified.
SplitRows SplitByFirstText(const LabelledTexts& texts, double fraction, uint64_t seed);

// Options of `mlac eval`, and the columns that they name: FineTuneTask::reading.
std::vector<std::pair<std::string, std::string>> ReadingOf(const TupleColumns& columns);

// Throws kInvalidInput where nothing can be learnt: fewer than two different second texts, or one score alone.
void CheckTrainable(const TextTuples& tuples);

// What CheckData does not look at: blank texts of the other columns, negatives that are positives of their anchor elsewhere. part: "train".
std::vector<Finding> CheckTuples(const std::string& part, const TextTuples& tuples);

// A number of a cell, true and false as 1 and 0. Throws kInvalidInput with the place for what is no finite number.
float ReadScore(std::string_view cell, const std::string& place);

// Numbers for texts from 0, in order of appearance: equal ones for equal texts.
class TextNumbers {
 public:
  uint32_t Of(const std::string& text) { return ids_.emplace(text, static_cast<uint32_t>(ids_.size())).first->second; }

 private:
  std::unordered_map<std::string, uint32_t> ids_;
};

}  // namespace mlac
