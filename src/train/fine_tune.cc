#include "train/fine_tune.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>

#include "base/build_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sha256.h"
#include "data/split.h"
#include "data/texts.h"
#include "kernels/instruction_set.h"
#include "models/model_folder.h"
#include "text/length_limit.h"
#include "text/tokenizer.h"
#include "train/fine_tune_task.h"
#include "train/model_folder_writer.h"
#include "train/report_card.h"
#include "train/report_svg.h"
#include "train/training_notes.h"
#include "train/training_space.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

// The tasks that can be learnt: one line each.
struct TaskEntry {
  const char* name;
  std::unique_ptr<FineTuneTask> (*make)(const FineTuneOptions& options);
};
constexpr TaskEntry kTasks[] = {
    {"text-classification", MakeTextClassificationTask},
    {"token-classification", MakeTokenClassificationTask},
    {"question-answering", MakeQuestionAnsweringTask},
    {"fill-mask", MakeFillMaskTask},
    {"sentence-similarity", MakeSentenceSimilarityTask},
    {"text-ranking", MakeTextRankingTask},
};

std::unique_ptr<FineTuneTask> MakeFineTuneTask(const std::string& name, const FineTuneOptions& options) {
  for (const TaskEntry& task : kTasks)
    if (name == task.name) return task.make(options);
  throw Error(ErrorCode::kInvalidArgument, fmt::format("the task '{}' cannot be trained; known are {}", name, fmt::join(FineTuneTaskNames(), ", ")));
}

// Its weights as they are before training, and config.json, which says how they are computed with.
std::string HashOf(const Model& model, const std::string& folder) {
  Sha256 hash;
  hash.AddField(DumpJson(ReadJsonFile(folder + "/config.json")));
  for (const Parameter* parameter : model.parameters().All()) {
    hash.AddField(parameter->name);
    hash.Add(std::as_bytes(parameter->value.floats()));
  }
  return hash.Finish();
}

// "rank 8, alpha 16, dropout 0, of query and value"; "no" without one.
std::string ShownLora(const LoraOptions& lora) {
  if (lora.rank == 0) return "no";
  return fmt::format("rank {}, alpha {}, dropout {}, of {}", lora.rank, lora.Alpha(), lora.dropout,
                     lora.targets.empty() ? "queries and values" : fmt::format("{}", fmt::join(lora.targets, ", ")));
}

// "f32", or what multiplies bf16 here, whose bits differ: "bf16 amx", "bf16 avx512-bf16"; "bf16 rounded" in f32 products.
std::string ShownDtype(DType dtype) {
  if (dtype == DType::kF32) return "f32";
  const kernels::Bf16Path path = kernels::Bf16PathInUse();
  return path == kernels::Bf16Path::kNone ? "bf16 rounded" : fmt::format("bf16 {}", kernels::Name(path));
}

// What must be the same for a resumed run to give the bits of an unbroken one.
std::map<std::string, std::string> IdentityOf(const FineTuneOptions& options, const FineTuneTask& task, const Model& model, const std::string& source,
                                              size_t max_length) {
  const TrainingOptions& t = options.training;
  const std::array<PartSummary, 3> parts = task.parts();
  std::map<std::string, std::string> identity = {{"task", task.name()},
                                                 {"version", GetBuildInfo().version},
                                                 {"model", HashOf(model, source)},
                                                 {"data", parts[0].sha256},
                                                 {"validation data", parts[1].sha256},
                                                 {"tokenizer", task.token_hash()},
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
                                                 {"--gradient-accumulation", fmt::format("{}", t.gradient_accumulation)},
                                                 {"--layer-decay", fmt::format("{}", t.layer_decay)},
                                                 {"--lora", ShownLora(options.lora)},
                                                 {"--dtype", ShownDtype(t.dtype)}};
  for (const auto& [name, value] : task.parameters()) identity[name] = value;
  return identity;
}

