#include "project/prepared_rows.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/texts.h"
#include "project/labelled_rows.h"
#include "train/entity_texts.h"
#include "train/questions.h"
#include "train/tagged_texts.h"
#include "train/text_targets.h"
#include "train/text_tuples.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

std::string Line(const ordered_json& row) { return DumpJson(row) + "\n"; }

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

// The columns that are read, each once: a task's own, then those of filters that are none of them.
struct ReadColumns {
  std::vector<std::string> names;
  std::vector<size_t> filters;  // where in names each filter's column is

  ReadColumns(std::vector<std::string> own, const std::vector<std::string>& filter_columns) : names(std::move(own)) {
    for (const std::string& column : filter_columns) {
      const auto found = std::find(names.begin(), names.end(), column);
      filters.push_back(static_cast<size_t>(found - names.begin()));
      if (found == names.end()) names.push_back(column);
    }
  }

  std::vector<std::string> FilterCells(const std::vector<std::string>& cells) const {
    std::vector<std::string> of_filters;
    for (const size_t place : filters) of_filters.push_back(cells[place]);
    return of_filters;
  }
};

ordered_json RowJson(const std::vector<std::string>& names, const std::vector<std::string>& cells) {
  ordered_json row = ordered_json::object();
  for (size_t i = 0; i < names.size(); ++i) row[names[i]] = CellJson(cells[i]);
  return row;
}

// Text, target and, of pairs, the second text.
std::vector<std::string> ColumnsOfTexts(const ModelData& columns) {
  std::vector<std::string> names = {columns.text_column, columns.target_column};
  if (!columns.text_pair_column.empty()) names.push_back(columns.text_pair_column);
  return names;
}

// cells: of ColumnsOfTexts.
void SetKey(PreparedRow& row, const ModelData& columns, const std::vector<std::string>& cells) {
  if (!columns.text_pair_column.empty()) row.key = row.group = cells[0] + kListSeparator + cells[2];
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
  const ReadColumns reading(ColumnsOfTexts(columns), filter_columns);
  LabelledRows read = ReadLabelledRows(path, reading.names);
  PreparedRows rows = {.head = CsvLine(reading.names), .rows = {}};
  for (std::vector<std::string>& cells : read.cells) {
    PreparedRow& row = rows.rows.emplace_back();
    row.line = CsvLine(cells);
    row.columns = reading.FilterCells(cells);
    SetKey(row, columns, cells);
    row.text = std::move(cells[0]);
    row.label = std::move(cells[1]);
  }
  return rows;
}

PreparedRows ReadRowsOfNumbers(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns) {
  const ReadColumns reading(ColumnsOfTexts(columns), filter_columns);
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = reading.names, .list_separator = kListSeparator});
  PreparedRows rows;
  std::vector<std::string> cells;
  while (reader->Next(cells)) {
    PreparedRow& row = rows.rows.emplace_back();
    row.text = cells[0];
    row.columns = reading.FilterCells(cells);
    row.line = Line(RowJson(reading.names, cells));
    SetKey(row, columns, cells);
  }
  return rows;
}

PreparedRows ReadRowsOfLabelSets(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns) {
  std::vector<std::string> with_target = filter_columns;  // behind the filters, to be taken out again
  with_target.push_back(columns.target_column);
  PreparedRows rows = ReadRowsOfNumbers(path, columns, with_target);
  for (PreparedRow& row : rows.rows) {
    row.labels = SplitLabels(row.columns.back(), columns.label_separator);
    row.columns.pop_back();
  }
  return rows;
}

PreparedRows ReadRowsOfTexts(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns) {
  const ReadColumns reading({columns.text_column}, filter_columns);
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = reading.names});
  PreparedRows rows;
  std::vector<std::string> cells;
  while (reader->Next(cells))
    if (!IsBlank(cells[0]))
      rows.rows.push_back({.text = cells[0], .columns = reading.FilterCells(cells), .line = Line(RowJson(reading.names, cells))});
  return rows;
}

PreparedRows ReadRowsOfTuples(const std::string& path, const ModelData&, const std::vector<std::string>& filter_columns) {
  const TupleColumns found = FindTupleColumns(path, {});
  std::vector<std::string> own = {found.first, found.second};
  for (const std::string& optional : {found.negative, found.score})
    if (!optional.empty()) own.push_back(optional);
  const size_t num_own = own.size();
  const ReadColumns reading(std::move(own), filter_columns);
  const std::unique_ptr<TableReader> reader = OpenTable(path, {.columns = reading.names, .list_separator = kListSeparator});
  PreparedRows rows;
  std::vector<std::string> cells;
  while (reader->Next(cells)) {
    PreparedRow row = {.text = cells[0], .columns = reading.FilterCells(cells), .line = Line(RowJson(reading.names, cells))};
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
