// How `mlac eval` reads examples unless it is told otherwise: as the training did that made the model, by its training.json.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "data/table.h"
#include "train/fine_tune.h"
#include "train/report_card.h"

namespace mlac {
namespace {

using Reading = std::map<std::string, std::string>;

// Of the record of a training; none in the folder of another program, or of an mlac that kept none.
Reading ReadReading(const std::string& path) {
  if (!FileExists(path)) return {};
  const nlohmann::json record = ReadJsonFile(path);
  if (!record.is_object() || !record.contains("format_version")) return {};
  if (record["format_version"] != kTrainingFormat)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: format_version {} is not known; expected {}", path, DumpJson(record["format_version"]), kTrainingFormat));
  const auto found = record.find("reading");
  if (found == record.end()) return {};
  Reading reading;
  if (found->is_object())
    for (const auto& [name, value] : found->items())
      if (value.is_string()) reading.emplace(name, value.get<std::string>());
  if (!found->is_object() || reading.size() != found->size())
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: reading: expected an object of texts, found {}", path, Printable(DumpJson(*found), 60)));
  return reading;
}

size_t Number(const std::string& path, const std::string& name, const std::string& text) {
  size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: reading: {}: expected a number, found {}", path, name, Quoted(text)));
  return number;
}

// Of a file that cannot be read, or only once, no column is known; what reads it says so.
bool HasColumns(const std::string& data, const std::vector<std::string>& names) {
  if (!FileExists(data)) return false;
  try {
    const std::vector<std::string> there = ColumnNames(data);
    return std::all_of(names.begin(), names.end(),
                       [&](const std::string& name) { return std::find(there.begin(), there.end(), name) != there.end(); });
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

EvaluationOptions EvaluationAsTrained(const std::string& model, const std::string& adapter, const std::string& data) {
  EvaluationOptions options = {.model = model, .adapter = adapter, .data = data};
  const std::string path = (adapter.empty() ? model : adapter) + "/" + kTrainingFile;
  TupleColumns tuple;
  const std::map<std::string, std::function<void(const std::string& value)>> known = {
      {"text-column", [&](const std::string& value) { options.text_column = tuple.first = value; }},
      {"text-pair-column", [&](const std::string& value) { options.text_pair_column = tuple.second = value; }},
      {"target-column", [&](const std::string& value) { options.target_column = tuple.score = value; }},
      {"negative-column", [&](const std::string& value) { tuple.negative = value; }},
      {"label-separator", [&](const std::string& value) { options.label_separator = value; }},
      {"max-length", [&](const std::string& value) { options.max_length = Number(path, "max-length", value); }},
      {"doc-stride", [&](const std::string& value) { options.doc_stride = Number(path, "doc-stride", value); }},
      {"max-answer-length", [&](const std::string& value) { options.max_answer_length = Number(path, "max-answer-length", value); }},
      {"line-by-line", [&](const std::string& value) { options.line_by_line = value == "yes"; }},
  };
  std::vector<std::string> columns;
  for (const auto& [name, value] : ReadReading(path)) {
    const auto option = known.find(name);
    if (option == known.end())  // figures of what is read otherwise would not compare
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: reading: {} is not known", path, Quoted(name)),
                  "a later mlac may have written it");
    option->second(value);
    if (name.ends_with("-column")) columns.push_back(value);
  }
  // Pairs, triples and lists of tags are recognised in a file that has other columns than the one that was learnt from.
  if (!columns.empty() && HasColumns(data, columns)) {
    options.tuple_columns = tuple;
    options.tag_columns = {.words = tuple.first, .tags = tuple.score};
  }
  return options;
}

}  // namespace mlac
