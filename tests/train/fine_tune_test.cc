// From a model folder and a file to a folder that can be served, on a tiny model: what is written, that nothing but its inputs decides it,
// and that what cannot work is refused in one line with nothing left behind.
#include "train/fine_tune.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <map>
#include <new>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/random.h"
#include "models/model_folder.h"
#include "pipelines/text_model.h"
#include "tensor/safetensors.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "tests/train/tiny_training.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ExpectError;
using test::FixturePath;
using test::ReadWhole;
using test::TemporaryFolder;

struct Observer : FineTuneObserver {
  void OnNote(const std::string& note) override { notes.push_back(note); }
  void OnFinding(const Finding& finding) override { findings.push_back(finding.code); }
  void OnStart(size_t, size_t, size_t, size_t) override {}
  void OnResume(size_t step) override { resumed = step; }
  void OnStep(const StepReport& report) override {
    ++num_steps;
    if (on_step) on_step();
    if (report.step == stop_after) stop = true;
  }
  void OnSpike(const SpikeReport&) override {}
  void OnEpoch(const EpochReport& report) override {
    if (report.epoch == stop_after_epoch) stop = true;
  }
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t) override {}

  std::vector<std::string> notes, findings;
  size_t resumed = 0, stop_after = 0, stop_after_epoch = 0, num_steps = 0;
  std::function<void()> on_step;
  std::atomic<bool> stop = false;
};

// count rows whose words come from the fixtures' vocabulary; each label has a word of its own.
std::string Rows(size_t count, uint64_t seed, const std::vector<std::string>& labels = {"animal", "colour", "time"}) {
  static constexpr const char* kWords[] = {"the", "people", "small", "large", "open", "train", "model", "word", "not", "this"};
  static constexpr const char* kOwn[] = {"cat", "red", "night", "water"};
  Random random(seed);
  std::string rows;
  for (size_t i = 0; i < count; ++i) {
    const size_t label = i % labels.size();
    std::string text = kOwn[label];
    for (size_t w = 2 + random.Below(6); w > 0; --w) text += fmt::format(" {}", kWords[random.Below(10)]);
    rows += fmt::format("\"{} {}\",{}\n", text, i, labels[label]);
  }
  return rows;
}

std::string Csv(size_t count, uint64_t seed) { return "text,label\n" + Rows(count, seed); }

std::map<std::string, std::string> ContentOf(const std::string& folder) {
  std::map<std::string, std::string> content;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) content[fs::relative(entry.path(), folder).string()] = ReadWhole(entry.path().string());
  return content;
}

void ExpectSameContent(const std::map<std::string, std::string>& found, const std::map<std::string, std::string>& expected, const std::string& what) {
  EXPECT_EQ(found.size(), expected.size()) << what;
  for (const auto& [name, content] : expected) EXPECT_TRUE(found.contains(name) && found.at(name) == content) << what << ": " << name << " differs";
}

class FineTune : public testing::Test {
 protected:
  FineTuneOptions Options() const {
    FineTuneOptions options;
    options.model = FixturePath("models/classifier");
    options.data = folder / "train.csv";
    options.out = folder / "out";
    options.command = "mlac train";
    options.resume_command = "mlac train --resume";
    options.training = {.num_epochs = 2, .learning_rate = 1e-3, .batch_size = 8};
    return options;
  }

  FineTuneResult Train(const FineTuneOptions& options) { return mlac::FineTune("text-classification", options, observer, observer.stop); }

  // Refused with this message, and the folder is as it was.
  Error ExpectRefused(ErrorCode code, const std::string& message, const FineTuneOptions& options,
                      std::source_location where = std::source_location::current()) {
    const std::vector<std::string> before = folder.List();
    Error error = ExpectError(code, message, [&] { Train(options); }, where);
    EXPECT_EQ(folder.List(), before) << message << ": something was left";
    return error;
  }

  // A copy of a model of the fixtures, to be broken.
  std::string CopyModel(const std::string& fixture = "models/classifier") {
    fs::remove_all(folder / "model");
    fs::copy(FixturePath(fixture), folder / "model", fs::copy_options::recursive);
    return folder / "model";
  }

  // Sets fields of the copy's config.json; null removes one.
  void SetConfig(const json& fields) {
    json config = ReadJsonFile(folder / "model/config.json");
    config.merge_patch(fields);
    folder.Write("model/config.json", config.dump());
  }

  TemporaryFolder folder;
  Observer observer;
};

