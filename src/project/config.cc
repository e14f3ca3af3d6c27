#include "project/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "hub/record.h"
#include "project/model_task.h"
#include "project/train_keys.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using Value = ValueShape;

constexpr uint64_t kMostRows = uint64_t{1} << 40;
constexpr std::string_view kClassification = "text-classification", kMaskTask = "fill-mask";

// ---- The tables: one line a key ----
// clang-format off

constexpr Key<RowFilter> kFilterKeys[] = {
    {{"column", Value::kText, "The column that is looked at", "the text"}, [](const YamlValue& v, RowFilter& f) { f.column = v.Text(); }},
    {{"equals", Value::kTextOrTexts, "Rows with one of these values stay"}, [](const YamlValue& v, RowFilter& f) { f.equals = v.Texts(); }},
    {{"not", Value::kTextOrTexts, "Rows with one of these values go"}, [](const YamlValue& v, RowFilter& f) { f.not_equals = v.Texts(); }},
    {{"min_length", Value::kInteger, "Rows with fewer characters go"}, [](const YamlValue& v, RowFilter& f) { f.min_length = v.Integer(0, kMostRows); }},
    {{"max_length", Value::kInteger, "Rows with more characters go"}, [](const YamlValue& v, RowFilter& f) { f.max_length = v.Integer(0, kMostRows); }},
    {{"not_empty", Value::kBool, "Rows where it is empty, or holds only white space, go", "false"},
     [](const YamlValue& v, RowFilter& f) { f.not_empty = v.Bool(); }},
};

constexpr Key<DataConfig> kSplitKeys[] = {
    {{"test", Value::kShare, "Share of the rows that become the test data, of each label alike; rows with the same text, context or query stay "
      "together", "", true},
     [](const YamlValue& v, DataConfig& d) { d.test_split = v.ShareBelowOne(); }},
    {{"seed", Value::kInteger, "Decides which rows", "0"}, [](const YamlValue& v, DataConfig& d) { d.split_seed = v.Integer(0, UINT64_MAX); }},
};

constexpr Key<DataConfig> kDataKeys[] = {
    {{"train", Value::kPathOrPaths, "What to learn from: CSV, TSV, JSONL, or a folder with a folder of texts for each label, or what the task takes; "
      "several files are joined", "", true},
     [](const YamlValue& v, DataConfig& d) { d.train = v.Texts(); }},
    {{"test", Value::kPath, "Texts that figures, tests and gates are decided on, never trained on", "made by split"},
     [](const YamlValue& v, DataConfig& d) { d.test = v.Text(); }},
    {{"validation", Value::kPath, "Texts to choose the best epoch by", "made by train.validation_split"},
     [](const YamlValue& v, DataConfig& d) { d.validation = v.Text(); }},
    {{"text", Value::kText, "The column of texts", "text"}, [](const YamlValue& v, DataConfig& d) { d.text_column = v.Text(); }},
    {{"text_pair", Value::kText, "The column of second texts, each read together with the first", "texts alone", false, "", kClassification},
     [](const YamlValue& v, DataConfig& d) { d.text_pair_column = v.Text(); }},
    {{"target", Value::kText, "The column of labels, or of numbers", "label"}, [](const YamlValue& v, DataConfig& d) { d.target_column = v.Text(); }},
    {{"label_separator", Value::kText, "What stands between several labels of a cell (train.multi_label); a list of JSON Lines needs none", ",", false, "",
      kClassification},
     [](const YamlValue& v, DataConfig& d) { d.label_separator = v.Text(); }},
    {{"filter", Value::kSections, "Which rows of train stay: those of which all these hold", "", false, "models.NAME.data.filter[]"},
     [](const YamlValue& v, DataConfig& d) {
       for (const YamlValue& item : v.Items()) {
         ReadSection(item, kFilterKeys, d.filters.emplace_back());
         if (d.filters.back().holds_always()) item.Throw("this holds for every row", "equals, not, min_length, max_length or not_empty say for which it does");
       }
     }},
    {{"dedupe", Value::kBool, "Of rows of train with the same text (or question and context, or texts of a row) only the first stays", "false"},
     [](const YamlValue& v, DataConfig& d) { d.dedupe = v.Bool(); }},
    {{"split", Value::kSection, "Makes the test data from train", "", false, "models.NAME.data.split"},
     [](const YamlValue& v, DataConfig& d) { ReadSection(v, kSplitKeys, d); }},
};

