// mlac train TASK: a model folder from a model folder and labelled data.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/number_options.h"
#include "cli/progress.h"
#include "cli/store_access.h"
#include "cli/terminal.h"
#include "cli/tracking.h"
#include "http/client.h"
#include "project/tracked_training.h"
#include "train/fine_tune.h"
#include "train/report_card.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

struct TrainOptions {
  FineTuneOptions fine_tune;
  std::optional<size_t> max_length;
  std::string distance = "euclidean", matryoshka;
  std::string lora_targets;  // apart by commas
  std::string track;
  DtypeOptions dtype;
  bool json = false, multi_label = false, regression = false;
};

// "macro-F1" of "macro_f1", "nDCG@10" of "ndcg_at_10".
std::string ShownName(std::string name) {
  name = FigureTitle(std::move(name));
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

class Console : public FineTuneObserver {
 public:
  void OnNote(const std::string& note) override { progress_.Line(note); }

  void OnFinding(const Finding& finding) override {
    progress_.Line(finding.severity == Severity::kWarning ? Colored(Stream::kError, Color::kYellow, FindingLine(finding)) : FindingLine(finding));
  }

  void OnStart(size_t num_train, size_t num_validation, size_t num_test, size_t num_labels) override {
    progress_.Line(fmt::format("{}{} texts to train{}{}", num_labels > 1 ? fmt::format("{} labels; ", num_labels) : "", num_train,
                               num_validation > 0 ? fmt::format(", {} to validate", num_validation) : "",
                               num_test > 0 ? fmt::format(", {} to test", num_test) : ""));
    begin_ = std::chrono::steady_clock::now();
  }

  void OnResume(size_t step) override { progress_.Line(fmt::format("resumed from the checkpoint of step {}", step)); }

  void OnStep(const StepReport& step) override {
    num_examples_ += step.num_examples;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    progress_.Update(step.step, step.num_steps, fmt::format("epoch {}, loss {:.3f}{}", step.epoch, step.epoch_loss, metric_),
                     fmt::format("{:.0f} examples/s", static_cast<double>(num_examples_) / std::max(seconds, 1e-9)));
  }

  void OnSpike(const SpikeReport& spike) override {
    progress_.Line(Colored(Stream::kError, Color::kYellow,
                           fmt::format("warning: step {}: the loss is {:.3f}, usual is {:.3f}; longest is the gradient of '{}'; the batch is {}",
                                       spike.step, spike.loss, spike.usual_loss, spike.parameter, spike.places)));
  }

  void OnEpoch(const EpochReport& epoch) override {
    std::string line = fmt::format("epoch {}: train loss {:.4f}", epoch.epoch, epoch.train_loss);
    if (epoch.has_validation) {
      const auto& figures = epoch.validation.figures;
      line += fmt::format(", validation loss {:.4f}", epoch.validation.loss);
      for (size_t i = 0; i < std::min<size_t>(figures.size(), 2); ++i) line += fmt::format(", {} {:.4f}", ShownName(figures[i].first), figures[i].second);
      if (epoch.best) line += " (best so far)";
      const size_t shown = figures.size() > 1 && figures[1].first == "macro_f1" ? 1 : 0;
      if (!figures.empty()) metric_ = fmt::format(", {} {:.3f}", ShownName(figures[shown].first), figures[shown].second);
    }
    progress_.Line(line);
  }

  void OnCheckpoint(size_t step, const std::string& folder) override { progress_.Line(fmt::format("checkpoint of step {} in {}", step, folder)); }

  void OnEarlyStop(size_t epoch) override {
    progress_.Line(fmt::format("no better score and no lower loss of the validation: stopped after epoch {}", epoch));
  }

 private:
  Progress progress_{"step"};
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  size_t num_examples_ = 0;
  std::string metric_;
};

std::string FileName(const std::string& path) {
  const std::filesystem::path given(path);
  return (given.has_filename() ? given : given.parent_path()).filename().string();
}

// Whether the value is what holds without the option. Numbers that were given are in their plainest form, those of the help are not.
bool IsDefault(Option option, const std::string& value, const FineTuneOptions& options) {
  const std::string name = option.name();
  std::string usual = option.default_text();
  if (options.lora.rank > 0 && name == "lr") usual = fmt::format("{}", kLoraLearningRate);
  if (name == "lora-alpha") usual = fmt::format("{}", 2 * options.lora.rank);
  const std::optional<double> number = ParseNumber(value);
  return value == usual || (number && number == ParseNumber(usual));
}

// The command as the card shows it, so that it is one for one result: what changes that, in the order of the help, without defaults; names
// of files without their paths.
std::string CardCommand(Command command, const FineTuneOptions& options) {
  std::string text = "mlac train " + command.name();
  for (const Option option : command.options()) {
    if (!option.given()) continue;
    const std::string name = option.name();
    if (name == "threads" || name == "resume" || name == "overwrite" || name == "json" || name == "save-steps" || name == "max-tokens" ||
        name == "gradient-checkpointing" || name == "track")
      continue;
    if (option.is_flag() && !option.is_on()) continue;
    const std::string value = option.is_flag() ? "" : option.value();
    if (!option.is_flag() && IsDefault(option, value, options)) continue;
    text += " --" + name;
    if (option.is_flag()) continue;
    const bool is_path = name == "model" || name == "data" || name == "validation" || name == "test";
    text += ' ' + (name == "out" ? "OUT" : ShellQuoted(is_path ? FileName(value) : value));
  }
  return text;
}

// What a user types to go on after an interruption: the same, with --resume.
std::string ResumeCommand(Command command) {
  std::string text = "mlac train " + command.name();
  for (const Option option : command.typed()) {
    const std::string name = option.name();
    if (name == "resume" || name == "overwrite" || (option.is_flag() && !option.is_on())) continue;
    text += " --" + name;
    if (option.is_flag()) continue;
    const std::string value = option.value();
    text += " " + ShellQuoted(name == "track" ? ShownUrl(value) : value);  // a URL may hold a password
  }
  return text + " --resume";
}

void AddDataOptions(Command command, FineTuneOptions& options, const char* data) {
  command.AddOption("--data", options.data, data).Required().Type("FILE");
  const Option validation = command.AddOption("--validation", options.validation, "Texts to choose the best epoch by").Type("FILE");
  const Option split = command.AddOption("--validation-split", options.validation_split,
                                         "Share of --data set aside for that; 0: none, the last epoch is kept");
  RealNumber(split.Type("SHARE").ShowDefault().Excludes(validation), 0, 0.9);
  command.AddOption("--test", options.test, "Texts for the final report, never trained on").Type("FILE");
}

void AddTextClassificationOptions(Command command, TrainOptions& options) {
  FineTuneOptions& fine_tune = options.fine_tune;
  command.AddOption("--text-column", fine_tune.text_column, "The column of texts").Type("NAME").ShowDefault();
  command.AddOption("--text-pair-column", fine_tune.text_pair_column, "The column of second texts, each read together with the first").Type("NAME");
  command.AddOption("--target-column", fine_tune.target_column, "The column of labels, or of numbers").Type("NAME").ShowDefault();
  command.AddFlag("--skip-unlabelled", fine_tune.skip_unlabelled, "Leave out rows without a label instead of refusing the file");
  command.AddFlag("--multi-label", options.multi_label, "A text may have several labels, or none: a list in JSONL, else apart by --label-separator");
  command.AddOption("--label-separator", fine_tune.label_separator, "What stands between the labels of a cell").Type("TEXT").ShowDefault();
  command.AddFlag("--regression", options.regression, "The column holds numbers to predict");
  command.AddFlag("--class-weights", fine_tune.sequence.class_weights, "Rare labels weigh as much as frequent ones");
  const Option smoothing = command.AddOption("--label-smoothing", fine_tune.sequence.label_smoothing,
                                             "Share of each label that goes to all labels alike; 0.1 is usual, 0: none");
  RealNumber(smoothing.Type("X").ShowDefault(), 0, 0.9);
}

void AddTokenClassificationOptions(Command command, TagColumns& columns) {
  command.AddOption("--text-column", columns.words, "Of .jsonl: the list of words; else tokens, or words").Type("NAME");
  command.AddOption("--target-column", columns.tags, "Of .jsonl: the list of their tags; else tags, ner_tags or labels").Type("NAME");
}

void AddQuestionAnsweringOptions(Command command, FineTuneOptions& options) {
  const Option stride = command.AddOption("--doc-stride", options.doc_stride,
                                          "Tokens that a window shares with the one before; else 128, at most half a window; 0: none");
  WholeNumber(stride.Type("N"), 0);
  const Option answer =
      command.AddOption("--max-answer-length", options.max_answer_length, "Tokens that an answer may have when the model is measured");
  WholeNumber(answer.Type("N").ShowDefault(), 1, 1 << 20);
}

void AddFillMaskOptions(Command command, FineTuneOptions& options) {
  command.AddOption("--text-column", options.text_column, "The column of texts").Type("NAME").ShowDefault();
  const Option probability =
      command.AddOption("--mlm-probability", options.masking.probability, "Share of the tokens that are taken out to be guessed");
  RealNumber(probability.Type("SHARE").ShowDefault(), 0.01, 0.9);
  command.AddFlag("--whole-word-mask", options.masking.whole_words, "Take out whole words, all their pieces, instead of single tokens");
  command.AddFlag("--line-by-line", options.masking.line_by_line, "Read each text by itself instead of joining texts to blocks of --max-length tokens");
}

// Columns of texts that are read together or compared. first, second, score: what they hold, and the names that are recognised.
void AddTupleColumns(Command command, TupleColumns& columns, const std::string& first, const std::string& second, const std::string& score) {
  command.AddOption("--text-column", columns.first, first).Type("NAME");
  command.AddOption("--text-pair-column", columns.second, second).Type("NAME");
  command.AddOption("--negative-column", columns.negative, "The column of texts that do not belong to it; else negative").Type("NAME");
  command.AddOption("--target-column", columns.score, score).Type("NAME");
}

void AddSentenceSimilarityOptions(Command command, TrainOptions& options) {
  FineTuneOptions& fine_tune = options.fine_tune;
  EmbeddingObjectiveOptions& embedding = fine_tune.embedding;
  AddTupleColumns(command, fine_tune.tuple_columns, "The column of anchors; else the first there is of anchor, query, question, sentence1, text1, text",
                  "The column of texts that belong to them; else positive, answer, document, passage, sentence2, text2 or text_pair",
                  "The column of scores, if there is one; else score, label or similarity");
  command.AddOption("--loss", fine_tune.loss, "multiple-negatives-ranking (usual for pairs and triples), cosent (for scored pairs) or triplet (of triples)")
      .Type("NAME")
      .OneOfDescribed({"multiple-negatives-ranking", "cosent", "triplet"});
  const Option scale = command.AddOption("--scale", embedding.scale, "What cosines are multiplied by; not of triplet");
  RealNumber(scale.Type("X").ShowDefault(), 1e-3, 1e3);
  const Option margin = command.AddOption("--margin", embedding.margin, "Of triplet: how much farther the negative is to be than the positive");
  RealNumber(margin.Type("X").ShowDefault(), 0, 1e3);
  command.AddOption("--distance", options.distance, "Of triplet: euclidean or cosine")
      .Type("NAME")
      .OneOfDescribed({"euclidean", "cosine"})
      .ShowDefault();
  command.AddOption("--matryoshka", options.matryoshka, "Sizes that vectors may be cut to later, such as 384,128,64: each learns alike")
      .Type("SIZES");
}

void AddTextRankingOptions(Command command, FineTuneOptions& options) {
  AddTupleColumns(command, options.tuple_columns, "The column of queries; else the first there is of anchor, query, question, sentence1, text1, text",
                  "The column of documents; else positive, answer, document, documents, passage, sentence2, text2 or text_pair",
                  "The column of scores from 0 to 1; else score, label or similarity");
}

void AddTrainingOptions(Command command, TrainingOptions& options) {
  const auto number = [&](const char* name, double& value, double low, double high, const char* description) {
    RealNumber(command.AddOption(name, value, description).Type("X").ShowDefault(), low, high);
  };
  const auto count = [&](const char* name, auto& value, uint64_t low, const char* description, uint64_t high = kMostCounted) {
    WholeNumber(command.AddOption(name, value, description).Type("N").ShowDefault(), low, high);
  };
  count("--epochs", options.num_epochs, 1, "Times that each text is seen");
  number("--lr", options.learning_rate, 0, 1, "Highest learning rate; with --lora 0.0005 unless it is given");
  count("--batch-size", options.batch_size, 1, "Texts a step");
  number("--max-grad-norm", options.max_grad_norm, 0, 1e9, "Longer gradients are scaled to this length; 0: never");
  count("--save-steps", options.save_steps, 0, "A checkpoint every N steps; 0: only when interrupted");
  count("--max-tokens", options.max_tokens, 0, "Tokens computed at once, to save memory; 0: all of a batch; the result does not change");
  number("--warmup", options.warmup, 0, 1, "Share of the steps in which the learning rate rises");
  number("--weight-decay", options.weight_decay, 0, 1, "Decay of weights, biases and norms excepted");
  count("--patience", options.patience, 0,
        "Epochs behind the warm-up without a better score or a lower loss of the validation before it stops; 0: never");
  count("--gradient-accumulation", options.gradient_accumulation, 1,
        "Batches a step: the result of one batch so many times as large, in the memory of one");
  command.AddFlag("--gradient-checkpointing", options.gradient_checkpointing,
                  "Keep only the input of each layer and compute the rest again for the gradients: less memory, more time; the result does not change");
  number("--layer-decay", options.layer_decay, 1e-6, 1, "The learning rate of a layer is that of the one above times this; 0.9 is usual");
  count("--seed", options.seed, 0, "Decides the order, the dropout and the new head", std::numeric_limits<uint64_t>::max());
}

// "384,128,64" of --matryoshka.
std::vector<size_t> ReadSizes(const std::string& text) {
  std::vector<size_t> sizes;
  for (const std::string& item : Split(text, ',')) {
    const std::optional<uint64_t> size = ParseWholeNumber(item, 1);
    if (!size) throw UsageError(fmt::format("--matryoshka: expected sizes such as 384,128,64, found '{}'", text));
    sizes.push_back(*size);
  }
  return sizes;
}

void AddLoraOptions(Command command, LoraOptions& options, std::string& targets) {
  const Option lora = command.AddOption("--lora", options.rank,
                                        "Only a low-rank adapter of this rank and the head learn, and are written in PEFT's format; 8 is usual");
  WholeNumber(lora.Type("RANK"), 1, 4096);
  RealNumber(command.AddOption("--lora-alpha", options.alpha, "The adapter counts alpha / rank times; else twice the rank")
                 .Type("X")
                 .Needs(lora),
             1e-6, 1e6);
  const Option dropout = command.AddOption("--lora-dropout", options.dropout, "Share of its inputs that is dropped");
  RealNumber(dropout.Type("SHARE").ShowDefault().Needs(lora), 0, 0.9);
  command.AddOption("--lora-targets", targets, "Layers that it adapts, by the ends of their names; else queries and values; all-linear: all")
      .Type("NAME,NAME")
      .Needs(lora);
}

FineTuneResult TrainTracked(const std::string& task, const FineTuneOptions& options, const std::optional<MlflowOptions>& mlflow) {
  Console console;
  if (!mlflow) return FineTune(task, options, console, CatchInterrupts());
  MlflowRun run(*mlflow, FileName(options.out), ParametersOfRun(task, options), TagsOfRun("mlac train " + task, "."));
  TrackedTraining<FineTuneObserver> tracked(console);
  tracked.Track(&run);
  try {
    FineTuneResult result = FineTune(task, options, tracked, CatchInterrupts());
    LogResult(run, result, options.out, tracked.last_step());
    run.Finish(MlflowRun::Status::kFinished);
    if (const std::string page = run.Page(); !page.empty()) console.OnNote("tracked: " + page);
    return result;
  } catch (const Error& error) {
    run.LogTags({{"mlac.error", error.message()}});
    run.Finish(error.code() == ErrorCode::kCancelled ? MlflowRun::Status::kKilled : MlflowRun::Status::kFailed);
    throw;
  }
}

// Options without effect would leave the user with another model than they think.
void CheckHasEffect(Command command, const TrainOptions& options) {
  if (command.Given("--label-separator") && !options.multi_label) throw UsageError("--label-separator does nothing without --multi-label");
  const bool triplet = options.fine_tune.loss == "triplet";
  for (const char* name : {"--margin", "--distance"})
    if (command.Given(name) && !triplet) throw UsageError(fmt::format("{} does nothing without --loss triplet", name));
  if (command.Given("--scale") && triplet)
    throw UsageError("--scale does nothing with --loss triplet", "it multiplies the cosines of the other losses");
}

// metrics.json with the notes behind its last member.
std::string WithNotes(const FineTuneResult& result) {
  nlohmann::json notes = nlohmann::json::array();
  for (const std::string& note : result.notes) notes.push_back(note);
  const size_t end = result.metrics_json.rfind("\n}");
  return result.metrics_json.substr(0, end) + ",\n  \"notes\": " + DumpJson(notes) + result.metrics_json.substr(end);
}

// On standard error: what is printed on the other is the result alone.
void SayWhatNext(const std::string& task, const std::string& base, const FineTuneOptions& options, const FineTuneResult& result) {
  const std::string out = ShellQuoted(options.out);
  const bool is_adapter = options.lora.rank > 0;
  const std::string model = is_adapter ? ShellQuoted(base) + " --adapter " + out : out;
  fmt::print(stderr, "next: mlac run {} -m {} {}\n      mlac serve {}\n      the card is {}/{}\n", task, model, result.usage,
             is_adapter ? fmt::format("{} --adapter {}={}", ShellQuoted(base), ShellQuoted(FileName(options.out)), out) : out, options.out,
             kModelCardFile);
}

void Execute(Command command, TrainOptions options) {
  CheckHasEffect(command, options);
  if (options.multi_label && options.regression) throw UsageError("--multi-label and --regression exclude each other");
  options.fine_tune.sequence.problem_type = options.multi_label  ? ProblemType::kMultiLabel
                                            : options.regression ? ProblemType::kRegression
                                                                 : ProblemType::kSingleLabel;
  if (options.fine_tune.sequence.problem_type != ProblemType::kSingleLabel &&
      (options.fine_tune.sequence.class_weights || options.fine_tune.sequence.label_smoothing > 0))
    throw UsageError("--class-weights and --label-smoothing are for texts with one label each");
  if (options.fine_tune.lora.rank > 0 && options.fine_tune.training.freeze) throw UsageError("--lora and --freeze exclude each other");
  if (options.fine_tune.lora.rank > 0 && !command.Given("--lr")) options.fine_tune.training.learning_rate = kLoraLearningRate;
  for (const std::string& target : Split(options.lora_targets, ','))
    if (!target.empty()) options.fine_tune.lora.targets.push_back(target);
  if (options.fine_tune.overwrite && options.fine_tune.resume) throw UsageError("--overwrite and --resume exclude each other");
  if (!options.matryoshka.empty()) options.fine_tune.embedding.matryoshka = ReadSizes(options.matryoshka);
  options.fine_tune.embedding.distance = options.distance == "cosine" ? EmbeddingDistance::kCosine : EmbeddingDistance::kEuclidean;
  options.fine_tune.training.dtype = options.dtype.Checked();
  options.fine_tune.max_length = options.max_length;
  options.fine_tune.command = CardCommand(command, options.fine_tune);
  options.fine_tune.resume_command = ResumeCommand(command);
  const std::string base = options.fine_tune.model;
  const ModelFolder given = FindModel(base);
  options.fine_tune.model = given.path;
  const FineTuneResult result = TrainTracked(command.name(), options.fine_tune, ReadMlflowOptions(options.track));
  if (options.json) {
    fmt::print("{}", WithNotes(result));
    return;
  }
  std::string shown;
  for (size_t i = 0; i < std::min<size_t>(result.figures.figures.size(), 2); ++i)
    shown += fmt::format("{}{} {:.4f}", i == 0 ? "" : ", ", ShownName(result.figures.figures[i].name), result.figures.figures[i].value);
  fmt::print("{}: {} texts of {}: {}\n", options.fine_tune.out, result.figures.num_examples, result.evaluated_on, shown);
  SayWhatNext(command.name(), base, options.fine_tune, result);
}

// What differs between the tasks.
struct TaskEntry {
  const char *name, *description, *data, *example;
  const char* max_length = "Tokens a text may have, longer ones are cut; else the model's own limit";
};
constexpr TaskEntry kTasks[] = {
    {"text-classification", "Learn to give each text a label, several, or a number",
     "What to learn from: CSV, TSV, JSONL, or a folder with a folder of texts for each label",
     "mlac train text-classification -m ./all-MiniLM-L6-v2 --data train.csv --text-column text --target-column label --out ./topics"},
    {"token-classification", "Learn to find names and other entities in texts",
     "What to learn from: .conll (a word and its tag a line), or .jsonl ({\"tokens\": [...], \"tags\": [...]}, or {\"text\": ..., \"entities\": [...]})",
     "mlac train token-classification -m ./distilbert-base-cased --data train.conll --out ./ner"},
    {"question-answering", "Learn to find the part of a text that answers a question",
     "What to learn from: .json as SQuAD has it, or .jsonl ({\"question\", \"context\", \"answers\": {\"text\": [...], \"answer_start\": [...]}})",
     "mlac train question-answering -m ./distilbert-base-cased --data train-v1.1.json --test dev-v1.1.json --out ./squad",
     "Tokens of a window that a context is read through; else 384, or the model's own limit"},
    {"fill-mask", "Learn the words of a field from texts without labels: the first step before another task",
     "What to learn from: a text a line (.txt), CSV, TSV or JSONL",
     "mlac train fill-mask -m ./distilbert-base-cased --data reports.txt --whole-word-mask --out ./distilbert-reports",
     "Tokens of a block; else the model's own limit"},
    {"sentence-similarity", "Learn which texts belong together: sentence embeddings, for search, clusters and duplicates",
     "What to learn from, CSV, TSV or JSONL: pairs (anchor, positive), triples (anchor, positive, negative) or scored pairs (sentence1, sentence2, score)",
     "mlac train sentence-similarity -m ./all-MiniLM-L6-v2 --data pairs.csv --batch-size 64 --out ./search"},
    {"text-ranking", "Learn how well a text answers a query: a cross-encoder, to rank what a search has found",
     "What to learn from, CSV, TSV or JSONL: a query, a document and a label (0 or 1); or a query, a positive and a negative",
     "mlac train text-ranking -m ./all-MiniLM-L6-v2 --data answers.csv --text-column query --text-pair-column document --target-column label --out ./ranker"},
};

void AddTask(Command train, const TaskEntry& task) {
  auto options = std::make_shared<TrainOptions>();
  const Command command = train.AddCommand(task.name, task.description, task.example);
  command.Group("Tasks");
  FineTuneOptions& fine_tune = options->fine_tune;
  AddModelOption(command, fine_tune.model);
  AddDataOptions(command, fine_tune, task.data);
  const std::string_view name = task.name;
  const bool texts = name == "text-classification", ranking = name == "text-ranking";
  if (texts) AddTextClassificationOptions(command, *options);
  if (ranking) AddTextRankingOptions(command, fine_tune);
  if (name == "token-classification") AddTokenClassificationOptions(command, fine_tune.tag_columns);
  if (name == "question-answering") AddQuestionAnsweringOptions(command, fine_tune);
  if (name == "fill-mask") AddFillMaskOptions(command, fine_tune);
  if (name == "sentence-similarity") AddSentenceSimilarityOptions(command, *options);
  command.AddOption("--out", fine_tune.out, "The folder to write").Required().Type("DIR");
  command.AddFlag("--overwrite", fine_tune.overwrite, kOverwriteHelp);
  command.AddFlag("--resume", fine_tune.resume, "Go on from the checkpoint in --out");
  AddTrainingOptions(command, fine_tune.training);
  AddLoraOptions(command, fine_tune.lora, options->lora_targets);
  if (texts || ranking) command.AddFlag("--freeze", fine_tune.training.freeze, "Only the head learns: faster, and less exact");
  WholeNumber(command.AddOption("--max-length", options->max_length, task.max_length).Type("N"), 1);
  AddDtypeOptions(command, options->dtype);
  AddTrackOption(command, options->track);
  AddThreadsOption(command, fine_tune.training.num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options, command] { Execute(command, *options); });
}

}  // namespace

void AddTrain(Command app) {
  const Command train = app.AddCommand("train", "Fine-tune a model on your own data", kTasks[0].example);
  train.RequireSubcommand();
  for (const TaskEntry& task : kTasks) AddTask(train, task);
}

}  // namespace mlac
