#include "train/questions.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/byte_stream.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr size_t kLargestQuestionsFile = size_t{1} << 30;
constexpr size_t kNearby = 20;  // code points: slips of counting, spaces that were stripped

// The byte at which code point number `count` begins, the text's size for the one behind the last, or npos.
size_t ByteOf(std::string_view text, size_t count) {
  size_t position = 0;
  for (; count > 0 && position < text.size(); --count) DecodeUtf8(text, position);
  return count == 0 ? position : std::string_view::npos;
}

// Where the answer stands in its context.
GoldAnswer Locate(std::string text, const std::string& context, size_t start) {
  GoldAnswer answer{.text = std::move(text)};
  const size_t wanted = ByteOf(context, start);
  const auto found = [&](size_t begin, AnswerPlace place) {
    answer.begin = begin;
    answer.end = begin + answer.text.size();
    answer.place = place;
    return answer;
  };
  if (answer.text.empty()) return found(0, AnswerPlace::kNowhere);
  if (wanted != std::string::npos && context.compare(wanted, answer.text.size(), answer.text) == 0)
    return found(wanted, AnswerPlace::kExact);
  size_t nearest = std::string::npos, distance = 0, num_places = 0;
  size_t counted = 0, place = 0;  // the bytes before which there are so many code points
  for (size_t begin = context.find(answer.text); begin != std::string::npos; begin = context.find(answer.text, begin + 1)) {
    place += CountCodePoints(std::string_view(context).substr(counted, begin - counted));
    counted = begin;
    const size_t away = place > start ? place - start : start - place;
    if (num_places++ == 0 || away < distance) {
      nearest = begin;
      distance = away;
    }
  }
  if (num_places == 1 || (num_places > 1 && distance <= kNearby)) return found(nearest, AnswerPlace::kMoved);
  return found(0, AnswerPlace::kNowhere);
}

const json& Field(const json& object, const char* name, const std::string& where) {
  if (!object.is_object())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected an object, found {}", where, object.type_name()));
  const auto field = object.find(name);
  if (field == object.end()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected the key '{}', found none", where, name));
  return *field;
}

const std::string& String(const json& object, const char* name, const std::string& where) {
  const json& field = Field(object, name, where);
  if (!field.is_string())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a string under '{}', found {}", where, name, field.type_name()));
  return field.get_ref<const std::string&>();
}

const json& List(const json& object, const char* name, const std::string& where) {
  const json& field = Field(object, name, where);
  if (!field.is_array())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a list under '{}', found {}", where, name, field.type_name()));
  return field;
}

size_t Start(const json& value, const std::string& where) {
  if (!value.is_number_integer() || value < 0)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected a whole number from 0 as answer_start, found {}", where, Printable(DumpJson(value), 40)));
  return value.get<size_t>();
}

// [{text, answer_start}, ...]
std::vector<GoldAnswer> AnswersOfList(const json& given, const std::string& context, const std::string& where) {
  std::vector<GoldAnswer> answers;
  for (const json& answer : given)
    answers.push_back(Locate(String(answer, "text", where), context, Start(Field(answer, "answer_start", where), where)));
  return answers;
}

// {text: [...], answer_start: [...]}
std::vector<GoldAnswer> AnswersOfLists(const json& given, const std::string& context, const std::string& where) {
  const json &texts = List(given, "text", where), &starts = List(given, "answer_start", where);
  if (texts.size() != starts.size())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} answers have {} answer_start", where, texts.size(), starts.size()));
  std::vector<GoldAnswer> answers;
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i].is_string())
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected strings under 'text', found {}", where, texts[i].type_name()));
    answers.push_back(Locate(texts[i].get<std::string>(), context, Start(starts[i], where)));
  }
  return answers;
}

class QuestionsBuilder {
 public:
  explicit QuestionsBuilder(const std::string& path) : path_(path) {
    data_.texts.source = std::filesystem::path(path).filename().string();
    data_.texts.label_names = {""};
  }

  // A question of SQuAD's own format.
  void AddNested(const json& qa, const std::string& context, const std::string& where) {
    std::vector<GoldAnswer> answers;
    if (!IsImpossible(qa, where)) answers = AnswersOfList(List(qa, "answers", where), context, where);
    Add(qa, context, std::move(answers), where, 1);
  }

  // A row as the Hub has it.
  void AddRow(const json& row, const std::string& where, size_t line) {
    const std::string& context = String(row, "context", where);
    std::vector<GoldAnswer> answers;
    if (!IsImpossible(row, where)) {
      const json& given = Field(row, "answers", where);
      answers = given.is_array() ? AnswersOfList(given, context, where) : AnswersOfLists(given, context, where);
    }
    Add(row, context, std::move(answers), where, line);
  }

  Questions Finish() {
    if (data_.answers.empty())
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected questions with contexts, found none", path_));
    return std::move(data_);
  }

  // Rows of a file that is one document have no line, but a name: the id, else where they stand in it.
  void NameRowsById() { named_ = true; }

 private:
  static bool IsImpossible(const json& question, const std::string& where) {
    const auto field = question.find("is_impossible");
    if (field == question.end() || field->is_null()) return false;
    if (!field->is_boolean())
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: expected true or false under 'is_impossible', found {}", where, field->type_name()));
    return field->get<bool>();
  }

