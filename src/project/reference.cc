#include "project/reference.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "project/config.h"
#include "project/model_task.h"
#include "project/model_tests.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;
using Shape = ValueShape;

constexpr char kHead[] = R"(# mlac.yaml

The keys that mlac.yaml and the file of a model's tests may have. This page and the schemas [mlac.schema.json](mlac.schema.json) and
[mlac-tests.schema.json](mlac-tests.schema.json), which editors check such files with, are printed by the program from the tables that it reads the files with:

```
mlac help --mlac-yaml > docs/mlac-yaml.md
mlac help --mlac-yaml-schema > docs/mlac.schema.json
mlac help --tests-schema > docs/mlac-tests.schema.json
```

An editor with a YAML language server finds the schema by a first line `# yaml-language-server: $schema=mlac.schema.json`.

- **Paths** are relative to the folder of mlac.yaml. The own name of a data file, and of the folder of a base, stands in the card of the model:
  where it changes, the model is trained again; where only the folder above it changes, nothing runs.
- **Anchors** (`&name`), aliases (`*name`) and merge keys (`<<: *name`) work, for what several models have in common. `definitions` is a place for them.
- **Limits**: 8 MiB, nesting up to 32, 300,000 lines and as many values with aliases counted at each use, 64 KiB in one pair of brackets, 256 KiB in a line.
- A key that is not known is refused, with its line, the nearest name and all that there are.

[plan-and-apply.md](plan-and-apply.md) shows them at work.
)";

constexpr char kGates[] = R"(
## Gates

    FIGURE >= BOUND        also <=, > and <

| figure | what it is |
| --- | --- |
| those of the task, below, and `num_examples` | of metrics.json, on the test data |
| `per_class.LABEL.precision`, `.recall`, `.f1`, `.support` | of one label; if it is more than letters, digits and `_`: `per_class."two words".f1` |
| `size` | weights, configuration and tokenizer, in B, KB, MB, GB, KiB, MiB or GiB |
| `latency_p50(N tokens)`, `latency_p99(N tokens)` | of one sequence of N tokens, in us, ms or s: the median over 5 runs of 100 passes each |

A bound is a number (`0.43`, `43%`, `10 ms`, `100 MB`), or `production`, alone or with ` + NUMBER`, ` - NUMBER`, ` * NUMBER`: the same figure of the model
that NAME@production stands for. That model is measured again, on today's test data and on this machine, and the 95 % interval of the difference comes from a
paired bootstrap over rows (or queries, or blocks of texts, where figures are of those). While there is no production such a gate passes and says so. The
figure itself decides; with
`confident: true` the end of the interval that is against the gate does.
)";

constexpr char kTasksOfReference[] = R"(
## Tasks

What `task` may be, what a gate may look at, and which lists the file of its tests may have. `mlac train TASK` says what its data look
like.

| task | figures | tests |
| --- | --- | --- |
)";

constexpr char kTaskNotes[] = R"(
What an example expects, what a change must leave as it is, and what filters, dedupe and split look at:

- **text-classification**: a label. The text; rows with one text stay together, of pairs (`data.text_pair`) rows with the same two, and of
  pairs the first text is changed.
- **text-classification with multi_label** (`train.multi_label: true`): all labels of the text and no other, as a list or with `"; "` between
  them, or `nothing`. `equals` of a slice or a filter of the column of labels means texts that have the label among theirs.
- **text-classification with regression** (`train.regression: true`): a number, `within` so much; a change may move it by `within`.
- **token-classification**: `"PER: Ann Lee; LOC: Paris"`, in the order of the text, or `nothing`; a change must leave types and order. The
  words with a space between; filters name no column.
- **question-answering**: a part of the text, compared as SQuAD's script does it, or `nothing`; what is changed is the question. Filters
  look at the context and name no column; the questions of a context stay together.
- **fill-mask**: the word in the place of `[MASK]`, whatever a model's own mask token is; rows of the test data are beginnings of its texts
  with one word taken out. The text.