constexpr Key<OptimizeConfig> kOptimizeKeys[] = {
    {{"int8", Value::kBool, "Weights and activations of 8 bits: a quarter of the size", "false"},
     [](const YamlValue& v, OptimizeConfig& o) { o.int8 = v.Bool(); }},
    {{"max_drop", Value::kPoints, "Refuse what loses more percentage points of the metric on the test data than this", "any"},
     [](const YamlValue& v, OptimizeConfig& o) { o.max_drop = v.Points(); }},
    {{"metric", Value::kText, "What max_drop looks at: a figure of the task", "the first of those below that the test data have"},
     [](const YamlValue& v, OptimizeConfig& o) { o.metric = v.Text(); }},
};

// clang-format on
struct GateText {
  std::string text;
  bool confident = false;
  const YamlNode* node = nullptr;
};

// clang-format off
constexpr Key<GateText> kGateKeys[] = {
    {{"require", Value::kText, "The gate, as it stands on a line of its own", "", true},
     [](const YamlValue& v, GateText& g) {
       g.text = v.Text();
       g.node = &v.node();
     }},
    {{"confident", Value::kBool, "Decided by the end of the 95 % interval that is against it, not by the figure itself", "false"},
     [](const YamlValue& v, GateText& g) { g.confident = v.Bool(); }},
};

// clang-format on
void ReadGates(const YamlValue& value, ModelConfig& model) {
  for (const YamlValue& item : value.Items()) {
    GateText gate;
    if (item.node().kind == YamlNode::Kind::kMap) {
      ReadSection(item, kGateKeys, gate);
    } else {
      gate.text = item.Text();
      gate.node = &item.node();
    }
    try {
      model.gates.push_back(ParseGate(gate.text, gate.confident, TaskOf(model).figures));
    } catch (const GateSyntaxError& error) {
      item.Throw(fmt::format("column {}: {}", gate.node->column + error.position() + (gate.node->quoted ? 1 : 0), error.message()),
                 error.hint());
    }
  }
}

// The figure that max_drop looks at is one of the task, which is known by then.
void ReadOptimize(const YamlValue& value, ModelConfig& model) {
  ReadSection(value, kOptimizeKeys, model.optimize);
  std::vector<std::string> metrics;
  for (const std::string_view name : TaskOf(model).figures.metrics)
    if (!LessIsBetter(name)) metrics.emplace_back(name);
  const std::string& metric = model.optimize.metric;
  if (metric.empty()) return;  // the step takes what the test data have
  if (std::find(metrics.begin(), metrics.end(), metric) != metrics.end()) return;
  for (const auto& [key, given] : value.Entries())
    if (key == "metric") given.Throw(fmt::format("there is no {}", Quoted(metric)), KnownNames(metric, metrics));
}

void ReadTask(const YamlValue& value, ModelConfig& model) {
  std::vector<std::string_view> names;
  for (const ModelTask& task : AllModelTasks())
    if (std::find(names.begin(), names.end(), task.name) == names.end()) names.push_back(task.name);
  model.task = value.OneOf(names);
}

// clang-format off
constexpr Key<ModelConfig> kBaseKeys[] = {
    {{"model", Value::kText, "A model of this file: what it is trained and published as is the base, and it is made first", "", true},
     [](const YamlValue& v, ModelConfig& m) { m.base_model = v.Text(); }},
};

// clang-format on
void ReadBase(const YamlValue& value, ModelConfig& model) {
  if (value.node().kind == YamlNode::Kind::kMap) return ReadSection(value, kBaseKeys, model);
  if (value.node().kind != YamlNode::Kind::kScalar || value.node().text.empty())
    value.ThrowExpected("a folder, NAME@ALIAS of the store, or a map with the key 'model'");
  model.base = value.Text();
}