// Where the result goes, and what is there.
struct OutputFolder {
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
OutputFolder CheckOutput(const FineTuneOptions& options) {
  OutputFolder output;
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
  if (exists && options.overwrite) CheckReplaceable(output.folder);
  StagedFolder::RemoveLeftovers(output.folder);
  if (exists) StagedFolder::RemoveLeftovers(output.checkpoint);
  output.resume = options.resume && has_checkpoint;
  output.maybe_finished = options.resume && exists && !has_checkpoint && !HoldsCheckpointAtMost(output.folder);
  return output;
}

// The last component of a path: what the card may say of where something was.
std::string NameOf(const std::string& path) {
  const fs::path given(path);
  return (given.has_filename() ? given : given.parent_path()).filename().string();
}

std::vector<std::pair<std::string, std::string>> ParametersOf(const FineTuneOptions& options, const FineTuneTask& task, size_t max_length) {
  const TrainingOptions& t = options.training;
  std::vector<std::pair<std::string, std::string>> parameters = {
      {"epochs", fmt::format("{}", t.num_epochs)},
      {"learning rate", fmt::format("{}", t.learning_rate)},
      {"batch size", fmt::format("{}", t.batch_size)},
      {"warm-up", fmt::format("{}", t.warmup)},
      {"weight decay", fmt::format("{}", t.weight_decay)},
      {"max gradient norm", fmt::format("{}", t.max_grad_norm)},
      {"max length", fmt::format("{} tokens", max_length)},
      {"patience", fmt::format("{}", t.patience)},
      {"validation split", options.validation.empty() ? fmt::format("{}", options.validation_split) : "a file"}};
  if (t.gradient_accumulation > 1) parameters.emplace_back("gradient accumulation", fmt::format("{} batches a step", t.gradient_accumulation));
  if (t.layer_decay < 1) parameters.emplace_back("layer decay", fmt::format("{}", t.layer_decay));
  if (options.lora.rank > 0) parameters.emplace_back("LoRA", ShownLora(options.lora));
  if (t.dtype != DType::kF32) parameters.emplace_back("products", ShownDtype(t.dtype));
  for (const auto& parameter : task.parameters()) parameters.push_back(parameter);
  parameters.emplace_back("frozen encoder", t.freeze ? "yes" : "no");
  parameters.emplace_back("seed", fmt::format("{}", t.seed));
  return parameters;
}

// What the model was made from, for programs.
std::string RecordJson(const FineTuneOptions& options, const FineTuneTask& task, size_t max_length, const std::map<std::string, std::string>& identity,
                       const FineTuneResult& result) {
  nlohmann::ordered_json parts = nlohmann::ordered_json::array(), parameters = nlohmann::ordered_json::object();
  for (const PartSummary& part : task.parts())
    if (part.num_rows > 0)
      parts.push_back({{"name", part.name}, {"source", part.source}, {"num_rows", part.num_rows}, {"sha256", part.sha256}, {"num_cut", part.num_cut}});
  for (const auto& [name, value] : ParametersOf(options, task, max_length)) parameters[name] = value;
  nlohmann::ordered_json epochs = nlohmann::ordered_json::array();
  for (const EpochReport& epoch : result.training.epochs) {
    epochs.push_back({{"epoch", epoch.epoch}, {"train_loss", epoch.train_loss}});
    if (!epoch.has_validation) continue;
    epochs.back()["validation_loss"] = epoch.validation.loss;
    for (const auto& [name, value] : epoch.validation.figures) epochs.back()[name] = value;
  }
  nlohmann::ordered_json reading = nlohmann::ordered_json::object();
  for (const auto& [name, value] : task.reading()) reading[name] = value;
  const nlohmann::ordered_json record = {{"format_version", kTrainingFormat},
                                         {"task", task.name()},
                                         {"mlac_version", GetBuildInfo().version},
                                         {"base_model", NameOf(options.model)},
                                         {"command", options.command},
                                         {"parameters", parameters},
                                         {"reading", reading},
                                         {"data", parts},
                                         {"epochs", epochs},
                                         {"best_epoch", result.training.best_epoch},
                                         {"notes", result.training.notes},
                                         {"evaluated_on", result.evaluated_on},
                                         {"identity", identity}};
  return DumpJson(record, 2) + "\n";
}

// Whether the folder is what a finished run with this identity wrote.
bool IsResultOf(const std::string& folder, const std::map<std::string, std::string>& identity) {
  const std::string path = folder + "/" + kTrainingFile;
  if (!FileExists(path)) return false;
  const nlohmann::json record = ReadJsonFile(path);
  return record.is_object() && record.value("format_version", nlohmann::json()) == kTrainingFormat &&
         record.value("identity", nlohmann::json()) == nlohmann::json(identity);
}

void WriteReport(const std::string& folder, const FineTuneOptions& options, const FineTuneTask& task, const std::vector<Finding>& findings,
                 size_t max_length, const std::map<std::string, std::string>& identity, const FineTuneResult& result) {
  ModelCard card = task.Card(result);
  card.notes = result.notes;
  card.base_model = NameOf(options.model);
  card.is_adapter = options.lora.rank > 0;
  card.max_length = max_length;
  card.findings = findings;
  card.measured_on = result.evaluated_on;
  card.parameters = ParametersOf(options, task, max_length);
  card.command = options.command;
  card.mlac_version = GetBuildInfo().version;
  for (const PartSummary& part : task.parts())
    if (part.num_rows > 0) card.parts.push_back({part.name, part.source, part.num_rows});
  const auto write = [&](const std::string& name, const std::string& content) { WriteFileAtomically(folder + "/" + name, content); };
  write(kModelCardFile, ModelCardMarkdown(card));
  write(kMetricsFile, result.metrics_json);
  write(kTrainingFile, RecordJson(options, task, max_length, identity, result));
  write(kLearningCurvesFile, LearningCurvesSvg(result.training));
  if (card.metrics != nullptr) write(kConfusionMatrixFile, ConfusionMatrixSvg(result.metrics));
}

void CheckCanBeTrained(const Model& model, const std::string& folder) {
  for (const Parameter* parameter : model.parameters().All())
    if (parameter->value.dtype() != DType::kF32)
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: '{}' is int8, which cannot be trained", folder, parameter->name),
                  "train the model that it was made from, and optimise the result");
}