- **sentence-similarity**: for the first text of a row the same nearest of the second texts. The first text; its rows stay together.
- **text-ranking**: for a query and its document the same answer to whether it answers; what is changed is the query. The query; its
  documents stay together.

`directional` looks at how sure a model is of an answer: the probability of a label, of an entity (0 where it is not found), of an answer (0
where it is not among the best 20), of a word for the first `[MASK]`; of a regression it is the number, of sentence-similarity the cosine
with `query`, of text-ranking how well the text answers `query`, from 0 to 1.

`column` of a slice is one of a table, or a key of JSON Lines beside those that the task reads; `.conll`, SQuAD's `.json` and plain lines have
none. Test data that `data.split` makes keeps the columns that `data.filter` names, if with no condition. The parts of fill-mask are measured
on their texts alone, joined to blocks.
)";

std::string TaskTable() {
  std::string out = kTasksOfReference;
  for (const ModelTask& task : AllModelTasks()) {
    std::string figures;
    for (const std::string_view name : task.figures.metrics) figures += fmt::format("{}`{}`", figures.empty() ? "" : ", ", name);
    if (task.figures.has_classes) figures += ", `per_class`";
    out += fmt::format("| {} | {} | {} |\n", task.Title(), figures, fmt::join(task.test_kinds, ", "));
  }
  return out + kTaskNotes;
}

// A cell of a Markdown table: a bar would end it.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string AnchorOf(std::string_view title) {
  std::string anchor;
  for (const char c : title)
    if (c != '.' && c != '[' && c != ']') anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return anchor;
}

std::string Section(const SectionInfo& section, std::string_view heading) {
  std::string out = fmt::format("\n{} {}\n\n{}\n\n| key | value | default | |\n| --- | --- | --- | --- |\n", heading,
                                section.title.empty() ? "The file" : section.title, section.description);
  for (const KeyInfo& key : section.keys) {
    const std::string value =
        key.section.empty() ? std::string(NameOf(key.shape)) : fmt::format("[{}](#{})", NameOf(key.shape), AnchorOf(key.section));
    out +=
        fmt::format("| `{}` | {} | {} | {} |\n", key.name, value, key.required ? "**required**" : Cell(key.by_default),
                    Cell(key.only_for.empty() ? std::string(key.description) : fmt::format("{} ({} only)", key.description, key.only_for)));
  }
  return out;
}

ordered_json TextOrList(ordered_json of) { return {{"anyOf", {of, {{"type", "array"}, {"items", of}, {"minItems", 1}}}}}; }

ordered_json NumberOrPattern(int most, const char* pattern) {
  return {{"anyOf", {{{"type", "number"}, {"minimum", 0}, {"maximum", most}}, {{"type", "string"}, {"pattern", pattern}}}}};
}

std::vector<std::string> TaskNames() {
  std::vector<std::string> names;
  for (const ModelTask& task : AllModelTasks())
    if (std::find(names.begin(), names.end(), task.name) == names.end()) names.emplace_back(task.name);
  return names;
}

// What by_default stands for, where it is a value and no explanation; null otherwise.
ordered_json Default(const KeyInfo& key) {
  if (key.shape == Shape::kBool && (key.by_default == "true" || key.by_default == "false")) return key.by_default == "true";
  const std::optional<double> number = ParseNumber(key.by_default);
  if (number && key.shape == Shape::kInteger) return static_cast<uint64_t>(*number);
  if (number && (key.shape == Shape::kNumber || key.shape == Shape::kShare)) return *number;
  const bool is_word = !key.by_default.empty() && key.by_default.find(' ') == std::string_view::npos;
  if (is_word && (key.shape == Shape::kText || key.shape == Shape::kPath)) return key.by_default;
  return {};
}

class SchemaWriter {
 public:
  explicit SchemaWriter(std::vector<SectionInfo> sections) : sections_(std::move(sections)) {}