// clang-format off
constexpr Key<ModelConfig> kModelKeys[] = {
    {{"task", Value::kText, "What the model does, as `mlac train` knows it; the page ends with what each task has", "text-classification"}, ReadTask},
    {{"base", Value::kPathOrSection, "The model to start from: a folder in the Hugging Face layout, NAME@ALIAS or NAME@REVISION of the store, or a model of "
      "this file", "", true, "models.NAME.base"}, ReadBase},
    {{"data", Value::kSection, "Where the texts are", "", true, "models.NAME.data"},
     [](const YamlValue& v, ModelConfig& m) { ReadSection(v, kDataKeys, m.data); }},
    {{"train", Value::kSection, "How it learns", "", false, "models.NAME.train"},
     [](const YamlValue& v, ModelConfig& m) { ReadTrainKeys(v, m.train); }},
    {{"optimize", Value::kSection, "How it becomes smaller and faster", "", false, "models.NAME.optimize"},
     ReadOptimize},
    {{"tests", Value::kPath, "The model's own tests; a model that fails one is not published"}, [](const YamlValue& v, ModelConfig& m) { m.tests = v.Text(); }},
    {{"gates", Value::kTextOrSections, "What must hold before the model is published: \"macro_f1 >= 0.43\", \"accuracy >= production - 0.005\"", "", false,
      "models.NAME.gates[]"},
     ReadGates},
};

// clang-format on
void CheckDataKeys(const YamlValue& section, const ModelTask& task, const DataConfig& data) {
  for (const auto& [key, value] : section.Entries()) {
    if (key == "filter")
      for (const RowFilter& filter : data.filters)
        if (!filter.column.empty() && !task.has_columns)
          value.Throw(fmt::format("'column' is for tables; the data of {} has no columns", task.name));
    // Their columns have names of their own; a record says text and label of every task.
    if ((key == "text" && task.name != kClassification && task.name != kMaskTask && data.text_column != DataConfig().text_column) ||
        (key == "target" && task.name != kClassification && data.target_column != DataConfig().target_column))
      value.Throw(fmt::format("{} knows its columns by their names; the key is for {}", task.name,
                              key == "text" ? fmt::format("{} and {}", kClassification, kMaskTask) : std::string(kClassification)));
    if (key != "text_pair" && key != "label_separator") continue;
    if (task.name != kClassification) value.Throw(fmt::format("is for {}; this is {}", kClassification, task.name));
    if (key == "label_separator" && !task.several_labels()) value.Throw("a text has one label", "train: {multi_label: true}");
    if (key == "text_pair" && (data.text_pair_column == data.text_column || data.text_pair_column == data.target_column))
      value.Throw(fmt::format("expected a column of its own for the second text, found {} twice", Quoted(data.text_pair_column)));
  }
}

// What the other sections say must be there for the task.
void CheckTask(const YamlValue& entry, ModelConfig& model) {
  const ModelTask& task = TaskOf(model);
  for (const auto& [key, given] : entry.Entries()) {
    if (key == "train") CheckTrainKeys(given, task.name);
    if (key == "data") CheckDataKeys(given, task, model.data);
  }
}

// Where the keys stand whose files and columns are looked at later.
void RememberLines(const YamlValue& entry, ModelConfig& model) {
  for (const auto& [key, given] : entry.Entries()) {
    if (key == "base" || key == "tests" || key == "data") model.key_lines.emplace_back(key, given.line());
    if (key == "gates")
      for (const YamlValue& item : given.Items()) model.key_lines.emplace_back(item.path().substr(entry.path().size() + 1), item.line());
    if (key != "data") continue;
    for (const auto& [name, value] : given.Entries()) {
      model.key_lines.emplace_back("data." + name, value.line());
      if (value.node().kind != YamlNode::Kind::kSequence) continue;
      for (const YamlValue& item : value.Items()) model.key_lines.emplace_back(item.path().substr(entry.path().size() + 1), item.line());
    }
  }
}

