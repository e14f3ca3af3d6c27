#include "train/fine_tune.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
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
  part.tokens.lines = part.texts.lines;
}

std::string HashOf(const LabelledTexts& texts) {
  Sha256 hash;
  for (size_t i = 0; i < texts.size(); ++i) {
    hash.AddField(texts.texts[i]);
    hash.AddField(texts.label_names[static_cast<size_t>(texts.labels[i])]);
  }
  return hash.Finish();
}

std::string HashOf(const Model& model) {
  Sha256 hash;
  for (const Parameter& parameter : model.parameters().parameters()) {
    hash.AddField(parameter.name);
    hash.Add(std::as_bytes(parameter.value.floats()));
  }
  return hash.Finish();
}

struct FineTuneData {
  Part train, validation, test;
};

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
std::map<std::string, std::string> IdentityOf(const FineTuneOptions& options, const FineTuneData& data, const Model& model, size_t max_length) {
  const TrainingOptions& t = options.training;
  return {{"version", GetBuildInfo().version},
          {"model", HashOf(model)},
          {"data", HashOf(data.train.texts)},
          {"validation", HashOf(data.validation.texts)},
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

// Before an hour of training, not behind it.
void CheckOutput(const FineTuneOptions& options) {
  const fs::path out(options.out);
  const bool exists = fs::exists(fs::symlink_status(out)), has_checkpoint = FolderExists(options.out + "/checkpoint");
  if (exists && !options.overwrite && !options.resume)
    throw Error(ErrorCode::kAlreadyExists, fmt::format("{}: exists already", options.out),
                has_checkpoint ? "--resume goes on from its checkpoint, --overwrite begins anew" : "--overwrite replaces it");
  const std::string parent = out.has_parent_path() ? fs::path(options.out).parent_path().string() : ".";
  if (!FolderExists(parent)) throw Error(ErrorCode::kNotFound, fmt::format("{}: there is no such folder", parent), "--out is made inside an existing one");
  if (access(parent.c_str(), W_OK) != 0) throw Error(ErrorCode::kIo, fmt::format("{}: may not be written to", parent));
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
std::string RecordJson(const FineTuneOptions& options, const FineTuneData& data, size_t max_length, const FineTuneResult& result) {
  constexpr int kFormat = 1;
  nlohmann::ordered_json parts = nlohmann::ordered_json::array(), parameters = nlohmann::ordered_json::object();
  for (const auto& [name, part] : {std::pair{"train", &data.train}, {"validation", &data.validation}, {"test", &data.test}})
    if (part->texts.size() > 0)
      parts.push_back({{"name", name}, {"source", part->texts.source}, {"num_rows", part->texts.size()}, {"sha256", HashOf(part->texts)},
                       {"num_cut", part->num_truncated}});
  for (const auto& [name, value] : ParametersOf(options, max_length)) parameters[name] = value;
  nlohmann::ordered_json epochs = nlohmann::ordered_json::array();
  for (const EpochReport& epoch : result.training.epochs) {
    epochs.push_back({{"epoch", epoch.epoch}, {"train_loss", epoch.train_loss}});
    if (epoch.has_validation)
      epochs.back().update({{"validation_loss", epoch.validation_loss}, {"accuracy", epoch.accuracy}, {"macro_f1", epoch.macro_f1}});
  }
  const nlohmann::ordered_json record = {{"format_version", kFormat},
                                         {"task", "text-classification"},
                                         {"mlac_version", GetBuildInfo().version},
                                         {"base_model", NameOf(options.model)},
                                         {"command", options.command},
                                         {"parameters", parameters},
                                         {"data", parts},
                                         {"epochs", epochs},
                                         {"best_epoch", result.training.best_epoch},
                                         {"evaluated_on", result.evaluated_on}};
  return record.dump(2) + "\n";
}

void WriteReport(const std::string& folder, const FineTuneOptions& options, const FineTuneData& data, const std::vector<Finding>& findings,
                 size_t max_length, const FineTuneResult& result) {
  ModelCard card = {.base_model = NameOf(options.model), .license = "", .text_column = options.text_column, .label_column = options.target_column,
                    .max_length = max_length, .parts = {}, .findings = findings, .metrics = &result.metrics, .measured_on = result.evaluated_on,
                    .label_names = data.train.texts.label_names, .parameters = ParametersOf(options, max_length), .command = options.command,
                    .mlac_version = GetBuildInfo().version};
  for (const auto& [name, part] : {std::pair{"train", &data.train}, {"validation", &data.validation}, {"test", &data.test}})
    if (part->texts.size() > 0) card.parts.push_back({name, part->texts.source, part->texts.size()});
  const auto write = [&](const std::string& name, const std::string& content) { WriteFileAtomically(folder + "/" + name, content); };
  write(kModelCardFile, ModelCardMarkdown(card));
  write(kMetricsFile, MetricsJson(result.metrics));
  write("training.json", RecordJson(options, data, max_length, result));
  write(kLearningCurvesFile, LearningCurvesSvg(result.training));
  write(kConfusionMatrixFile, ConfusionMatrixSvg(result.metrics));
}

}  // namespace

FineTuneResult FineTuneClassifier(const FineTuneOptions& options, FineTuneObserver& observer, const std::atomic<bool>& stop) {
  CheckOutput(options);
  const std::string source = TransformerFolder(options.model);
  FineTuneData data = ReadData(options, observer);
  const Tokenizer tokenizer = Tokenizer::Load(source);
  const std::unique_ptr<Model> model = OpenModel(options.model, HeadRequest{.head = Head::kSequenceClassification,
                                                                            .num_labels = data.train.texts.label_names.size(),
                                                                            .fresh = true,
                                                                            .seed = options.training.seed});
  tokenizer.CheckEmbeddingSize(model->vocab_size());
  const size_t max_length = FindLengthLimit(source, options.max_length, model->max_positions()).num_tokens;
  for (Part* part : {&data.train, &data.validation, &data.test}) Tokenize(tokenizer, max_length, *part);
  const std::vector<Finding> findings = Check(data, max_length);
  for (const Finding& finding : findings) observer.OnFinding(finding);
  observer.OnStart(data.train.texts.size(), data.validation.texts.size(), data.test.texts.size(), model->num_labels());

  const CheckpointOptions checkpoint = {.folder = options.out + "/checkpoint",
                                        .resume = options.resume,
                                        .identity = IdentityOf(options, data, *model, max_length)};
  FineTuneResult result;
  result.training = TrainClassifier(*model, data.train.tokens, data.validation.tokens, options.training, checkpoint, observer, stop);

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
  result.metrics = Measure(Predict(*model, run, measured->tokens.tokens), *measured);

  StagedFolder staged(options.out, /*overwrite=*/options.overwrite || options.resume || FolderExists(options.out));
  WriteModelFolder(staged.path(), *model, source, data.train.texts.label_names, max_length);
  WriteReport(staged.path(), options, data, findings, max_length, result);
  staged.Commit();
  return result;
}

EvaluationResult EvaluateClassifier(const EvaluationOptions& options) {
  TextModel text_model(options.model, {.num_threads = options.num_threads, .max_length = options.max_length, .truncate = true});
  if (text_model.model().head() != Head::kSequenceClassification) text_model.Logits({});  // throws what the model can do
  Part part;
  part.texts = ReadLabelledTexts(options.data, {.text_column = options.text_column, .label_column = options.target_column,
                                                .label_names = text_model.label_names()});
  Tokenize(text_model.tokenizer(), text_model.max_length(), part);
  return {Measure(text_model.Logits(part.tokens.tokens), part), part.num_truncated, text_model.max_length(), part.texts.notes};
}

}  // namespace mlac