// What learns, and the memory of its gradients and of AdamW's two moments beside what all weights would take.
std::string LoraNote(const Model& model, const LoraOptions& lora) {
  size_t num_learning = 0;
  for (const Parameter& parameter : model.parameters().parameters()) num_learning += parameter.value.num_elements();
  const size_t num_all = model.parameters().num_elements();
  const auto megabytes = [](size_t count) { return 3 * sizeof(float) * static_cast<double>(count) / 1e6; };
  return fmt::format("LoRA, {}: {} of {} weights learn ({:.2f} %) in {} layers and the head; gradients and moments take {:.1f} MB instead of {:.1f} MB",
                     ShownLora(lora), num_learning, num_all, 100.0 * static_cast<double>(num_learning) / static_cast<double>(num_all),
                     model.parameters().loras().size(), megabytes(num_learning), megabytes(num_all));
}

// What gradient checkpointing has saved.
void NoteMemory(const PassMemory& memory, FineTuneObserver& observer) {
  if (memory.without_recompute == 0) return;
  const auto megabytes = [](size_t num_bytes) { return static_cast<double>(num_bytes) / 1e6; };
  observer.OnNote(fmt::format("gradient checkpointing: intermediate results took up to {:.1f} MB; without it about {:.1f} MB", megabytes(memory.peak),
                              megabytes(memory.without_recompute)));
}

// What takes less memory, for a training that found none.
std::string MemoryHint(const FineTuneOptions& options) {
  const size_t size = options.training.batch_size;
  if (options.of_project)
    return fmt::format(
        "in train, max_tokens and gradient_checkpointing need less memory and change no bit of the result; a smaller batch_size (now {}) "
        "needs less, too",
        size);
  return fmt::format(
      "--max-tokens N and --gradient-checkpointing need less memory and change no bit of the result; a smaller --batch-size (now {}) needs "
      "less, too",
      size);
}

// Train, which knows nothing of options.
TrainingResult TrainWithHints(Model& model, Objective& objective, const FineTuneOptions& options, const CheckpointOptions& checkpoint,
                              FineTuneObserver& observer, const std::atomic<bool>& stop, const std::function<void(Run& run)>& measure) {
  try {
    return Train(model, objective, options.training, checkpoint, observer, stop, measure);
  } catch (const Error& error) {  // a full disk has the same code
    if (error.code() != ErrorCode::kResourceExhausted || !error.message().starts_with("out of memory")) throw;
    throw Error(error.code(), error.message(), MemoryHint(options));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kResourceExhausted, "out of memory", MemoryHint(options));
  }
}

// Of a finished run, what it was told of its training.
std::vector<std::string> NotesOfFinished(const std::string& folder) {
  const nlohmann::json record = ReadJsonFile(folder + "/" + kTrainingFile);
  std::vector<std::string> notes;
  if (const auto found = record.find("notes"); found != record.end() && found->is_array())
    for (const nlohmann::json& note : *found)
      if (note.is_string()) notes.push_back(note);
  return notes;
}

// Throws for what is wrong with the choice of what learns, whatever the data are. Returns the base of an adapter, or nullptr.
std::shared_ptr<Model> CheckWhatLearns(const FineTuneOptions& options, const FineTuneTask& task) {
  if (options.training.freeze && !task.can_freeze()) RefuseFrozenEncoder();
  if (options.lora.rank == 0) return nullptr;
  if (options.training.freeze) throw Error(ErrorCode::kInvalidArgument, "--lora and --freeze exclude each other");
  std::shared_ptr<Model> base = OpenBase(options.model);
  CheckCanBeTrained(*base, options.model);
  AdapterConfig unused;
  MakeAdapted(base, options.model, HeadRequest{}, options.lora, unused);  // of the encoder alone: the data say what head there will be
  return base;
}

