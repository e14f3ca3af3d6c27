#include "project/reproduce.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/build_info.h"
#include "base/error.h"
#include "base/folder_contents.h"
#include "optimize/int8_folder.h"
#include "project/apply.h"
#include "project/config.h"
#include "project/predictions.h"
#include "project/published_folder.h"
#include "project/step.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

// The record under the name that was asked for.
Record FindRecord(const Store& store, const ResolvedReference& reference) {
  std::optional<Record> record = store.FindRecord(reference.name, reference.revision);
  return record ? std::move(*record) : store.RecordsOf(reference.revision).front();
}

void CheckCanBeMadeAgain(const Record& record) {
  const std::string what = fmt::format("{}@{}", record.name, record.revision.substr(0, 10));
  if (record.base.empty() || !record.data.contains("train") || !record.data.contains("test") || !record.parameters.contains("train.epochs"))
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: its record does not say what it was made from", what),
                "'mlac apply' writes such records");
  if (record.mlac_version != GetBuildInfo().version)
    throw Error(ErrorCode::kUnsupported,
                fmt::format("{}: was made by mlac {}, this is {}", what, record.mlac_version, GetBuildInfo().version),
                "install that version to make it again");
}

// The record's parameters in the form that they were read from, so that there is one place that knows them.
ModelConfig ConfigOf(const Record& record) {
  std::map<std::string, std::string> sections;
  std::string task;
  for (const auto& [name, value] : record.parameters) {
    const size_t dot = name.find('.');
    if (name == "task") task = value;
    if (dot != std::string::npos && name.substr(0, dot) == "train")
      sections["train"] += fmt::format("{}{}: {}", sections["train"].empty() ? "" : ", ", name.substr(dot + 1), QuoteYaml(value));
  }
  const auto parameter = [&](const std::string& name, const std::string& otherwise) {
    const auto found = record.parameters.find(name);
    return QuoteYaml(found == record.parameters.end() ? otherwise : found->second);
  };
  std::string columns = fmt::format("text: {}, target: {}", parameter("data.text", "text"), parameter("data.target", "label"));
  for (const char* key : {"text_pair", "label_separator"})
    if (const std::string name = fmt::format("data.{}", key); record.parameters.contains(name))
      columns += fmt::format(", {}: {}", key, parameter(name, ""));
  const std::string text = fmt::format(
      "models: {{{}: {{task: {}, base: base, data: {{train: train, test: test, {}}}, train: {{{}}}, optimize: {{int8: {}}}}}}}",
      QuoteYaml(record.name), QuoteYaml(task), columns, sections["train"], record.parameters.contains("optimize.int8") ? "true" : "false");
  return ParseProject(text, "record").models.front();
}

// Links under the names that files had, since those stand in the card.
class Sources {
 public:
  Sources(const Store& store, const std::string& folder) : store_(store), folder_(folder) { fs::create_directories(folder); }

  std::string Link(const std::string& role, const std::string& revision, const std::string& name) {
    folders_.push_back(store_.OpenFolder(revision));
    const std::string path = fmt::format("{}/{}/{}", folder_, role, fs::path(name).filename().string());
    RemoveAll(fs::path(path).parent_path().string());
    fs::create_directories(fs::path(path).parent_path());
    fs::create_symlink(folders_.back().path(), path);
    return path;
  }
  std::string File(const std::string& role, const std::string& revision, const std::string& name) {
    folders_.push_back(store_.OpenFolder(revision));
    if (store_.ReadManifest(revision).entries().size() > 1) return Link(role, revision, name);
    return store_.OnlyFile(folders_.back());
  }

 private:
  const Store& store_;
  std::string folder_;
  std::vector<RevisionFolder> folders_;
};

std::vector<std::string> Different(const Manifest& a, const Manifest& b) {
  std::set<std::string> paths;
  for (const auto& [one, other] : {std::pair{&a, &b}, {&b, &a}})
    for (const ManifestEntry& entry : one->entries()) {
      const ManifestEntry* found = other->Find(entry.path);
      if (found == nullptr || found->sha256 != entry.sha256) paths.insert(entry.path);
    }
  return {paths.begin(), paths.end()};
}

std::string ParameterOf(const Record& record, const std::string& name) {
  const auto found = record.parameters.find(name);
  return found == record.parameters.end() ? name : found->second;
}

}  // namespace

Reproduction Reproduce(const Store& store, const ResolvedReference& reference, size_t num_threads, FineTuneObserver& observer,
                       const std::atomic<bool>& stop) {
  const Record record = FindRecord(store, reference);
  CheckCanBeMadeAgain(record);
  const ApplyLock lock(store);
  const ModelConfig config = ConfigOf(record);
  const ModelTask& task = TaskOf(config);
  const std::string work = store.Part("work") + "/reproduce-" + record.revision;
  Sources sources(store, work + "/sources");
  ModelData data = ColumnsOf(config);
  for (const auto& [role, path] : {std::pair{std::string("train"), &data.train}, {"validation", &data.validation}, {"test", &data.test}})
    if (const auto found = record.data.find(role); found != record.data.end())
      *path = sources.File(role, found->second, ParameterOf(record, "data." + role));
  std::vector<std::string> notes;
  const std::vector<Finding> findings = task.check(data, notes);
  const std::string trained = work + "/trained", optimized = work + "/optimized", published = work + "/published",
                    predictions = work + "/" + kPredictionsFile;
  task.train(config, sources.Link("base", record.base, ParameterOf(record, "base")), data, trained, num_threads, observer, stop);
  for (const std::string& folder : {optimized, published}) {
    RemoveAll(folder);
    fs::create_directories(folder);
  }
  if (config.optimize.int8) WriteInt8Folder(trained, optimized);
  const std::string& model = config.optimize.int8 ? optimized : trained;
  WritePredictions(predictions, task.evaluate(model, data.test, data, num_threads, stop));
  WritePublishedFolder({.config = config,
                        .data = data,
                        .trained = trained,
                        .model = model,
                        .evaluation = ReadPredictions(predictions),
                        .test_source = fs::path(data.test).filename().string(),
                        .findings = findings},
                       published);
  const Manifest found = Scan(published), expected = store.ReadManifest(record.revision);
  Reproduction result = {record.revision, found.Revision(), Different(expected, found)};
  RemoveAll(work);
  return result;
}

}  // namespace mlac