TEST_F(FineTune, WritesAFolderThatOpensAgain) {
  folder.Write("train.csv", Csv(60, 1));
  const FineTuneResult result = Train(Options());
  EXPECT_EQ(result.evaluated_on, "validation");
  EXPECT_EQ(result.metrics.num_examples, 6u);
  std::vector<std::string> names;
  for (const auto& [name, content] : ContentOf(folder / "out")) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"README.md", "config.json", "confusion-matrix.svg", "learning-curves.svg", "metrics.json",
                                             "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
                                             "training.json", "vocab.txt"}));
  EXPECT_EQ(folder.List().size(), names.size() + 2) << "a checkpoint or a temporary file is left";
  const json config = ReadJsonFile(folder / "out/config.json"), record = ReadJsonFile(folder / "out/training.json");
  EXPECT_EQ(config.at("architectures"), json({"BertForSequenceClassification"}));
  EXPECT_EQ(config.at("id2label"), json({{"0", "animal"}, {"1", "colour"}, {"2", "time"}}));
  EXPECT_EQ(config.at("label2id"), json({{"animal", 0}, {"colour", 1}, {"time", 2}}));
  EXPECT_EQ(record.at("format_version"), 1);
  EXPECT_EQ(ReadJsonFile(folder / "out/metrics.json").at("format_version"), 1);
  EXPECT_EQ(ReadJsonFile(folder / "out/tokenizer_config.json").at("model_max_length"), 64);
  EXPECT_EQ(LabelNamesOf(folder / "out"), (std::vector<std::string>{"animal", "colour", "time"}));
  const EvaluationResult again = EvaluateClassifier({.model = folder / "out", .data = folder / "train.csv", .max_length = {}});
  EXPECT_EQ(again.metrics.num_examples, 60u);
}

TEST_F(FineTune, WritesTheSameBytesForAnyThreadsPathsAndSaving) {
  folder.Write("train.csv", Csv(60, 1));
  folder.Write("test.csv", Csv(20, 2));
  FineTuneOptions options = Options();
  options.test = folder / "test.csv";
  Train(options);
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  fs::create_directories(folder / "elsewhere/deep");
  fs::copy(folder / "train.csv", folder / "elsewhere/train.csv");
  fs::copy(folder / "test.csv", folder / "elsewhere/deep/test.csv");
  fs::copy(options.model, folder / "elsewhere/classifier", fs::copy_options::recursive);
  options.data = folder / "elsewhere/train.csv";
  options.test = folder / "elsewhere/deep/test.csv";
  options.model = folder / "elsewhere/classifier/";
  options.training.save_steps = 3;
  options.training.max_tokens = 30;
  for (const size_t num_threads : {2, 3}) {
    options.out = folder / fmt::format("elsewhere/other name {}//", num_threads);
    options.training.num_threads = num_threads;
    Train(options);
    ExpectSameContent(ContentOf(options.out), expected, options.out);
  }
  for (const auto& [name, content] : expected) EXPECT_EQ(content.find(folder.path()), std::string::npos) << name << " holds a path";
}

TEST_F(FineTune, WritesTheSameBytesWhenItIsInterruptedAndResumed) {
  folder.Write("train.csv", Csv(60, 1));
  FineTuneOptions options = Options();
  options.training.num_epochs = 3;
  Train(options);
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  options.out = folder / "second";
  observer.stop_after = 9;
  const Error error = ExpectError(ErrorCode::kCancelled, "interrupted after step 9 of 21", [&] { Train(options); });
  EXPECT_EQ(error.hint(), "go on with: mlac train --resume");
  EXPECT_TRUE(fs::exists(folder / "second/checkpoint/state.json"));
  observer.stop = false;
  observer.stop_after = 0;
  EXPECT_EQ(ExpectError(ErrorCode::kAlreadyExists, folder / "second: exists already", [&] { Train(options); }).hint(),
            "--resume goes on from its checkpoint, --overwrite begins anew");
  options.resume = true;
  Train(options);
  EXPECT_EQ(observer.resumed, 9u);
  ExpectSameContent(ContentOf(options.out), expected, "resumed");

  // Once more, as a scheduler does that saw the process killed in its last moment.
  observer.notes.clear();
  Train(options);
  EXPECT_THAT(observer.notes, testing::Contains(folder / "second: is the result of this run already; there is nothing left to train"));
  ExpectSameContent(ContentOf(options.out), expected, "finished");
  options.training.seed = 1;
  EXPECT_EQ(ExpectRefused(ErrorCode::kNotFound, folder / "second: holds neither a checkpoint nor the result of this run", options).hint(),
            "--overwrite replaces it");
}