// The model to train. base: of an adapter, or nullptr. adapter: what to write beside the weights of one.
std::unique_ptr<Model> OpenForTraining(const FineTuneOptions& options, const std::shared_ptr<Model>& base, const HeadRequest& head,
                                       AdapterConfig& adapter, FineTuneObserver& observer) {
  if (!base) {
    std::unique_ptr<Model> model = OpenModel(options.model, head);
    CheckCanBeTrained(*model, options.model);
    return model;
  }
  std::unique_ptr<Model> model = MakeAdapted(base, options.model, head, options.lora, adapter);
  CheckCanBeTrained(*model, options.model);
  adapter.base_model = NameOf(options.model);
  observer.OnNote(LoraNote(*model, options.lora));
  return model;
}

// What was not learnt: of its answers, then of the training.
void TellNotes(FineTuneResult& result, FineTuneObserver& observer) {
  result.notes = NotesOnAnswers(result.metrics, result.figures);
  result.notes.insert(result.notes.end(), result.training.notes.begin(), result.training.notes.end());
  for (const std::string& note : result.notes) observer.OnNote(note);
}

// What follows the model in a command that asks it.
std::string UsageOf(const ModelCard& card) { return card.arguments + card.usage_options; }

}  // namespace

std::vector<std::string> FineTuneTaskNames() {
  std::vector<std::string> names;
  for (const TaskEntry& task : kTasks) names.emplace_back(task.name);
  return names;
}

size_t TokenizeTexts(const Tokenizer& tokenizer, size_t max_length, const LabelledTexts& texts, TokenBatch& tokens) {
  const EncodeOptions options = {.max_length = max_length, .truncate = true};
  size_t num_cut = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Encoding encoding =
        texts.pairs.empty() ? tokenizer.Encode(texts.texts[i], options) : tokenizer.EncodePair(texts.texts[i], texts.pairs[i], options);
    if (encoding.token_ids.empty()) RefuseTextWithoutTokens(texts.Place(i));
    Append(encoding, tokens);
    num_cut += encoding.truncated;
  }
  return num_cut;
}

void SplitOffValidation(const FineTuneOptions& options, LabelledTexts all, LabelledTexts& train, LabelledTexts& validation, FineTuneObserver& observer) {
  if (options.validation_split <= 0) {
    train = std::move(all);
    return;
  }
  const SplitRows rows = SplitStratified(all, options.validation_split, options.training.seed);
  train = Subset(all, rows.train);
  validation = Subset(all, rows.validation);
  observer.OnNote(fmt::format("{}: {} rows to train, {} to validate ({}seed {})", all.source, rows.train.size(), rows.validation.size(),
                              all.targets.empty() ? "stratified, " : "", options.training.seed));
}

void NoteDivision(const std::string& source, const std::string& rows, const SplitRows& split, uint64_t seed, FineTuneObserver& observer) {
  observer.OnNote(fmt::format("{}: {} {} to train, {} to validate (seed {})", source, split.train.size(), rows, split.validation.size(), seed));
}

std::string HashOfTexts(const LabelledTexts& texts) {
  Sha256 hash;
  for (size_t i = 0; i < texts.size(); ++i) {
    hash.AddField(texts.texts[i]);
    if (!texts.pairs.empty()) hash.AddField(texts.pairs[i]);
    hash.AddField(texts.targets.empty() ? texts.label_names[static_cast<size_t>(texts.labels[i])] : texts.targets[i]);
  }
  return hash.Finish();
}

std::string HashOfTokens(const TokenBatch& train, const TokenBatch& validation) {
  Sha256 hash;
  for (const TokenBatch* tokens : {&train, &validation}) {
    hash.Add(std::as_bytes(std::span(tokens->token_ids)));
    hash.Add(std::as_bytes(std::span(tokens->token_type_ids)));
    hash.Add(std::as_bytes(std::span(tokens->offsets)));
  }
  return hash.Finish();
}

