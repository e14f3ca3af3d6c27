#include "train/fine_tune.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "data/split.h"
#include "data/texts.h"
#include "kernels/cross_entropy.h"
#include "models/model_folder.h"
#include "pipelines/text_model.h"
#include "text/length_limit.h"
#include "text/tokenizer.h"
#include "train/model_folder_writer.h"
#include "train/report_card.h"
#include "train/report_svg.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

constexpr char kRecordFile[] = "training.json";
constexpr int kRecordFormat = 1;

// A part of the data as texts and as tokens.
struct Part {
  LabelledTexts texts;
  LabelledTokens tokens;
  size_t num_truncated = 0;
};

void Tokenize(const Tokenizer& tokenizer, size_t max_length, Part& part) {
  const EncodeOptions options = {.max_length = max_length, .truncate = true};
  for (size_t i = 0; i < part.texts.size(); ++i) {
    const Encoding encoding = tokenizer.Encode(part.texts.texts[i], options);
    TokenBatch& tokens = part.tokens.tokens;
    tokens.token_ids.insert(tokens.token_ids.end(), encoding.token_ids.begin(), encoding.token_ids.end());
    tokens.token_type_ids.insert(tokens.token_type_ids.end(), encoding.token_type_ids.begin(), encoding.token_type_ids.end());
    tokens.offsets.push_back(tokens.token_ids.size());
    part.num_truncated += encoding.truncated;
  }
  part.tokens.labels = part.texts.labels;
  part.tokens.source = part.texts.source;
  part.tokens.lines = part.texts.lines;
  part.tokens.files = part.texts.files;
}

struct FineTuneData {
  Part train, validation, test;
};

std::string HashOf(const Part& part) {
  Sha256 hash;
  for (size_t i = 0; i < part.texts.size(); ++i) {
    hash.AddField(part.texts.texts[i]);
    hash.AddField(part.texts.label_names[static_cast<size_t>(part.texts.labels[i])]);
  }
  return hash.Finish();
}

std::string HashOfTokens(const FineTuneData& data) {
  Sha256 hash;
  for (const Part* part : {&data.train, &data.validation}) {
    hash.Add(std::as_bytes(std::span(part->tokens.tokens.token_ids)));
    hash.Add(std::as_bytes(std::span(part->tokens.tokens.token_type_ids)));
    hash.Add(std::as_bytes(std::span(part->tokens.tokens.offsets)));
  }
  return hash.Finish();
}

// Its weights as they are before training, and config.json, which says how they are computed with.
std::string HashOf(const Model& model, const std::string& folder) {
  Sha256 hash;
  hash.AddField(ReadJsonFile(folder + "/config.json").dump());
  for (const Parameter& parameter : model.parameters().parameters()) {
    hash.AddField(parameter.name);
    hash.Add(std::as_bytes(parameter.value.floats()));
  }
  return hash.Finish();
}

FineTuneData ReadData(const FineTuneOptions& options, FineTuneObserver& observer) {
  const auto note = [&](const LabelledTexts& texts) {
    for (const std::string& line : texts.notes) observer.OnNote(line);
  };
  LabelledTextsOptions reading = {.text_column = options.text_column, .label_column = options.target_column};
  FineTuneData data;
  LabelledTexts all = ReadLabelledTexts(options.data, reading);
  note(all);
  CheckTrainable(all);
  reading.label_names = all.label_names;
  if (!options.validation.empty()) {
    data.validation.texts = ReadLabelledTexts(options.validation, reading);
    note(data.validation.texts);
    data.train.texts = std::move(all);
  } else if (options.validation_split > 0) {
    const SplitRows rows = SplitStratified(all, options.validation_split, options.training.seed);
    data.train.texts = Subset(all, rows.train);
    data.validation.texts = Subset(all, rows.validation);
    observer.OnNote(fmt::format("{}: {} rows to train, {} to validate (stratified, seed {})", all.source, rows.train.size(), rows.validation.size(),
                                options.training.seed));
  } else {
    data.train.texts = std::move(all);
  }
  if (!options.test.empty()) {
    data.test.texts = ReadLabelledTexts(options.test, reading);
    note(data.test.texts);
  }
  return data;
}

