#include "project/recorded_answers.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace mlac {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr size_t kMostAnswerBytes = size_t{64} << 20;
constexpr size_t kShownValue = 60;

std::string Shown(const json& value) { return Printable(DumpJson(value), kShownValue); }

// path: "[0].score", for the message.
std::string Difference(const json& expected, const json& found, double tolerance, const std::string& path) {
  const auto differ = [&] {
    return fmt::format("{}expected {}, found {}", path.empty() ? "" : path + ": ", Shown(expected), Shown(found));
  };
  if (expected.is_number() && found.is_number()) return std::abs(expected.get<double>() - found.get<double>()) <= tolerance ? "" : differ();
  if (expected.type() != found.type() || expected.size() != found.size()) return differ();
  if (expected.is_array()) {
    for (size_t i = 0; i < expected.size(); ++i)
      if (std::string difference = Difference(expected[i], found[i], tolerance, fmt::format("{}[{}]", path, i)); !difference.empty())
        return difference;
    return "";
  }
  if (!expected.is_object()) return expected == found ? "" : differ();
  for (const auto& [key, value] : expected.items()) {
    const auto other = found.find(key);
    if (other == found.end()) return differ();
    if (std::string difference = Difference(value, *other, tolerance, path.empty() ? key : path + "." + key); !difference.empty())
      return difference;
  }
  return "";
}

}  // namespace

std::unique_ptr<Task> MakeRecordedTask(const std::string& task) {
  for (const TaskInfo& info : AllTasks())
    if (info.name == task) return info.make({.format = OutputFormat::kJson, .takes_blank = true});
  throw Error(ErrorCode::kInvalidArgument, fmt::format("there is no task {}", Quoted(task)));
}

RecordedAnswers RecordAnswers(const std::string& folder, const std::string& task, std::span<const TextInput> inputs, size_t num_threads) {
  RecordedAnswers recorded = {task, {}};
  TextModel model(folder, {.num_threads = num_threads, .truncate = true});
  for (const TextInput& input : inputs.subspan(0, std::min(inputs.size(), kMostAnswers))) {
    const std::unique_ptr<Task> answering = MakeRecordedTask(task);
    RecordedAnswer answer = {input, {}};
    answering->Add(model, std::span(&input, 1), answer.answer);
    if (answering->num_truncated() == 0) recorded.answers.push_back(std::move(answer));
  }
  return recorded;
}

void WriteRecordedAnswers(const std::string& path, const RecordedAnswers& answers) {
  std::string text;
  for (const RecordedAnswer& answer : answers.answers) {
    ordered_json line = {{"task", answers.task}, {"text", answer.input.text}};
    if (answer.input.pair) line["pair"] = *answer.input.pair;
    line["answer"] = ParseOrderedJson(answer.answer, "answer");
    text += DumpJson(line) + "\n";
  }
  WriteFileAtomically(path, text);
}

RecordedAnswers ReadRecordedAnswers(const std::string& path) {
  const std::string text = ReadFile(path, kMostAnswerBytes);
  RecordedAnswers answers;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    ++number;
    if (number > kMostAnswers) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: holds more than {} answers", path, kMostAnswers));
    const std::string where = fmt::format("{}: line {}", path, number);
    try {
      const json line = ParseJson(std::string_view(text).substr(begin, end - begin), where);
      answers.task = line.at("task").get<std::string>();
      RecordedAnswer answer;
      answer.input.text = line.at("text").get<std::string>();
      answer.answer = DumpJson(line.at("answer"));
      if (line.contains("pair")) answer.input.pair = line.at("pair").get<std::string>();
      answers.answers.push_back(std::move(answer));
    } catch (const json::exception& error) {
      throw Error(ErrorCode::kInvalidInput, where + " is no recorded answer", error.what());
    } catch (const Error& error) {
      throw Error(ErrorCode::kInvalidInput, where + " is no recorded answer", error.message());
    }
    begin = end + 1;
  }
  return answers;
}

std::string DifferenceOfAnswers(const std::string& expected, const std::string& found, double tolerance) {
  const json a = ParseJsonOrDiscard(expected), b = ParseJsonOrDiscard(found);
  if (a.is_discarded() || b.is_discarded())
    return fmt::format("expected {}, found {}", Printable(expected, kShownValue), Printable(found, kShownValue));
  return Difference(a, b, tolerance, "");
}

}  // namespace mlac
