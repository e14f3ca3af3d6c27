#pragma once
// What a careful person would look for in labelled texts before training on them.
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/texts.h"

namespace mlac {

enum class Severity { kNote, kWarning };

struct Finding {
  std::string code;  // for programs, as in kFindingCodes of check.cc: "empty_text"
  Severity severity = Severity::kNote;
  size_t count = 0;                        // of what the message counts
  std::string message = {};                // one sentence: file and label names, numbers; never a text
  std::vector<std::string> examples = {};  // places, at most 3: "train.csv line 5"
};

// Adds a place to the examples while there are fewer than three.
void AddExample(Finding& finding, std::string example);

// One part of the data as it is used: "train", "validation" or "test".
struct DataPart {
  std::string name;
  const LabelledTexts* data = nullptr;
  size_t num_cut = 0;  // texts longer than the model reads: counted by the caller, who has the tokenizer
};

struct CheckOptions {
  size_t max_length = 0;  // tokens that the model reads, for the message about cut texts
  bool classes = true;    // each text has one label: what is said of labels
};

// Findings in a fixed order of kinds, train first. parts[0] is trained on; all parts share their label names. Throws kInvalidInput
// where training cannot succeed: no rows, one label only, every row its own label.
std::vector<Finding> CheckData(std::span<const DataPart> parts, const CheckOptions& options = {});

// A warning where fewer than 30 examples are measured on; none for no examples at all. name: of the part, "test".
std::optional<Finding> FewExamples(std::string_view name, size_t num_examples);

// The check on its own that needs no split: throws as CheckData does.
void CheckTrainable(const LabelledTexts& data);

// [{"code", "severity": "note" or "warning", "count", "message", "examples"}]
nlohmann::json FindingsJson(std::span<const Finding> findings);

// One line: "warning: 3 texts are empty (train.csv line 5, line 9, line 12)", without a line end.
std::string FindingLine(const Finding& finding);

}  // namespace mlac