  ordered_json Section(std::string_view title) const {
    for (const SectionInfo& section : sections_) {
      if (section.title != title) continue;
      ordered_json properties = ordered_json::object(), required = ordered_json::array();
      for (const KeyInfo& key : section.keys) {
        ordered_json value = Value(key);
        value["description"] = key.description;
        if (ordered_json otherwise = Default(key); !otherwise.is_null()) value["default"] = std::move(otherwise);
        properties[std::string(key.name)] = std::move(value);
        if (key.required) required.push_back(key.name);
      }
      ordered_json out = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
      if (!required.empty()) out["required"] = required;
      return out;
    }
    return ordered_json::object();
  }

 private:
  ordered_json Value(const KeyInfo& key) const {
    // YAML reads 5 and 0.5 as numbers where a text is meant, too.
    const ordered_json scalar = {{"type", {"string", "number", "boolean"}}};
    switch (key.shape) {
      case Shape::kText:
        if (key.name == "definitions") return ordered_json::object();
        if (key.name == "task") return {{"enum", TaskNames()}};
        if (!key.values.empty()) return {{"enum", std::vector<std::string>(key.values.begin(), key.values.end())}};
        return scalar;
      case Shape::kPath:
        return {{"type", "string"}};
      case Shape::kInteger:
        return {{"type", "integer"}, {"minimum", 0}};
      case Shape::kNumber:
        return {{"type", "number"}};
      case Shape::kShare:
        return NumberOrPattern(1, R"(^\+?([0-9]+\.?[0-9]*|\.[0-9]+) *%$)");
      case Shape::kPoints:
        return NumberOrPattern(100, R"(^\+?([0-9]+\.?[0-9]*|\.[0-9]+) *%?$)");
      case Shape::kSize:
        return {{"type", "string"}, {"pattern", R"(^ *[0-9.e+]+ *(B|KB|kB|MB|GB|KiB|MiB|GiB) *$)"}};
      case Shape::kDuration:
        return {{"type", "string"}, {"pattern", R"(^ *[0-9.e+-]+ *(us|ms|s) *$)"}};
      case Shape::kBool:
        return {{"type", "boolean"}};
      case Shape::kTextOrTexts:
        return TextOrList(scalar);
      case Shape::kPathOrPaths:
        return TextOrList({{"type", "string"}});
      case Shape::kSection:
        return Section(key.section);
      case Shape::kSections:
        return {{"type", "array"}, {"items", Section(key.section)}};
      case Shape::kNamedSections:  // by names that CheckArtefactName takes
        return {{"type", "object"},
                {"propertyNames", {{"pattern", "^[A-Za-z0-9][A-Za-z0-9._-]*$"}}},
                {"additionalProperties", Section(key.section)},
                {"minProperties", 1}};
      case Shape::kTextOrSections:
        return {{"type", "array"}, {"items", {{"anyOf", {{{"type", "string"}}, Section(key.section)}}}}};
      case Shape::kPathOrSection:
        return {{"anyOf", {{{"type", "string"}}, Section(key.section)}}};
      case Shape::kTextLists:
        return {{"type", "array"}, {"items", {{"type", "array"}, {"items", scalar}, {"minItems", 2}}}};
      case Shape::kTextMap:
        return {{"type", "object"}, {"additionalProperties", scalar}};
    }
    return ordered_json::object();
  }

  std::vector<SectionInfo> sections_;
};

std::string Schema(std::string_view title, std::vector<SectionInfo> sections) {
  ordered_json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
  out.update(SchemaWriter(std::move(sections)).Section(""));
  return DumpJson(out, 2) + "\n";
}

}  // namespace

std::string ProjectReferenceMarkdown() {
  std::string out = kHead;
  for (const SectionInfo& section : ProjectSections()) out += Section(section, "##");
  out += kGates;
  out += "\n## Tests of a model\n\nThe file that `tests` names. `mlac test NAME` runs it; `mlac test NAME --generate` proposes one.\n";
  for (const SectionInfo& section : ModelTestSections()) out += Section(section, "###");
  out += TaskTable();
  return out;
}

std::string ProjectSchemaJson() { return Schema("mlac.yaml", ProjectSections()); }
std::string ModelTestsSchemaJson() { return Schema("tests of a model of mlac.yaml", ModelTestSections()); }

}  // namespace mlac