std::vector<Finding> Check(const FineTuneData& data, size_t max_length) {
  std::vector<DataPart> parts = {{"train", &data.train.texts, data.train.num_truncated}};
  if (data.validation.texts.size() > 0) parts.push_back({"validation", &data.validation.texts, data.validation.num_truncated});
  if (data.test.texts.size() > 0) parts.push_back({"test", &data.test.texts, data.test.num_truncated});
  return CheckData(parts, {.max_length = max_length});
}

// What must be the same for a resumed run to give the bits of an unbroken one.
std::map<std::string, std::string> IdentityOf(const FineTuneOptions& options, const FineTuneData& data, const Model& model,
                                              const std::string& source, size_t max_length) {
  const TrainingOptions& t = options.training;
  return {{"version", GetBuildInfo().version},
          {"model", HashOf(model, source)},
          {"data", HashOf(data.train)},
          {"validation data", HashOf(data.validation)},
          {"tokenizer", HashOfTokens(data)},
          {"--epochs", fmt::format("{}", t.num_epochs)},
          {"--lr", fmt::format("{}", t.learning_rate)},
          {"--batch-size", fmt::format("{}", t.batch_size)},
          {"--max-grad-norm", fmt::format("{}", t.max_grad_norm)},
          {"--warmup", fmt::format("{}", t.warmup)},
          {"--weight-decay", fmt::format("{}", t.weight_decay)},
          {"--max-length", fmt::format("{}", max_length)},
          {"--seed", fmt::format("{}", t.seed)},
          {"--patience", fmt::format("{}", t.patience)},
          {"--freeze", fmt::format("{}", t.freeze)},
          {"--class-weights", fmt::format("{}", t.class_weights)}};
}

// Where the result goes, and what is there.
struct Output {
  std::string folder, checkpoint;
  bool resume = false;          // there is a checkpoint, and it is wanted
  bool maybe_finished = false;  // there is something else, which may be the result of this very run
};

// Whether it is a folder that holds nothing but what training itself puts there.
bool HoldsCheckpointAtMost(const std::string& folder) {
  if (!FolderExists(folder)) return false;
  const std::vector<std::string> names = NamesIn(folder);
  return names.empty() || names == std::vector<std::string>{"checkpoint"};
}

// Before an hour of training, not behind it.
Output CheckOutput(const FineTuneOptions& options) {
  Output output;
  output.folder = options.out;
  while (output.folder.size() > 1 && output.folder.back() == '/') output.folder.pop_back();
  output.checkpoint = output.folder + "/checkpoint";
  const bool exists = fs::exists(fs::symlink_status(output.folder)), has_checkpoint = FolderExists(output.checkpoint);
  if (exists && !options.overwrite && !options.resume)
    throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: exists already", output.folder),
                has_checkpoint ? "--resume goes on from its checkpoint, --overwrite begins anew" : "--overwrite replaces it");
  { const StagedFolder probe(output.folder, /*overwrite=*/true); }  // throws where no folder can be made or replaced
  for (const auto& [name, path] : {std::pair{"--data", options.data}, {"--validation", options.validation}, {"--test", options.test}})
    if (exists && LiesIn(path, output.folder))
      throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: {} {} lies in it and would be replaced with it", output.folder, name, path),
                  "choose another --out");
  if (exists && LiesIn(options.model, output.folder) && !LiesIn(output.folder, options.model))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: --model {} lies in it and would be replaced with it", output.folder, options.model),
                "choose another --out");
  StagedFolder::RemoveLeftovers(output.folder);
  if (exists) StagedFolder::RemoveLeftovers(output.checkpoint);
  output.resume = options.resume && has_checkpoint;
  output.maybe_finished = options.resume && exists && !has_checkpoint && !HoldsCheckpointAtMost(output.folder);
  return output;
}

ClassificationMetrics Measure(std::span<const float> logits, const Part& part) {
  const size_t num_labels = part.texts.label_names.size();
  const std::vector<int32_t> predicted = Argmax(logits, num_labels);
  std::vector<double> exact(part.tokens.size());
  kernels::CrossEntropy(logits.data(), part.tokens.labels.data(), exact.size(), num_labels, exact.data(), nullptr, nullptr);
  const std::vector<float> losses(exact.begin(), exact.end());
  return ComputeMetrics(part.tokens.labels, predicted, losses, part.texts.label_names);
}

// The last component of a path: what the card may say of where something was.
std::string NameOf(const std::string& path) {
  const fs::path given(path);
  return (given.has_filename() ? given : given.parent_path()).filename().string();
}

