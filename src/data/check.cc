#include "data/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/display.h"
#include "base/error.h"

namespace mlac {
namespace {

constexpr size_t kMostExamples = 3;

std::string Shown(const std::string& label) { return fmt::format("'{}'", Printable(label, kShownLabel)); }

std::string Counted(size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

// The place of a row, without the source where `previous` of the same data was named just before.
std::string Pair(const LabelledTexts& first, size_t first_row, const LabelledTexts& second, size_t second_row) {
  if (&first == &second && second.files.empty()) return fmt::format("{} and line {}", first.Place(first_row), second.lines[second_row]);
  return fmt::format("{} and {}", first.Place(first_row), second.Place(second_row));
}

std::vector<size_t> CountLabels(const LabelledTexts& data) {
  std::vector<size_t> counts(data.label_names.size());
  for (const int32_t label : data.labels) ++counts.at(static_cast<size_t>(label));
  return counts;
}

using Index = std::unordered_map<std::string, size_t>;  // key to its first row; blank texts left out

class Checker {
 public:
  Checker(std::span<const DataPart> parts, const CheckOptions& options) : parts_(parts), options_(options) {}

  std::vector<Finding> Run() {
    for (const DataPart& part : parts_) FindBlank(part);
    for (const DataPart& part : parts_) FindRepeated(part);
    for (size_t later = 1; later < parts_.size(); ++later) {
      for (size_t earlier = 0; earlier < later; ++earlier) FindShared(earlier, later);
    }
    if (options_.classes) {
      FindSimilarLabels(parts_[0]);
      FindCounts(parts_[0]);
      for (const DataPart& part : parts_.subspan(1)) FindAbsentLabels(part);
    }
    for (const DataPart& part : parts_) FindCut(part);
    return std::move(findings_);
  }

 private:
  void Report(Finding finding) {
    if (finding.count > 0) findings_.push_back(std::move(finding));
  }

  void FindBlank(const DataPart& part) {
    Finding finding{.code = "empty_text", .severity = Severity::kWarning};
    for (size_t row = 0; row < part.data->size(); ++row) {
      if (!IsBlank(part.data->texts[row])) continue;
      ++finding.count;
      AddExample(finding, part.data->Place(row));
    }
    finding.message = fmt::format("{}: {} empty or blank", part.name, Counted(finding.count, "text is", "texts are"));
    Report(std::move(finding));
  }

  void FindRepeated(const DataPart& part) {
    Finding same{.code = "duplicate_text", .severity = Severity::kNote},
        other{.code = "conflicting_labels", .severity = Severity::kWarning};
    const LabelledTexts& data = *part.data;
    Index& first_row = index_.emplace_back();
    std::vector<bool> conflicting(data.size(), false);  // of first rows: already counted
    for (size_t row = 0; row < data.size(); ++row) {
      if (IsBlank(data.texts[row])) continue;
      const auto [entry, is_new] = first_row.emplace(data.Key(row), row);
      if (is_new) continue;
      const size_t first = entry->second;
      if (data.labels[first] == data.labels[row]) {
        ++same.count;
        AddExample(same, Pair(data, first, data, row));
      } else if (!conflicting[first]) {
        conflicting[first] = true;
        ++other.count;
        AddExample(other, fmt::format("{}: {} and {}", Pair(data, first, data, row),
                                      Shown(data.label_names[static_cast<size_t>(data.labels[first])]),
                                      Shown(data.label_names[static_cast<size_t>(data.labels[row])])));
      }
    }
    same.message = fmt::format("{}: {} an earlier text{}", part.name, Counted(same.count, "row repeats", "rows repeat"),
                               options_.classes ? " with its label" : "");
    other.message = fmt::format("{}: {} with different labels", part.name, Counted(other.count, "text stands", "texts stand"));
    Report(std::move(same));
    Report(std::move(other));
  }

  void FindShared(size_t earlier, size_t later) {
    Finding finding{.code = "text_in_two_parts", .severity = Severity::kWarning};
    const LabelledTexts &before = *parts_[earlier].data, &data = *parts_[later].data;
    for (size_t row = 0; row < data.size(); ++row) {
      const auto own = index_[later].find(data.Key(row));
      if (own == index_[later].end() || own->second != row) continue;  // blank, or counted before
      const auto found = index_[earlier].find(data.Key(row));
      if (found == index_[earlier].end()) continue;
      ++finding.count;
      AddExample(finding, Pair(before, found->second, data, row));
    }
    const std::string& name = parts_[later].name;
    finding.message = fmt::format("{} {} {} also in the {} data; the {} figures will be too good", finding.count, name,
                                  finding.count == 1 ? "text is" : "texts are", earlier == 0 ? "training" : parts_[earlier].name, name);
    Report(std::move(finding));
  }

  // Labels that a slip of the hand parts: "Spam", "spam" and "spam ".
  void FindSimilarLabels(const DataPart& part) {
    Finding finding{.code = "similar_labels", .severity = Severity::kWarning};
    std::map<std::string, size_t> by_plain_name;
    for (size_t label = 0; label < part.data->label_names.size(); ++label) {
      std::string plain;
      for (const char c : part.data->label_names[label]) {
        if (!IsBlank({&c, 1})) plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
      const auto [entry, is_new] = by_plain_name.emplace(plain, label);
      if (is_new) continue;
      ++finding.count;
      AddExample(finding, fmt::format("{} and {}", Shown(part.data->label_names[entry->second]), Shown(part.data->label_names[label])));
    }
    finding.message = fmt::format("{} from another only in case or spaces", Counted(finding.count, "label differs", "labels differ"));
    Report(std::move(finding));
  }

  void FindCounts(const DataPart& part) {
    const LabelledTexts& data = *part.data;
    const std::vector<size_t> counts = CountLabels(data);
    Finding single{.code = "single_example", .severity = Severity::kWarning};
    size_t smallest = counts.size(), largest = 0;
    for (size_t label = 0; label < counts.size(); ++label) {
      if (counts[label] == 0) continue;
      if (smallest == counts.size() || counts[label] < counts[smallest]) smallest = label;
      if (counts[label] > counts[largest]) largest = label;
      if (counts[label] != 1) continue;
      ++single.count;
      const auto row = std::find(data.labels.begin(), data.labels.end(), static_cast<int32_t>(label));
      if (single.examples.size() < kMostExamples)
        AddExample(single,
                   fmt::format("{}: {}", data.Place(static_cast<size_t>(row - data.labels.begin())), Shown(data.label_names[label])));
    }
    single.message = fmt::format("{}: {} a single example", part.name, Counted(single.count, "label has", "labels have"));
    Report(std::move(single));
    constexpr double kUneven = 10;
    const double ratio = static_cast<double>(counts[largest]) / static_cast<double>(counts[smallest]);
    if (ratio < kUneven) return;
    Report({.code = "imbalance",
            .severity = Severity::kWarning,
            .count = counts[largest],
            .message = fmt::format("{}: labels are uneven: {} has {} of {} examples ({:.1f} %), {:.0f} times as many as {} with {}",
                                   part.name, Shown(data.label_names[largest]), counts[largest], data.size(),
                                   100.0 * static_cast<double>(counts[largest]) / static_cast<double>(data.size()), ratio,
                                   Shown(data.label_names[smallest]), counts[smallest])});
  }

  void FindAbsentLabels(const DataPart& part) {
    if (part.data->size() == 0) return;
    Finding finding{.code = "label_without_example", .severity = Severity::kNote};
    const std::vector<size_t> counts = CountLabels(*part.data);
    for (size_t label = 0; label < counts.size(); ++label) {
      if (counts[label] > 0) continue;
      ++finding.count;
      AddExample(finding, Shown(part.data->label_names[label]));
    }
    finding.message = fmt::format("{}: {} no example, so the {} figures tell you nothing about {}", part.name,
                                  Counted(finding.count, "label has", "labels have"), part.name, finding.count == 1 ? "that label" : "those labels");
    Report(std::move(finding));
  }

  void FindCut(const DataPart& part) {
    Report({.code = "cut_text",
            .severity = Severity::kNote,
            .count = part.num_cut,
            .message = fmt::format("{}: {} of {} {} longer than {} tokens and {} cut", part.name, part.num_cut,
                                   Counted(part.data->size(), "text", "texts"), part.num_cut == 1 ? "is" : "are", options_.max_length,
                                   part.num_cut == 1 ? "is" : "are")});
  }

  std::span<const DataPart> parts_;
  const CheckOptions& options_;
  std::vector<Index> index_;  // of each part
  std::vector<Finding> findings_;
};

bool AreNumbers(const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [](const std::string& name) {
    double number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    return error == std::errc() && end == name.data() + name.size();
  });
}

}  // namespace

void AddExample(Finding& finding, std::string example) {
  if (finding.examples.size() < kMostExamples) finding.examples.push_back(std::move(example));
}

std::optional<Finding> FewExamples(std::string_view name, size_t num_examples) {
  constexpr size_t kFew = 30;
  if (num_examples == 0 || num_examples >= kFew) return std::nullopt;
  return Finding{.code = "few_examples",
                 .severity = Severity::kWarning,
                 .count = num_examples,
                 .message = fmt::format("{}: figures from {} say little; measure on {} or more", name,
                                        Counted(num_examples, "example", "examples"), kFew)};
}

void CheckTrainable(const LabelledTexts& data) {
  if (data.size() == 0) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected labelled texts, found none", data.source));
  const std::vector<size_t> counts = CountLabels(data);
  const size_t num_labels = static_cast<size_t>(std::count_if(counts.begin(), counts.end(), [](size_t count) { return count > 0; }));
  if (num_labels == 1) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected at least two labels, found only {} in {}", data.source,
                            Shown(data.label_names[static_cast<size_t>(data.labels[0])]), Counted(data.size(), "row", "rows")),
                "a classifier learns to tell labels apart");
  }
  if (num_labels == data.size()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: expected labels that repeat, found a different one in each of {} rows", data.source, data.size()),
                AreNumbers(data.label_names) ? "--regression learns numbers" : "is it a column of ids or of texts?");
  }
}

std::vector<Finding> CheckData(std::span<const DataPart> parts, const CheckOptions& options) {
  if (options.classes) CheckTrainable(*parts[0].data);
  if (parts[0].data->size() == 0) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected texts to learn from, found none", parts[0].data->source));
  return Checker(parts, options).Run();
}

nlohmann::json FindingsJson(std::span<const Finding> findings) {
  nlohmann::json list = nlohmann::json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"code", finding.code},
                    {"severity", finding.severity == Severity::kWarning ? "warning" : "note"},
                    {"count", finding.count},
                    {"message", finding.message},
                    {"examples", finding.examples}});
  }
  return list;
}

std::string FindingLine(const Finding& finding) {
  std::string line = fmt::format("{}: {}", finding.severity == Severity::kWarning ? "warning" : "note", finding.message);
  for (size_t i = 0; i < finding.examples.size(); ++i) line += (i == 0 ? " (" : "; ") + finding.examples[i];
  if (!finding.examples.empty()) line += finding.count > finding.examples.size() ? "; ...)" : ")";
  return line;
}

}  // namespace mlac