void CheckModel(const YamlValue& entry, ModelConfig& model) {
  for (const auto& [key, given] : entry.Entries()) {
    if (key == "data" && model.data.test.empty() && model.data.test_split == 0)
      given.Throw("there is no test data, and figures, tests and gates need texts that are never trained on",
                  "give 'test: FILE', or 'split: {test: 20%}'");
    if (key == "data" && !model.data.test.empty() && model.data.test_split > 0) given.Throw("'test' and 'split' exclude each other");
    if (key == "train" && !model.data.validation.empty())
      for (const auto& [name, value] : given.Entries())
        if (name == "validation_split" && model.train.validation_split > 0)
          value.Throw("nothing is set aside where 'data.validation' is there", "leave one of the two out");
    if (key == "optimize" && model.optimize.max_drop && !model.optimize.int8)
      given.Throw("'max_drop' is there and nothing that could drop", "int8: true");
    if (key == "optimize" && !model.optimize.metric.empty() && !model.optimize.max_drop)
      given.Throw("'metric' is what 'max_drop' looks at, and that is not there", "max_drop: 0.5%");
  }
}

// The models that models start from must be there and can be trained, and none is made from itself.
class BaseChecker {
 public:
  BaseChecker(const YamlValue& models, const ProjectConfig& project) {
    for (const ModelConfig& model : project.models) models_.emplace(model.name, &model);
    for (const auto& [name, entry] : models.Entries())
      for (const auto& [key, value] : entry.Entries())
        if (key == "base") places_.emplace(name, value);
  }

  void Check(const ModelConfig& model) {
    std::vector<std::string> walked;  // from the model on, each made from the next
    std::set<std::string_view> seen;
    for (const ModelConfig* at = &model; !at->base_model.empty() && !done_.contains(at->name); at = models_.at(at->base_model)) {
      CheckOne(*at);
      if (!seen.insert(at->name).second) ThrowCycle({std::find(walked.begin(), walked.end(), at->name), walked.end()});
      walked.push_back(at->name);
    }
    done_.insert(walked.begin(), walked.end());
  }

 private:
  void CheckOne(const ModelConfig& model) const {
    const auto base = models_.find(model.base_model);
    if (base == models_.end()) {
      std::vector<std::string> names;
      for (const auto& [name, config] : models_) names.push_back(name);
      places_.at(model.name).Throw(fmt::format("there is no model {}", Quoted(model.base_model)), KnownNames(model.base_model, names));
    }
    if (base->second->optimize.int8)
      places_.at(model.name)
          .Throw(fmt::format("the model '{}' becomes int8, which cannot be trained", model.base_model),
                 "name a model of the same data and training without 'optimize': what two have in common is done once");
  }

  [[noreturn]] void ThrowCycle(const std::vector<std::string>& names) const {
    constexpr size_t kShown = 8;
    std::string chain;
    for (size_t i = 0; i < std::min(names.size(), kShown); ++i) chain += fmt::format("'{}' from ", names[i]);
    places_.at(names.front())
        .Throw(fmt::format("is made from itself: {}{}'{}'", chain, names.size() > kShown ? "... " : "", names.front()));
  }

  std::map<std::string, const ModelConfig*> models_;
  std::map<std::string, YamlValue> places_;  // of `base`, by model
  std::set<std::string> done_;               // that lead to a folder or a revision
};

void ReadModels(const YamlValue& value, ProjectConfig& project) {
  for (const auto& [name, entry] : value.Entries()) {
    try {
      CheckArtefactName(name);
    } catch (const Error& error) {
      entry.Throw(error.message(), error.hint());
    }
    ModelConfig& model = project.models.emplace_back();
    model.name = name;
    model.line = entry.line();
    // First what says which figures there are, for gates are read by them, wherever they stand.
    for (const auto& [key, given] : entry.Entries()) {
      if (key == "task") ReadTask(given, model);
      if (key == "train") ReadTrainKeys(given, model.train);
    }
    ReadSection(entry, kModelKeys, model);
    CheckModel(entry, model);
    RememberLines(entry, model);
    CheckTask(entry, model);
  }
  if (project.models.empty()) value.Throw("expected at least one model");
  BaseChecker bases(value, project);
  for (const ModelConfig& model : project.models) bases.Check(model);
  // What a model is made from is kept beside it, under its name and these.
  std::set<std::string_view> names;
  for (const ModelConfig& model : project.models) names.insert(model.name);
  for (const auto& [name, entry] : value.Entries()) {
    const size_t dot = name.rfind('.');
    constexpr std::string_view kRoles[] = {"base", "train", "validation", "test", "answers"};
    if (dot == std::string::npos || !names.contains(std::string_view(name).substr(0, dot))) continue;
    if (std::find(std::begin(kRoles), std::end(kRoles), std::string_view(name).substr(dot + 1)) != std::end(kRoles))
      entry.Throw(fmt::format("the store keeps data of the model '{}' under this name", name.substr(0, dot)), "give it another name");
  }
}