TEST_F(FineTune, IsInterruptedWhileItMeasuresAndOnlyMeasuresWhenResumed) {
  folder.Write("train.csv", Csv(60, 1));
  FineTuneOptions options = Options();
  Train(options);
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  options.out = folder / "second";
  observer.stop_after_epoch = options.training.num_epochs;  // behind it there is nothing but the measuring
  ExpectError(ErrorCode::kCancelled, "interrupted after step 14 of 14", [&] { Train(options); });
  EXPECT_FALSE(fs::exists(folder / "second/model.safetensors"));
  observer.stop = false;
  observer.stop_after_epoch = 0;
  options.resume = true;
  Train(options);
  EXPECT_EQ(observer.resumed, 14u);
  ExpectSameContent(ContentOf(options.out), expected, "resumed");

  observer.stop = true;  // measuring once more what is finished
  ExpectError(ErrorCode::kCancelled, "interrupted", [&] { Train(options); });
  ExpectSameContent(ContentOf(options.out), expected, "finished");
}

TEST_F(FineTune, RefusesWhatCannotLearnBeforeItReadsTheData) {
  FineTuneOptions options = Options();
  options.data = folder / "absent.csv";
  options.training.freeze = true;
  const std::string frozen = "this task has no head over one vector a text, so the encoder cannot be frozen";
  for (const char* task : {"token-classification", "question-answering", "fill-mask", "sentence-similarity"})
    EXPECT_EQ(ExpectError(ErrorCode::kUnsupported, frozen, [&] { mlac::FineTune(task, options, observer, observer.stop); }).hint(),
              "leave out --freeze");
  options.lora = {.rank = 2};
  for (const char* task : {"text-classification", "text-ranking"})
    ExpectError(ErrorCode::kInvalidArgument, "--lora and --freeze exclude each other",
                [&] { mlac::FineTune(task, options, observer, observer.stop); });
  options.training.freeze = false;
  options.lora.targets = {"query", "qeury"};
  for (const std::string& task : FineTuneTaskNames())
    EXPECT_EQ(ExpectError(ErrorCode::kInvalidArgument, "--lora-targets: no linear layer of the encoder is called 'qeury'",
                          [&] { mlac::FineTune(task, options, observer, observer.stop); })
                  .hint(),
              "did you mean 'query'?");
  EXPECT_FALSE(fs::exists(options.out));
}

TEST_F(FineTune, NamesTheTextOfWhichTheTokenizerKeepsNothing) {
  FineTuneOptions options = Options();
  options.model = CopyModel();
  json tokenizer = ReadJsonFile(folder / "model/tokenizer.json");
  tokenizer["post_processor"] = nullptr;
  folder.Write("model/tokenizer.json", tokenizer.dump());
  folder.Write("train.csv", "text,label\na cat,x\n \u200d,y\nred,y\n");
  options.validation_split = 0;
  const std::string message =
      "train.csv line 3: expected a text with tokens, found none: the tokenizer keeps nothing of it and adds nothing";
  ExpectRefused(ErrorCode::kInvalidInput, message, options);
  folder.Write("train.csv", "anchor,positive\na cat,a dog\nred,\u200d\n");
  ExpectError(ErrorCode::kInvalidInput, message, [&] { mlac::FineTune("sentence-similarity", options, observer, observer.stop); });
}

TEST_F(FineTune, ResumesFromTheBeginningIfItWasKilledBeforeTheFirstCheckpoint) {
  folder.Write("train.csv", Csv(60, 1));
  FineTuneOptions options = Options();
  Train(options);
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  options.resume = true;
  options.out = folder / "absent";
  Train(options);
  EXPECT_THAT(observer.notes, testing::Contains(folder / "absent: no checkpoint yet; this run begins at step 0"));
  ExpectSameContent(ContentOf(options.out), expected, "nothing there");
  // Killed while it wrote the first one, and while it wrote the result.
  options.out = folder / "killed";
  folder.Write("killed/checkpoint.partial-abcdefgh/state.json", "{");
  folder.Write("killed.partial-abcdefgh/config.json", "{");
  Train(options);
  ExpectSameContent(ContentOf(options.out), expected, "leftovers");
  for (const std::string& name : folder.List()) EXPECT_EQ(name.find("partial"), std::string::npos) << name;
}

TEST_F(FineTune, ResumesIntoTheEmptyFolderOfARunThatWasKilled) {
  folder.Write("train.csv", Csv(30, 1));
  FineTuneOptions options = Options();
  fs::create_directory(options.out);
  options.resume = true;
  options.training.save_steps = 0;
  Train(options);
  EXPECT_TRUE(fs::exists(folder / "out/model.safetensors"));
}