std::vector<std::pair<std::string, std::string>> ParametersOf(const FineTuneOptions& options, size_t max_length) {
  const TrainingOptions& t = options.training;
  return {{"epochs", fmt::format("{}", t.num_epochs)},
          {"learning rate", fmt::format("{}", t.learning_rate)},
          {"batch size", fmt::format("{}", t.batch_size)},
          {"warm-up", fmt::format("{}", t.warmup)},
          {"weight decay", fmt::format("{}", t.weight_decay)},
          {"max gradient norm", fmt::format("{}", t.max_grad_norm)},
          {"max length", fmt::format("{} tokens", max_length)},
          {"patience", fmt::format("{}", t.patience)},
          {"validation split", options.validation.empty() ? fmt::format("{}", options.validation_split) : "a file"},
          {"class weights", t.class_weights ? "yes" : "no"},
          {"frozen encoder", t.freeze ? "yes" : "no"},
          {"seed", fmt::format("{}", t.seed)}};
}

// What the model was made from, for programs.
std::string RecordJson(const FineTuneOptions& options, const FineTuneData& data, size_t max_length, const std::map<std::string, std::string>& identity,
                       const FineTuneResult& result) {
  nlohmann::ordered_json parts = nlohmann::ordered_json::array(), parameters = nlohmann::ordered_json::object();
  for (const auto& [name, part] : {std::pair{"train", &data.train}, {"validation", &data.validation}, {"test", &data.test}})
    if (part->texts.size() > 0)
      parts.push_back({{"name", name}, {"source", part->texts.source}, {"num_rows", part->texts.size()}, {"sha256", HashOf(*part)},
                       {"num_cut", part->num_truncated}});
  for (const auto& [name, value] : ParametersOf(options, max_length)) parameters[name] = value;
  nlohmann::ordered_json epochs = nlohmann::ordered_json::array();
  for (const EpochReport& epoch : result.training.epochs) {
    epochs.push_back({{"epoch", epoch.epoch}, {"train_loss", epoch.train_loss}});
    if (epoch.has_validation)
      epochs.back().update({{"validation_loss", epoch.validation_loss}, {"accuracy", epoch.accuracy}, {"macro_f1", epoch.macro_f1}});
  }
  const nlohmann::ordered_json record = {{"format_version", kRecordFormat},
                                         {"task", "text-classification"},
                                         {"mlac_version", GetBuildInfo().version},
                                         {"base_model", NameOf(options.model)},
                                         {"command", options.command},
                                         {"parameters", parameters},
                                         {"data", parts},
                                         {"epochs", epochs},
                                         {"best_epoch", result.training.best_epoch},
                                         {"evaluated_on", result.evaluated_on},
                                         {"identity", identity}};
  return record.dump(2) + "\n";
}

// Whether the folder is what a finished run with this identity wrote.
bool IsResultOf(const std::string& folder, const std::map<std::string, std::string>& identity) {
  const std::string path = folder + "/" + kRecordFile;
  if (!FileExists(path)) return false;
  const nlohmann::json record = ReadJsonFile(path);
  return record.is_object() && record.value("format_version", nlohmann::json()) == kRecordFormat &&
         record.value("identity", nlohmann::json()) == nlohmann::json(identity);
}

void WriteReport(const std::string& folder, const FineTuneOptions& options, const FineTuneData& data, const std::vector<Finding>& findings,
                 size_t max_length, const std::map<std::string, std::string>& identity, const FineTuneResult& result) {
  ModelCard card = {.base_model = NameOf(options.model), .license = "", .text_column = options.text_column, .label_column = options.target_column,
                    .max_length = max_length, .parts = {}, .findings = findings, .metrics = &result.metrics, .measured_on = result.evaluated_on,
                    .label_names = data.train.texts.label_names, .parameters = ParametersOf(options, max_length), .command = options.command,
                    .mlac_version = GetBuildInfo().version};
  for (const auto& [name, part] : {std::pair{"train", &data.train}, {"validation", &data.validation}, {"test", &data.test}})
    if (part->texts.size() > 0) card.parts.push_back({name, part->texts.source, part->texts.size()});
  const auto write = [&](const std::string& name, const std::string& content) { WriteFileAtomically(folder + "/" + name, content); };
  write(kModelCardFile, ModelCardMarkdown(card));
  write(kMetricsFile, MetricsJson(result.metrics));
  write(kRecordFile, RecordJson(options, data, max_length, identity, result));
  write(kLearningCurvesFile, LearningCurvesSvg(result.training));
  write(kConfusionMatrixFile, ConfusionMatrixSvg(result.metrics));
}

}  // namespace

