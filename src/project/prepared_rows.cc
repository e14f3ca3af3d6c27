#include "project/prepared_rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/utf8.h"
#include "data/texts.h"
#include "project/labelled_rows.h"
#include "train/entity_texts.h"
#include "train/questions.h"
#include "train/tagged_texts.h"
#include "train/text_tuples.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

std::string Line(const ordered_json& row) { return row.dump() + "\n"; }

// A cell of a list has separators in it (data/texts.h).
ordered_json CellJson(const std::string& cell) {
  if (cell.find(kListSeparator) == std::string::npos) return cell;
  ordered_json list = ordered_json::array();
  for (size_t begin = 0; begin <= cell.size();) {
    const size_t end = std::min(cell.find(kListSeparator, begin), cell.size());
    list.push_back(cell.substr(begin, end - begin));
    begin = end + 1;
  }
  return list;
}

std::vector<std::string> WithFilters(std::vector<std::string> columns, const std::vector<std::string>& filter_columns) {
  columns.insert(columns.end(), filter_columns.begin(), filter_columns.end());
  return columns;
}

// An object of the named cells; a name that stands twice is written once.
ordered_json RowJson(const std::vector<std::string>& names, const std::vector<std::string>& cells) {
  ordered_json row = ordered_json::object();
  for (size_t i = 0; i < names.size(); ++i)
    if (!row.contains(names[i])) row[names[i]] = CellJson(cells[i]);
  return row;
}

std::vector<std::string> Behind(const std::vector<std::string>& cells, size_t first) {
  return {cells.begin() + static_cast<ptrdiff_t>(first), cells.end()};
}

// {"text", "entities"} of code points.
ordered_json SpansJson(const std::string& text, const std::vector<TaggedWord>& words, const std::vector<EntitySpan>& entities) {
  ordered_json spans = ordered_json::array();
  for (const EntitySpan& entity : entities) {
    const std::string_view all = text;
    spans.push_back({{"start", CountCodePoints(all.substr(0, words[entity.begin].begin))},
                     {"end", CountCodePoints(all.substr(0, words[entity.end - 1].end))},
                     {"label", entity.type}});
  }
  return {{"text", text}, {"entities", spans}};
}

}  // namespace

PreparedRows ReadRowsOfLabels(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns) {
  const std::vector<std::string> names = WithFilters({columns.text_column, columns.target_column}, filter_columns);
  LabelledRows read = ReadLabelledRows(path, names);
  PreparedRows rows = {.head = CsvLine(names), .rows = {}};
  for (std::vector<std::string>& cells : read.cells) {
    PreparedRow& row = rows.rows.emplace_back();
    row.line = CsvLine(cells);
    row.columns = Behind(cells, 2);
    row.text = std::move(cells[0]);
    row.label = std::move(cells[1]);
  }
  return rows;
}

PreparedRows ReadRowsOfTexts(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns) {
  const std::vector<std::string> names = WithFilters({columns.text_column}, filter_columns);
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = names});
  PreparedRows rows;
  std::vector<std::string> cells;
  while (reader->Next(cells))
    if (!IsBlank(cells[0])) rows.rows.push_back({.text = cells[0], .columns = Behind(cells, 1), .line = Line(RowJson(names, cells))});
  return rows;
}

PreparedRows ReadRowsOfTuples(const std::string& path, const ModelData&, const std::vector<std::string>& filter_columns) {
  const TupleColumns found = FindTupleColumns(path, {});
  std::vector<std::string> names = {found.first, found.second};
  for (const std::string& optional : {found.negative, found.score})
    if (!optional.empty()) names.push_back(optional);
  const size_t num_own = names.size();
  names = WithFilters(std::move(names), filter_columns);
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = names, .list_separator = kListSeparator});
  PreparedRows rows;
  std::vector<std::string> cells;
  while (reader->Next(cells)) {
    PreparedRow row = {.text = cells[0], .columns = Behind(cells, num_own), .line = Line(RowJson(names, cells))};
    for (size_t i = 0; i < num_own; ++i) row.key += cells[i] + '\n';
    rows.rows.push_back(std::move(row));
  }
  return rows;
}

PreparedRows ReadRowsOfEntities(const std::string& path, const ModelData&, const std::vector<std::string>&) {
  const TaggedTexts texts = ReadTaggedTexts(path);
  const bool has_spans = path.ends_with(".jsonl") && HoldsEntitySpans(path, size_t{16} << 20);
  PreparedRows rows;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string& text = texts.texts.texts[i];
    ordered_json tokens = ordered_json::array(), tags = ordered_json::array();
    std::vector<std::string> tag_names;
    for (const TaggedWord& word : texts.words[i]) {
      tokens.push_back(text.substr(word.begin, word.end - word.begin));
      tags.push_back(word.tag);
      tag_names.push_back(word.tag);
    }
    rows.rows.push_back({.text = text,
                         .line = Line(has_spans ? SpansJson(text, texts.words[i], EntitiesOf(tag_names))
                                                : ordered_json{{"tokens", tokens}, {"tags", tags}})});
  }
  return rows;
}

PreparedRows ReadRowsOfQuestions(const std::string& path, const ModelData&, const std::vector<std::string>&) {
  constexpr size_t kTooFar = 1000;  // code points behind the context: an answer that stands nowhere is found nowhere again
  const Questions questions = ReadQuestions(path);
  PreparedRows rows;
  for (size_t i = 0; i < questions.size(); ++i) {
    const std::string &question = questions.texts.texts[i], &context = questions.texts.pairs[i];
    ordered_json texts = ordered_json::array(), starts = ordered_json::array();
    for (const GoldAnswer& answer : questions.answers[i]) {
      texts.push_back(answer.text);
      starts.push_back(answer.place == AnswerPlace::kNowhere ? CountCodePoints(context) + kTooFar
                                                             : CountCodePoints(std::string_view(context).substr(0, answer.begin)));
    }
    const ordered_json row = {{"question", question}, {"context", context}, {"answers", {{"text", texts}, {"answer_start", starts}}}};
    rows.rows.push_back({.text = context, .key = question + '\n' + context, .line = Line(row)});
  }
  return rows;
}

void WriteRows(const std::string& path, const PreparedRows& rows) {
  AtomicFile file(path);
  file.Write(rows.head);
  for (const PreparedRow& row : rows.rows) file.Write(row.line);
  file.Commit();
}

}  // namespace mlac