TEST_F(FineTune, IsRefusedWhenResumedWithOtherInputs) {
  folder.Write("train.csv", Csv(60, 1));
  FineTuneOptions options = Options();
  observer.stop_after = 3;
  ExpectError(ErrorCode::kCancelled, "interrupted after step 3 of 14", [&] { Train(options); });
  observer.stop = false;
  observer.stop_after = 0;
  const std::string begin = folder / "out/checkpoint: the checkpoint is of a run with ";
  const auto refused = [&](const std::string& what, const std::function<void(FineTuneOptions&)>& set) {
    FineTuneOptions changed = Options();
    changed.resume = true;
    set(changed);
    try {
      Train(changed);
      ADD_FAILURE() << what << ": accepted";
    } catch (const Error& error) {
      EXPECT_TRUE(error.message().starts_with(begin + what)) << error.message();
    }
  };
  refused("--batch-size 8; now it is 9", [](FineTuneOptions& o) { o.training.batch_size = 9; });
  refused("class weights no; now it is yes", [](FineTuneOptions& o) { o.sequence.class_weights = true; });
  refused("--dtype f32; now it is bf16 ", [](FineTuneOptions& o) { o.training.dtype = DType::kBF16; });
  refused("--epochs 2; now it is 3", [](FineTuneOptions& o) { o.training.num_epochs = 3; });
  refused("--freeze false; now it is true", [](FineTuneOptions& o) { o.training.freeze = true; });
  refused("--lr 0.001; now it is 0.002", [](FineTuneOptions& o) { o.training.learning_rate = 0.002; });
  refused("--max-grad-norm 1; now it is 2", [](FineTuneOptions& o) { o.training.max_grad_norm = 2; });
  refused("--max-length 64; now it is 8", [](FineTuneOptions& o) { o.max_length = 8; });
  refused("--patience 2; now it is 1", [](FineTuneOptions& o) { o.training.patience = 1; });
  refused("--seed 0; now it is 1", [](FineTuneOptions& o) { o.training.seed = 1; });
  refused("--warmup 0.1; now it is 0.2", [](FineTuneOptions& o) { o.training.warmup = 0.2; });
  refused("--weight-decay 0.01; now it is 0", [](FineTuneOptions& o) { o.training.weight_decay = 0; });
  refused("data ", [](FineTuneOptions& o) { o.validation_split = 0.2; });
  refused("model ", [](FineTuneOptions& o) { o.model = FixturePath("models/classifier_relu"); });
  CopyModel();
  SetConfig({{"hidden_dropout_prob", 0.2}});  // the same weights, computed with otherwise
  refused("model ", [&](FineTuneOptions& o) { o.model = folder / "model"; });
  CopyModel();
  std::string vocabulary = ReadWhole(folder / "model/tokenizer.json");
  const size_t cat = vocabulary.find("\"cat\""), dog = vocabulary.find("\"dog\"");
  ASSERT_TRUE(cat != std::string::npos && dog != std::string::npos);
  vocabulary.replace(cat, 5, "\"dog\"").replace(dog, 5, "\"cat\"");
  folder.Write("model/tokenizer.json", vocabulary);
  refused("tokenizer ", [&](FineTuneOptions& o) { o.model = folder / "model"; });
  folder.Write("train.csv", Csv(60, 2));
  refused("data ", [](FineTuneOptions&) {});
}

TEST_F(FineTune, ReplacesAFolderOnRequestAlone) {
  folder.Write("train.csv", Csv(30, 1));
  folder.Write("out/old.txt", "precious");
  FineTuneOptions options = Options();
  EXPECT_EQ(ExpectRefused(ErrorCode::kAlreadyExists, folder / "out: exists already", options).hint(), "--overwrite replaces it");
  options.out += "/";
  ExpectRefused(ErrorCode::kAlreadyExists, folder / "out: exists already", options);
  options.resume = true;
  ExpectRefused(ErrorCode::kNotFound, folder / "out: holds neither a checkpoint nor the result of this run", options);
  options.resume = false;
  options.overwrite = true;
  EXPECT_EQ(
      ExpectRefused(ErrorCode::kAlreadyExists, folder / "out: is no model, so --overwrite does not replace it: it holds 'old.txt'", options)
          .hint(),
      "choose another --out, or remove the folder yourself");
  folder.Write("out/config.json", "{}");
  observer.stop_after = 3;
  ExpectError(ErrorCode::kCancelled, "interrupted after step 3 of 8", [&] { Train(options); });
  EXPECT_EQ(ReadWhole(folder / "out/old.txt"), "precious") << "as long as training goes on, the old folder stays";
  observer.stop = false;
  observer.stop_after = 0;
  Train(options);
  EXPECT_FALSE(fs::exists(folder / "out/old.txt"));
  EXPECT_FALSE(fs::exists(folder / "out/checkpoint"));
  EXPECT_TRUE(fs::exists(folder / "out/config.json"));
}