FineTuneResult FineTuneClassifier(const FineTuneOptions& options, FineTuneObserver& observer, const std::atomic<bool>& stop) {
  const Output output = CheckOutput(options);
  const std::string source = TransformerFolder(options.model);
  FineTuneData data = ReadData(options, observer);
  const Tokenizer tokenizer = Tokenizer::Load(source);
  std::unique_ptr<Model> model = OpenModel(options.model, HeadRequest{.head = Head::kSequenceClassification,
                                                                      .num_labels = data.train.texts.label_names.size(),
                                                                      .fresh = true,
                                                                      .seed = options.training.seed});
  for (const Parameter& parameter : model->parameters().parameters())
    if (parameter.value.dtype() != DType::kF32)
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: '{}' is int8, which cannot be trained", options.model, parameter.name),
                  "train the model that it was made from, and optimise the result");
  tokenizer.CheckEmbeddingSize(model->vocab_size());
  const size_t max_length = FindLengthLimit(source, options.max_length, model->max_positions()).num_tokens;
  for (Part* part : {&data.train, &data.validation, &data.test}) Tokenize(tokenizer, max_length, *part);
  const std::vector<Finding> findings = Check(data, max_length);
  for (const Finding& finding : findings) observer.OnFinding(finding);
  observer.OnStart(data.train.texts.size(), data.validation.texts.size(), data.test.texts.size(), model->num_labels());

  const CheckpointOptions checkpoint = {.folder = output.checkpoint,
                                        .resume = output.resume,
                                        .resume_command = options.resume_command,
                                        .identity = IdentityOf(options, data, *model, source, max_length)};
  FineTuneResult result;
  if (output.maybe_finished) {
    if (!IsResultOf(output.folder, checkpoint.identity))
      throw Error(ErrorCode::kNotFound, fmt::format("{}: holds neither a checkpoint nor the result of this run", output.folder),
                  "--overwrite replaces it");
    observer.OnNote(fmt::format("{}: is the result of this run already; there is nothing left to train", output.folder));
    model = OpenModel(output.folder);
  } else {
    if (options.resume && !output.resume) observer.OnNote(fmt::format("{}: no checkpoint yet; this run begins at step 0", output.folder));
    result.training = TrainClassifier(*model, data.train.tokens, data.validation.tokens, options.training, checkpoint, observer, stop);
  }

  ThreadTeam team(options.training.num_threads);
  Run run({.team = &team, .tape = nullptr});
  const Part* measured = &data.train;
  result.evaluated_on = "train";
  if (data.test.texts.size() > 0) {
    measured = &data.test;
    result.evaluated_on = "test";
  } else if (data.validation.texts.size() > 0) {
    measured = &data.validation;
    result.evaluated_on = "validation";
  }
  result.metrics = Measure(Predict(*model, run, measured->tokens), *measured);
  if (output.maybe_finished) return result;

  StagedFolder staged(output.folder, options.overwrite || output.resume || HoldsCheckpointAtMost(output.folder));
  WriteModelFolder(staged.path(), *model, source, data.train.texts.label_names, max_length);
  WriteReport(staged.path(), options, data, findings, max_length, checkpoint.identity, result);
  staged.Commit();
  return result;
}

EvaluationResult EvaluateClassifier(const EvaluationOptions& options) {
  TextModel text_model(options.model, {.num_threads = options.num_threads, .max_length = options.max_length, .truncate = true,
                                       .dtype = options.dtype});
  if (text_model.model().head() != Head::kSequenceClassification) text_model.Logits({});  // throws what the model can do
  Part part;
  part.texts = ReadLabelledTexts(options.data, {.text_column = options.text_column, .label_column = options.target_column,
                                                .label_names = text_model.label_names()});
  Tokenize(text_model.tokenizer(), text_model.max_length(), part);
  const std::vector<float> logits = text_model.Logits(part.tokens.tokens);
  return {Measure(logits, part), part.num_truncated, text_model.max_length(), part.texts.notes, part.tokens.labels,
          Argmax(logits, part.texts.label_names.size())};
}

}  // namespace mlac