// clang-format off
constexpr Key<ProjectConfig> kProjectKeys[] = {
    {{"store", Value::kPath, "Where models and their history are kept; a folder that a team shares, if its CI has to see what is in production", ".mlac"},
     [](const YamlValue& v, ProjectConfig& p) { p.store = v.Text(); }},
    {{"models", Value::kNamedSections, "The models, each under its name", "", true, "models.NAME"}, ReadModels},
    {{"definitions", Value::kText, "Whatever is written here is ignored: a place for anchors (&) that several models use"},
     [](const YamlValue&, ProjectConfig&) {}},
};

// clang-format on
template <typename T, size_t kCount>
SectionInfo Info(std::string_view title, std::string_view description, const Key<T> (&keys)[kCount]) {
  SectionInfo section = {title, description, {}};
  for (const Key<T>& key : keys) section.keys.push_back(key.info);
  return section;
}

}  // namespace

std::vector<SectionInfo> ProjectSections() {
  return {Info("", "The file.", kProjectKeys),
          Info("models.NAME", "A model. NAME is what the store and the commands call it: letters, digits, '.', '_' and '-'.", kModelKeys),
          Info("models.NAME.base", "Another model of this file as the one to start from.", kBaseKeys),
          Info("models.NAME.data", "The texts of a model, and what is done with them before anything learns from them.", kDataKeys),
          Info("models.NAME.data.filter[]", "One condition.", kFilterKeys),
          Info("models.NAME.data.split", "Test data from training data.", kSplitKeys),
          {"models.NAME.train", "Each is the option of `mlac train` of that name.", TrainKeyInfos()},
          Info("models.NAME.optimize", "Each is the option of `mlac optimize` of that name.", kOptimizeKeys),
          Info("models.NAME.gates[]", "A gate as a map. A gate that is only a text is the text of `require`.", kGateKeys)};
}

size_t ModelConfig::LineOf(std::string_view key) const {
  for (const auto& [name, number] : key_lines)
    if (name == key) return number;
  return line;
}

std::string ProjectConfig::Path(const std::string& path) const {
  if (fs::path(path).is_absolute() || folder == ".") return path;
  return (fs::path(folder) / path).string();
}

const ModelConfig& ProjectConfig::Find(const std::string& model) const {
  std::vector<std::string> names;
  for (const ModelConfig& each : models) {
    if (each.name == model) return each;
    names.push_back(each.name);
  }
  throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no model '{}'", file, model), KnownNames(model, names));
}

ProjectConfig ParseProject(std::string_view text, const std::string& file) {
  const YamlDocument document(text, fs::path(file).filename().string());
  ProjectConfig project;
  project.file = file;
  project.folder = fs::path(file).has_parent_path() ? fs::path(file).parent_path().string() : ".";
  if (document.root().kind == YamlNode::Kind::kNull)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is empty; expected the key 'models'", document.name()),
                "'mlac init' writes one");
  ReadSection(RootOf(document), kProjectKeys, project);
  return project;
}

ProjectConfig ReadProject(const std::string& file) {
  if (!FileExists(file))
    throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no such file", file), "'mlac init' writes one; --file names another");
  return ParseProject(ReadFile(file, YamlLimits{}.max_bytes + 1), file);
}

}  // namespace mlac