TEST_F(FineTune, RefusesAPlaceWhereNothingCanBeWritten) {
  folder.Write("train.csv", Csv(30, 1));
  FineTuneOptions options = Options();
  options.out = folder / "absent/out";
  EXPECT_EQ(ExpectRefused(ErrorCode::kNotFound, folder / "absent/out: cannot create: there is no folder '" + (folder / "absent'"), options).hint(),
            "make it first: mkdir -p");
  options.out = folder / "train.csv";
  options.overwrite = true;
  options.data = folder / "train.csv";
  EXPECT_THROW(Train(options), Error);
  EXPECT_EQ(ReadWhole(folder / "train.csv"), Csv(30, 1));
  options.out = "..";
  ExpectRefused(ErrorCode::kInvalidArgument, "'..' cannot be an output folder", options);
  if (geteuid() == 0) return;  // who may write everywhere
  fs::create_directory(folder / "locked");
  fs::permissions(folder / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  options.out = folder / "locked/out";
  ExpectRefused(ErrorCode::kIo, folder / "locked/out: cannot create: Permission denied", options);
}

TEST_F(FineTune, RefusesADiskThatIsTooSmallBeforeTheFirstStep) {
  folder.Write("train.csv", Csv(60, 1));
  FineTuneOptions options = Options();
  const auto set_free = [&](uint64_t count) {
    options.free_bytes = [&, count](const std::string& path) {
      EXPECT_EQ(path, folder / "out");
      return std::optional<uint64_t>(count);
    };
  };
  options.training.save_steps = 0;
  set_free(0);
  const Error error = ExpectError(ErrorCode::kResourceExhausted, folder / "out: the trained weights need 0.1 MB, 0.0 MB are free there",
                                  [&] { Train(options); });
  EXPECT_EQ(error.hint(), "free some space there, or choose another --out");
  EXPECT_EQ(observer.num_steps, 0u);
  EXPECT_FALSE(fs::exists(folder / "out"));
  Train(Options());
  const uint64_t weights = fs::file_size(folder / "out/model.safetensors");
  options.overwrite = true;
  set_free(weights);  // with the header of the file, which is not counted
  Train(options);
  set_free(weights / 2);
  EXPECT_THROW(Train(options), Error);
  options.training.save_steps = 3;  // of 14 steps: two checkpoints stand side by side
  set_free(7 * weights);
  EXPECT_THROW(Train(options), Error);
  set_free(8 * weights);
  Train(options);
}

TEST_F(FineTune, SaysWhatTakesLessMemoryWhereThereWasNone) {
  folder.Write("train.csv", Csv(60, 1));
  FineTuneOptions options = Options();
  for (const bool of_project : {false, true}) {
    options.of_project = of_project;
    const std::string hint = of_project ? "in train, max_tokens and gradient_checkpointing need less memory and change no bit of the "
                                          "result; a smaller batch_size (now 8) needs less, too"
                                        : "--max-tokens N and --gradient-checkpointing need less memory and change no bit of the result; a "
                                          "smaller --batch-size (now 8) needs less, too";
    observer.on_step = [] { throw std::bad_alloc(); };
    EXPECT_EQ(ExpectRefused(ErrorCode::kResourceExhausted, "out of memory", options).hint(), hint);
    observer.on_step = [] { throw Error(ErrorCode::kResourceExhausted, "out of memory: a tensor asks for 64 bytes"); };
    EXPECT_EQ(ExpectRefused(ErrorCode::kResourceExhausted, "out of memory: a tensor asks for 64 bytes", options).hint(), hint);
    observer.on_step = [] {
      throw Error(ErrorCode::kResourceExhausted, "out: cannot write: No space left on device", "free some space there");
    };
    EXPECT_EQ(ExpectRefused(ErrorCode::kResourceExhausted, "out: cannot write: No space left on device", options).hint(),
              "free some space there");
  }
}

TEST_F(FineTune, SaysWhatWasNotLearntInItsNotesAndItsCard) {
  constexpr char kHeading[] = "\n## Notes on this training\n\n- ";
  std::string numbers = "text,label\n";
  for (int i = 0; i < 60; ++i) numbers += fmt::format("cat {},{}\n", i, 400 + i % 3);
  folder.Write("train.csv", numbers);
  FineTuneOptions far = Options();  // numbers that so few steps do not come near
  far.sequence.problem_type = ProblemType::kRegression;
  const FineTuneResult result = Train(far);
  ASSERT_FALSE(result.notes.empty());
  EXPECT_THAT(result.notes.front(), testing::MatchesRegex("mean squared error .* is no better than always answering the mean \\(.*\\)"));
  EXPECT_THAT(observer.notes, testing::IsSupersetOf(result.notes));
  const std::string card = ReadWhole(folder / "out/README.md");
  const size_t heading = card.find(kHeading + std::string("mean squared error "));
  ASSERT_NE(heading, std::string::npos) << card;
  EXPECT_LT(card.find("\n## Metrics\n"), heading);
  EXPECT_LT(heading, card.find("\n## Training\n"));
  far.resume = true;
  EXPECT_EQ(Train(far).notes, result.notes) << "of a run that is finished";

  folder.Write("train.csv", Csv(60, 1));
  for (const double learning_rate : {2e-4, 5e-3}) {
    FineTuneOptions options = Options();
    options.out = folder / fmt::format("out {}", learning_rate);
    options.training.learning_rate = learning_rate;
    const FineTuneResult trained = Train(options);
    EXPECT_EQ(ReadJsonFile(options.out + "/training.json").at("notes"), json(trained.training.notes));
    EXPECT_EQ(ReadWhole(options.out + "/README.md").find(kHeading) != std::string::npos, !trained.notes.empty());
    const std::vector<EpochReport>& epochs = trained.training.epochs;
    if (epochs.at(1).validation.loss < epochs.at(0).validation.loss && learning_rate < 3e-4) {
      EXPECT_THAT(trained.training.notes,
                  testing::ElementsAre("the validation loss was still falling when training ended: try --epochs 29 --lr 3e-4"));
    }
    options.resume = true;
    EXPECT_EQ(Train(options).notes, trained.notes);
  }
}

TEST_F(FineTune, NeverReplacesWhatItReads) {
  folder.Write("out/train.csv", Csv(30, 1));
  CopyModel();
  fs::rename(folder / "model", folder / "out/model");
  FineTuneOptions options = Options();
  options.overwrite = true;
  options.data = folder / "out/train.csv";
  ExpectRefused(ErrorCode::kInvalidArgument,
                fmt::format("{}: --data {} lies in it and would be replaced with it", folder / "out", folder / "out/train.csv"), options);
  options.data = folder / "out";  // a folder of texts a class
  ExpectRefused(ErrorCode::kInvalidArgument, fmt::format("{}: --data {} lies in it and would be replaced with it", folder / "out", folder / "out"), options);
  options.data = folder.Write("train.csv", Csv(30, 1));
  options.model = folder / "out/../out/model";
  ExpectRefused(ErrorCode::kInvalidArgument,
                fmt::format("{}: --model {} lies in it and would be replaced with it", folder / "out", options.model), options);
}

TEST_F(FineTune, TrainsAModelInItsOwnPlace) {
  folder.Write("train.csv", Csv(30, 1));
  CopyModel();
  FineTuneOptions options = Options();
  options.model = options.out = folder / "model";
  options.overwrite = true;
  Train(options);
  EXPECT_EQ(LabelNamesOf(folder / "model"), (std::vector<std::string>{"animal", "colour", "time"}));
}

TEST_F(FineTune, KeepsLabelsOfAnyCharacters) {
  const std::vector<std::string> labels = {"\"a, \"\"quoted\"\" one\"", "\"two\nlines\"", "größer 🐈", "\\back/slash<b>|&"};
  folder.Write("train.csv", "text,label\n" + Rows(60, 1, labels));
  FineTuneOptions options = Options();
  Train(options);
  std::vector<std::string> expected = {"a, \"quoted\" one", "two\nlines", "größer 🐈", "\\back/slash<b>|&"};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(LabelNamesOf(options.out), expected);
  const json config = ReadJsonFile(options.out + "/config.json");
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(config.at("label2id").at(expected[i]), i);
  const EvaluationResult evaluated = EvaluateClassifier({.model = options.out, .data = options.data, .max_length = {}});
  EXPECT_EQ(evaluated.metrics.label_names, expected);
}

TEST_F(FineTune, OrdersNumbersByValue) {
  folder.Write("train.csv", "text,label\n" + Rows(60, 1, {"10", "9", "-1"}));
  Train(Options());
  EXPECT_EQ(LabelNamesOf(folder / "out"), (std::vector<std::string>{"-1", "9", "10"}));
}

TEST_F(FineTune, LearnsFromEveryKindOfModelFolder) {
  folder.Write("train.csv", Csv(30, 1));
  for (const char* name : {"vocab_only", "embedding_no_pooler", "sharded", "st_mean", "old_names", "bfloat16", "masked_lm", "classifier_version_five"}) {
    FineTuneOptions options = Options();
    options.model = FixturePath(std::string("models/") + name);
    options.out = folder / name;
    options.training.num_epochs = 1;
    Train(options);
    EXPECT_EQ(LabelNamesOf(options.out).size(), 3u) << name;
    EXPECT_EQ(fs::exists(options.out + "/tokenizer.json"), fs::exists(options.model + "/tokenizer.json")) << name;
    TextModel opened(options.out, {.num_threads = 1, .max_length = {}, .truncate = true});
    EXPECT_EQ(opened.label_names().size(), 3u) << name;
  }
}

TEST_F(FineTune, KeepsTheLimitOfTokens) {
  folder.Write("train.csv", Csv(30, 1));
  FineTuneOptions options = Options();
  options.max_length = 6;
  Train(options);
  EXPECT_EQ(ReadJsonFile(options.out + "/tokenizer_config.json").at("model_max_length"), 6);
  EXPECT_NE(std::find(observer.findings.begin(), observer.findings.end(), "cut_text"), observer.findings.end()) << fmt::format("{}", observer.findings.size());
  options.out = folder / "other";
  options.max_length = 65;
  ExpectRefused(ErrorCode::kInvalidArgument, "--max-length 65 is above the model's max_position_embeddings 64", options);
  options.max_length = 0;
  ExpectRefused(ErrorCode::kInvalidArgument, "--max-length 0: expected 1 or more", options);
}

TEST_F(FineTune, RefusesDataThatCannotBeLearnt) {
  const FineTuneOptions options = Options();
  const std::string path = folder / "train.csv";
  const auto refuse = [&](const std::string& content, ErrorCode code, const std::string& message,
                          std::source_location where = std::source_location::current()) {
    folder.Write("train.csv", content);
    ExpectRefused(code, message, options, where);
  };
  ExpectRefused(ErrorCode::kNotFound, path + ": cannot open: No such file or directory", options);
  refuse("text,label\na,x\nb,x\n", ErrorCode::kInvalidInput, "train.csv: expected at least two labels, found only 'x' in 2 rows");
  refuse("text,label\na,x\nb,y\nc,z\n", ErrorCode::kInvalidInput, "train.csv: expected labels that repeat, found a different one in each of 3 rows");
  refuse("text,topic\na,x\nb,y\n", ErrorCode::kInvalidInput, path + ": expected a column 'label', found 'text', 'topic'");
  refuse("text,label\n\"a,x\nb,y\n", ErrorCode::kInvalidInput, path + ": line 2: a quote opens here and is never closed");
  refuse("text,label\na,x\nb\xff,y\n", ErrorCode::kInvalidInput, path + ": line 3, byte 2: expected UTF-8 text, found the byte 0xFF; the file looks like WINDOWS-1252");
  refuse("", ErrorCode::kInvalidInput, path + ": the file is empty");
  refuse("text,label\n", ErrorCode::kInvalidInput, path + ": expected rows, found none");
  refuse("text,label\na,x\nb,\n", ErrorCode::kInvalidInput, path + ": line 3: the column 'label' is empty");
}

TEST_F(FineTune, RefusesAValidationFileWithAnUnknownLabel) {
  folder.Write("train.csv", Csv(30, 1));
  FineTuneOptions options = Options();
  options.validation = folder.Write("validation.csv", "text,label\na cat,animal\na dog,animals\n");
  const Error error = ExpectRefused(ErrorCode::kInvalidInput, options.validation + ": line 3: expected a label among 'animal', 'colour', 'time', found 'animals'", options);
  EXPECT_EQ(error.hint(), "did you mean 'animal'?");
  options.validation = "";
  options.test = folder.Write("test.csv", "text,label\na cat,\xF0\x9F\x90\x88\n");
  ExpectRefused(ErrorCode::kInvalidInput, options.test + ": line 2: expected a label among 'animal', 'colour', 'time', found '\xF0\x9F\x90\x88'", options);
}

TEST_F(FineTune, RefusesAModelThatIsBroken) {
  folder.Write("train.csv", Csv(30, 1));
  FineTuneOptions options = Options();
  options.model = folder / "model";
  const std::string config = folder / "model/config.json", weights = folder / "model/model.safetensors";
  ExpectRefused(ErrorCode::kNotFound, folder / "model: there is no such folder", options);
  const auto refuse = [&](const json& fields, ErrorCode code, const std::string& message, std::source_location where = std::source_location::current()) {
    CopyModel();
    SetConfig(fields);
    ExpectRefused(code, message, options, where);
  };
  CopyModel();
  fs::remove(config);
  ExpectRefused(ErrorCode::kNotFound, folder / "model: there is no config.json", options);
  refuse({{"model_type", "brt"}}, ErrorCode::kUnsupported, config + ": model_type 'brt' is not known; known are bert, mpnet, electra, distilbert");
  refuse({{"model_type", nullptr}}, ErrorCode::kInvalidInput, config + ": model_type is missing; known are bert, mpnet, electra, distilbert");
  refuse({{"num_attention_heads", 0}}, ErrorCode::kInvalidInput, config + ": num_attention_heads is 0; expected a whole number from 1 to 65536");
  refuse({{"num_attention_heads", 5}}, ErrorCode::kInvalidInput, config + ": hidden_size 32 is no multiple of num_attention_heads 5");
  refuse({{"num_hidden_layers", -1}}, ErrorCode::kInvalidInput, config + ": num_hidden_layers is -1; expected a whole number from 1 to 1024");
  refuse({{"hidden_size", 64}}, ErrorCode::kInvalidInput,
         weights + ": tensor 'bert.embeddings.word_embeddings.weight' is [144, 32]; config.json asks for [144, 64]");
  refuse({{"vocab_size", 100}}, ErrorCode::kInvalidInput,
         weights + ": tensor 'bert.embeddings.word_embeddings.weight' is [144, 32]; config.json asks for [100, 32]");
  CopyModel();
  SetConfig({{"num_hidden_layers", 3}});
  const std::vector<std::string> before = folder.List();
  const auto message_of = [&]() -> std::string {
    try {
      Train(options);
    } catch (const Error& error) {
      return error.message();
    }
    return "no error";
  };
  std::string message = message_of();
  EXPECT_TRUE(message.starts_with(weights + ": tensor 'bert.encoder.layer.2.attention.self.query.")) << message;
  EXPECT_NE(message.find("' is missing; config.json asks for [32"), std::string::npos) << message;
  CopyModel();
  folder.Write("model/model.safetensors", ReadWhole(weights).substr(0, 9000));
  message = message_of();
  EXPECT_TRUE(message.starts_with(weights + ": ")) << message;
  EXPECT_EQ(folder.List(), before);
  CopyModel();  // a vocabulary larger than the embedding
  {
    const SafetensorsFile file(std::make_shared<const MappedFile>(weights));
    std::vector<NamedTensor> tensors;
    for (const TensorInfo& info : file.tensors()) {
      Tensor tensor = file.Get(info.name);
      if (info.name.ends_with("word_embeddings.weight")) tensor = tensor.Rows(0, 100);
      tensors.push_back({info.name, tensor.ToF32()});
    }
    WriteSafetensors(weights, tensors);
  }
  SetConfig({{"vocab_size", 100}});
  ExpectRefused(ErrorCode::kInvalidInput, "the tokenizer gives token '##re' the id 143; config.json has vocab_size 100, so ids go up to 99", options);
}

TEST_F(FineTune, CarriesOddConfigsThrough) {
  folder.Write("train.csv", Csv(30, 1));
  FineTuneOptions options = Options();
  options.model = folder / "model";
  options.training.num_epochs = 1;
  for (const json& architectures : {json(nullptr), json::array(), json("BertModel"), json::array({1})}) {
    CopyModel();
    SetConfig({{"architectures", architectures}});
    fs::remove_all(options.out);
    Train(options);
    EXPECT_EQ(ReadJsonFile(options.out + "/config.json").at("architectures"), json({"BertForSequenceClassification"}));
  }
}

TEST_F(FineTune, StopsWithAWeightThatIsNotFinite) {
  folder.Write("train.csv", Csv(30, 1));
  CopyModel();
  const std::string weights = folder / "model/model.safetensors";
  {
    const SafetensorsFile file(std::make_shared<const MappedFile>(weights));
    std::vector<NamedTensor> tensors;
    for (const TensorInfo& info : file.tensors()) {
      Tensor tensor = file.Get(info.name).ToF32();
      if (info.name == "bert.encoder.layer.1.attention.self.key.bias") tensor.mutable_floats()[3] = std::numeric_limits<float>::quiet_NaN();
      tensors.push_back({info.name, tensor});
    }
    WriteSafetensors(weights, tensors);
  }
  FineTuneOptions options = Options();
  options.model = folder / "model";
  ExpectRefused(ErrorCode::kInvalidInput,
                "tensor 'bert.encoder.layer.1.attention.self.key.bias' of the model holds nan at element 3; expected finite numbers", options);
}

}  // namespace
}  // namespace mlac