  void Add(const json& row, const std::string& context, std::vector<GoldAnswer> answers, const std::string& where, size_t line) {
    data_.texts.texts.push_back(String(row, "question", where));
    data_.texts.pairs.push_back(context);
    data_.texts.labels.push_back(0);
    data_.texts.lines.push_back(line);
    std::string shown;
    for (const GoldAnswer& answer : answers) shown += fmt::format("{}{}{}", answer.text, kListSeparator, answer.begin);
    data_.texts.targets.push_back(std::move(shown));
    data_.answers.push_back(std::move(answers));
    if (!named_) return;
    const auto id = row.find("id");
    data_.texts.files.push_back(id == row.end() ? where.substr(where.find(": ") + 2)
                                                : Printable(id->is_string() ? id->get<std::string>() : DumpJson(*id), 80));
  }

  std::string path_;
  bool named_ = false;
  Questions data_;
};

Questions ReadDocument(const std::string& path) {
  const json document = ReadJsonFile(path, kLargestQuestionsFile);
  QuestionsBuilder builder(path);
  builder.NameRowsById();
  const json& data = document.is_array() ? document : List(document, "data", path);
  for (size_t i = 0; i < data.size(); ++i) {
    const std::string article = fmt::format("{}: data[{}]", path, i);
    if (!data[i].is_object() || !data[i].contains("paragraphs")) {
      builder.AddRow(data[i], article, 1);
      continue;
    }
    const json& paragraphs = List(data[i], "paragraphs", article);
    for (size_t p = 0; p < paragraphs.size(); ++p) {
      const std::string paragraph = fmt::format("{}.paragraphs[{}]", article, p);
      const std::string& context = String(paragraphs[p], "context", paragraph);
      const json& questions = List(paragraphs[p], "qas", paragraph);
      for (size_t q = 0; q < questions.size(); ++q) builder.AddNested(questions[q], context, fmt::format("{}.qas[{}]", paragraph, q));
    }
  }
  return builder.Finish();
}

Questions ReadRows(const std::string& path, size_t max_row_bytes) {
  QuestionsBuilder builder(path);
  ByteStream stream(path);
  std::string line;
  for (size_t number = stream.line(); ReadLine(stream, max_row_bytes, line); number = stream.line()) {
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const std::string where = fmt::format("{}: line {}", path, number);
    builder.AddRow(ParseJson(line, where), where, number);
  }
  return builder.Finish();
}

Finding FindingOf(const Questions& data, const char* code, const std::vector<size_t>& rows, std::string message) {
  Finding finding{.code = code, .severity = Severity::kWarning, .count = rows.size(), .message = std::move(message)};
  for (const size_t row : rows) AddExample(finding, data.texts.Place(row));
  return finding;
}

}  // namespace

const GoldAnswer* Questions::AnswerOf(size_t question) const {
  for (const GoldAnswer& answer : answers[question])
    if (answer.place != AnswerPlace::kNowhere) return &answer;
  return nullptr;
}

bool Questions::HasUnanswerable() const {
  return std::any_of(answers.begin(), answers.end(), [](const std::vector<GoldAnswer>& given) { return given.empty(); });
}

Questions ReadQuestions(const std::string& path, size_t max_row_bytes) {
  const std::string extension = std::filesystem::path(path).extension().string();
  if (extension == ".json") return ReadDocument(path);
  if (extension == ".jsonl" || extension == ".ndjson") return ReadRows(path, max_row_bytes);
  throw Error(
      ErrorCode::kUnsupported, fmt::format("{}: expected questions in a file that ends in .json or .jsonl", path),
      ".json is SQuAD's format, a line of .jsonl {\"question\", \"context\", \"answers\": {\"text\": [...], \"answer_start\": [...]}}");
}

Questions Subset(const Questions& data, std::span<const size_t> rows) {
  Questions subset = {Subset(data.texts, rows), {}};
  for (const size_t row : rows) subset.answers.push_back(data.answers[row]);
  return subset;
}

std::vector<Finding> CheckAnswers(const Questions& data, const std::string& name, bool trained) {
  std::vector<size_t> moved, nowhere;
  for (size_t row = 0; row < data.size(); ++row) {
    const std::vector<GoldAnswer>& answers = data.answers[row];
    if (std::any_of(answers.begin(), answers.end(), [](const GoldAnswer& answer) { return answer.place == AnswerPlace::kMoved; }))
      moved.push_back(row);
    if (!answers.empty() && data.AnswerOf(row) == nullptr) nowhere.push_back(row);
  }
  std::vector<Finding> findings;
  if (!moved.empty())
    findings.push_back(FindingOf(data, "moved_answer", moved,
                                 fmt::format("{}: {} an answer that does not stand at its answer_start; it is read where it stands", name,
                                             moved.size() == 1 ? "1 question has" : fmt::format("{} questions have", moved.size()))));
  if (!nowhere.empty())
    findings.push_back(FindingOf(data, "missing_answer", nowhere,
                                 fmt::format("{}: {} no answer that stands in the context near its answer_start; {}", name,
                                             nowhere.size() == 1 ? "1 question has" : fmt::format("{} questions have", nowhere.size()),
                                             trained ? "left out" : "measured by the words alone")));
  return findings;
}

}  // namespace mlac