FineTuneResult FineTune(const std::string& task_name, const FineTuneOptions& options, FineTuneObserver& observer, const std::atomic<bool>& stop) {
  const std::unique_ptr<FineTuneTask> task = MakeFineTuneTask(task_name, options);
  const OutputFolder output = CheckOutput(options);
  const std::string source = TransformerFolder(options.model);
  const std::shared_ptr<Model> base = CheckWhatLearns(options, *task);
  const auto check_stop = [&stop] {
    if (stop) throw Error(ErrorCode::kCancelled, "interrupted");
  };
  task->Read(options, observer);
  check_stop();
  const Tokenizer tokenizer = Tokenizer::Load(source);
  HeadRequest head = task->head();
  head.fresh = true;
  head.seed = options.training.seed;
  AdapterConfig adapter;
  std::unique_ptr<Model> model = OpenForTraining(options, base, head, adapter, observer);
  tokenizer.CheckEmbeddingSize(model->vocab_size());
  const size_t max_length = FindLengthLimit(source, options.max_length, model->max_positions()).num_tokens;
  CheckHoldsText(tokenizer, options.max_length);
  task->Tokenize(tokenizer, max_length);
  check_stop();
  const std::vector<Finding> findings = task->Check(max_length);
  for (const Finding& finding : findings) observer.OnFinding(finding);
  const std::array<PartSummary, 3> parts = task->parts();
  const size_t measured = parts[2].num_rows > 0 ? 2 : parts[1].num_rows > 0 ? 1 : 0;
  if (const std::optional<Finding> few = FewExamples(parts[measured].name, parts[measured].num_rows)) observer.OnFinding(*few);
  observer.OnStart(parts[0].num_rows, parts[1].num_rows, parts[2].num_rows, task->label_names().size());

  const CheckpointOptions checkpoint = {.folder = output.checkpoint,
                                        .resume = output.resume,
                                        .resume_command = options.resume_command,
                                        .identity = IdentityOf(options, *task, *model, source, max_length)};
  FineTuneResult result;
  result.evaluated_on = parts[measured].name;
  const auto measure = [&](Run& run) { task->Measure(*model, run, measured, check_stop, result); };
  if (output.maybe_finished) {
    if (!IsResultOf(output.folder, checkpoint.identity))
      throw Error(ErrorCode::kNotFound, fmt::format("{}: holds neither a checkpoint nor the result of this run", output.folder),
                  "--overwrite replaces it");
    observer.OnNote(fmt::format("{}: is the result of this run already; there is nothing left to train", output.folder));
    model = base ? OpenAdapted(base, options.model, output.folder) : OpenModel(output.folder);
    ThreadTeam team(options.training.num_threads);
    Run run({.team = &team, .tape = nullptr});
    measure(run);
    result.training.notes = NotesOfFinished(output.folder);
    TellNotes(result, observer);
    result.usage = UsageOf(task->Card(result));
    return result;
  }
  if (options.resume && !output.resume) observer.OnNote(fmt::format("{}: no checkpoint yet; this run begins at step 0", output.folder));
  const std::unique_ptr<Objective> objective = task->MakeObjective(*model);
  CheckSpace(SpaceOf(*model, options.training, objective->num_examples(), objective->num_validation_examples() > 0, options.lora.rank > 0,
                     output.resume),
             output.folder, options.free_bytes, options.of_project);
  result.training = TrainWithHints(*model, *objective, options, checkpoint, observer, stop, measure);
  NoteMemory(result.training.memory, observer);
  result.training.notes = NotesOnTraining(result.training, options.training, model->parameters().num_elements(),
                                          options.lora.rank > 0 || options.training.freeze, options.of_project);
  TellNotes(result, observer);
  result.usage = UsageOf(task->Card(result));

  StagedFolder staged(output.folder, options.overwrite || output.resume || HoldsCheckpointAtMost(output.folder));
  WriteModelFolder(staged.path(), *model, source, task->label_names(), task->problem_type(), max_length, options.lora.rank > 0 ? &adapter : nullptr);
  task->Complete(staged.path(), *model, max_length);
  WriteReport(staged.path(), options, *task, findings, max_length, checkpoint.identity, result);
  staged.Commit();
  return result;
}

std::vector<Finding> CheckFineTuneData(const std::string& task_name, const FineTuneOptions& options, FineTuneObserver& observer) {
  const std::unique_ptr<FineTuneTask> task = MakeFineTuneTask(task_name, options);
  task->Read(options, observer);
  return task->Check(/*max_length=*/0);
}

ModelCard CardOfTask(const std::string& task_name, const FineTuneOptions& options, FineTuneObserver& observer, const FineTuneResult& result) {
  const std::unique_ptr<FineTuneTask> task = MakeFineTuneTask(task_name, options);
  task->Read(options, observer);
  const std::string source = TransformerFolder(options.model);
  const Tokenizer tokenizer = Tokenizer::Load(source);
  task->Tokenize(tokenizer, FindLengthLimit(source, options.max_length, /*max_position_embeddings=*/0).num_tokens);
  return task->Card(result);
}

}  // namespace mlac
