#include "optimize/carried_card.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "base/display.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "models/model_folder.h"
#include "models/registry.h"
#include "train/report_card.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

constexpr size_t kLargestCard = size_t{1} << 20;  // a longer one is none that a person wrote

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  return lines;
}

// The value of "key: value" without its quotes, where it is a plain word: "apache-2.0".
std::string WordBehind(const std::string& line, const std::string& key) {
  std::string value = line.substr(key.size());
  std::erase_if(value, [](char c) { return c == ' ' || c == '"' || c == '\''; });
  constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return value.find_first_not_of(kWord) == std::string::npos ? value : "";
}

// The metadata between the two lines "---"; gives the number of the line behind them, 0 without metadata.
size_t ReadMetadata(const std::vector<std::string>& lines, CarriedCard& card) {
  if (lines.empty() || lines[0] != "---") return 0;
  size_t end = 1;
  while (end < lines.size() && lines[end] != "---") ++end;
  if (end == lines.size()) return 0;
  bool kept = false;
  for (size_t i = 1; i < end; ++i) {
    const std::string& line = lines[i];
    const bool continues = line.empty() || line[0] == ' ' || line[0] == '-' || line[0] == '#';
    if (!continues) kept = false;
    for (const char* key : {"license:", "license_name:", "license_link:", "language:"})
      kept = kept || (!continues && line.starts_with(key));
    if (kept) card.metadata += line + '\n';
    if (line.starts_with("license:")) card.license = WordBehind(line, "license:");
    if (line.starts_with("pipeline_tag:")) card.pipeline_tag = WordBehind(line, "pipeline_tag:");
  }
  return end + 1;
}

// A call of the model in the folder of its card, "-m .", or of the adapter there, "-m BASE --adapter .", as one of the new folder; "" for another.
std::string RunHere(const std::string& line) {
  constexpr std::string_view kModel = " -m ", kHere = " -m . ", kAdapter = " --adapter . ";
  if (line.find(kHere) != std::string::npos) return line;
  const size_t model = line.find(kModel), adapter = line.find(kAdapter);
  if (model == std::string::npos || adapter == std::string::npos || adapter < model) return "";
  return line.substr(0, model) + std::string(kHere) + line.substr(adapter + kAdapter.size());
}

// Of a card that mlac wrote.
void ReadSections(const std::vector<std::string>& lines, size_t begin, CarriedCard& card) {
  bool in_data = false;
  for (size_t i = begin; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (line.starts_with("## "))
      in_data = line == "## Data";
    else if (in_data && line.find("![") == std::string::npos)
      card.data += line + '\n';
    if (card.run.empty() && line.starts_with("mlac run ")) card.run = RunHere(line);
  }
}

}  // namespace

CarriedCard ReadCard(const std::string& folder) {
  CarriedCard card;
  const std::string path = folder + "/" + kModelCardFile;
  std::error_code error;
  if (!FileExists(path) || std::filesystem::file_size(path, error) > kLargestCard || error) return card;
  const std::string text = ReadFile(path, kLargestCard);
  if (FindInvalidUtf8(text) != std::string::npos) return card;
  const std::vector<std::string> lines = LinesOf(text);
  const size_t begin = ReadMetadata(lines, card);
  if (FileExists(folder + "/" + kTrainingFile)) ReadSections(lines, begin, card);
  return card;
}

std::string TaskOfFolder(const std::string& folder) {
  const std::string file = TransformerFolder(folder) + "/config.json";
  switch (HeadOf(ReadJsonFile(file), file).head) {
    case Head::kSequenceClassification:
      return IsCrossEncoder(folder) ? "text-ranking" : "text-classification";
    case Head::kTokenClassification:
      return "token-classification";
    case Head::kQuestionAnswering:
      return "question-answering";
    case Head::kMaskedLanguageModel:
      return "fill-mask";
    case Head::kNone:
      break;
  }
  return "sentence-similarity";
}

std::string LabelList(const std::vector<std::string>& labels) {
  constexpr size_t kMostNamed = 30, kShownLabel = 60;
  std::string out;
  if (labels.size() > kMostNamed) return out;
  for (size_t i = 0; i < labels.size(); ++i)
    out += fmt::format("{}{}", i == 0 ? "" : i + 1 == labels.size() ? " and " : ", ", EscapeMarkdown(Printable(labels[i], kShownLabel)));
  return out;
}

std::string UsageSection(const CarriedCard& card, const std::string& task) {
  std::string run = card.run;
  if (run.empty() && task == "question-answering")
    run = "mlac run question-answering -m . --question \"your question here\" \"your text here\"";
  if (run.empty() && task == "text-ranking")
    run = "mlac run text-ranking -m . --query \"your query here\" \"your text here\" \"another text\"";
  if (run.empty() && task == "sentence-similarity") run = "mlac run sentence-similarity -m . \"your text here\" \"another text\"";
  if (run.empty() && task == "fill-mask") run = "mlac run fill-mask -m . \"your text with a [MASK] here\"";
  if (run.empty() && task.ends_with("-classification")) run = fmt::format("mlac run {} -m . \"your text here\"", task);
  return "\n## How to use it\n\nIn this folder, with mlac:\n\n" +
         CodeBlock("sh", run + (run.empty() ? "" : "\n") + "mlac serve . --port 8080");
}

std::string DataSection(const std::string& title, const std::string& name, const CarriedCard& card) {
  if (card.data.empty()) return "";
  std::string rows = card.data;
  while (rows.starts_with('\n')) rows.erase(0, 1);
  while (rows.ends_with("\n\n")) rows.pop_back();
  return fmt::format("\n## {}\n\nWhat the card of {} says of the data that it learnt from:\n\n{}", title, EscapeMarkdown(name), rows);
}

}  // namespace mlac
