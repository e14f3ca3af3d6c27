// mlac.yaml: what it may say, and for what it says wrong the line, the key, what there is and the nearest.
#include "project/config.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ostream>
#include <set>

#include "project/model_task.h"
#include "project/model_tests.h"
#include "project/reference.h"
#include "project/train_keys.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;

constexpr char kWhole[] = R"(store: elsewhere/store
models:
  topics:
    task: text-classification
    base: models/minilm
    data: {train: [a.csv, b.csv], validation: v.csv, text: sentence, target: class, dedupe: true,
           filter: [{min_length: 3}, {column: lang, equals: [en, de]}], split: {test: 20%, seed: 7}}
    train: {epochs: 2, lr: 1e-4, seed: 18446744073709551615, batch_size: 8, patience: 0, warmup: 0.2, weight_decay: 0, max_grad_norm: 2,
            freeze: true, class_weights: true, max_length: 64, validation_split: 0}
    optimize: {int8: true, max_drop: 0.5%, metric: macro_f1}
    tests: tests/topics.yaml
    gates:
      - macro_f1 >= 0.43
      - {require: accuracy >= production - 0.005, confident: true}
  small: {base: models/minilm, data: {train: a.csv, test: t.csv}}
)";

TEST(Config, ReadsAllThatThereIs) {
  const ProjectConfig project = ParseProject(kWhole, "some/mlac.yaml");
  EXPECT_EQ(project.store, "elsewhere/store");
  EXPECT_EQ(project.Path("a.csv"), "some/a.csv");
  EXPECT_EQ(project.Path("/a.csv"), "/a.csv");
  ASSERT_EQ(project.models.size(), 2u);
  const ModelConfig& model = project.models[0];
  EXPECT_EQ(model.name, "topics");
  EXPECT_EQ(model.line, 3u);
  EXPECT_EQ(model.data.train, (std::vector<std::string>{"a.csv", "b.csv"}));
  EXPECT_EQ(model.data.text_column, "sentence");
  EXPECT_EQ(model.data.test_split, 0.2);
  EXPECT_EQ(model.data.split_seed, 7u);
  ASSERT_EQ(model.data.filters.size(), 2u);
  EXPECT_EQ(model.data.filters[1].equals, (std::vector<std::string>{"en", "de"}));
  EXPECT_EQ(model.train.training.num_epochs, 2u);
  EXPECT_EQ(model.train.training.learning_rate, 1e-4);
  EXPECT_EQ(model.train.training.seed, UINT64_MAX);
  EXPECT_TRUE(model.train.training.freeze);
  EXPECT_EQ(*model.train.max_length, 64u);
  EXPECT_EQ(*model.optimize.max_drop, 0.5);
  ASSERT_EQ(model.gates.size(), 2u);
  EXPECT_TRUE(model.gates[1].confident);
  const ModelConfig& small = project.models[1];
  EXPECT_EQ(small.data.text_column, "text");
  EXPECT_EQ(small.train.training.num_epochs, 3u);
  EXPECT_FALSE(small.prepares_data());
}

// With which values all keys of `train` can be written.
constexpr std::pair<const char*, const char*> kAllTrainKeys[] = {
    {"text-classification",
     "{epochs: 4, lr: 0.001, batch_size: 7, seed: 9, max_length: 11, validation_split: 0.25, patience: 3, warmup: 0.3, weight_decay: 0.5, "
     "max_grad_norm: 2.5, gradient_accumulation: 3, layer_decay: 0.9, max_tokens: 512, gradient_checkpointing: true, lora: 4, lora_alpha: "
     "6, lora_dropout: 10%, "
     "lora_targets: 'query, dense', class_weights: true, label_smoothing: 0.1}"},
    {"text-classification", "{multi_label: true}"},
    {"text-classification", "{regression: true}"},
    {"text-ranking", "{freeze: true}"},
    {"question-answering", "{doc_stride: 0, max_answer_length: 9}"},
    {"fill-mask", "{mlm_probability: 20%, whole_word_mask: true, line_by_line: true}"},
    {"sentence-similarity", "{loss: triplet, scale: 30, margin: 0.5, distance: cosine, matryoshka: [64, 32]}"}};

TEST(Config, EveryKeyOfTrainIsReadShownAndReadAgain) {
  std::set<std::string> seen;
  for (const auto& [task, train] : kAllTrainKeys) {
    const std::string head = fmt::format("models: {{topics: {{task: {}, base: m, data: {{train: a, test: b}}, train: ", task);
    const FineTuneOptions options = ParseProject(head + train + "}}", "mlac.yaml").models[0].train;
    std::string again;
    for (const auto& [name, value] : TrainKeyValues(options)) {
      again += fmt::format("{}{}: '{}'", again.empty() ? "{" : ", ", name, value);
      if (std::string(train).find(name + ":") != std::string::npos) seen.insert(name);
    }
    const FineTuneOptions from_record = ParseProject(head + again + "}}}", "record").models[0].train;
    EXPECT_EQ(TrainKeyValues(from_record), TrainKeyValues(options)) << task;
  }
  for (const KeyInfo& key : TrainKeyInfos())
    EXPECT_EQ(seen.contains(std::string(key.name)), key.name != "max_tokens" && key.name != "gradient_checkpointing")
        << key.name << ": what changes no bit is not recorded, all else is";
}

TEST(Config, AnAdapterLearnsAtItsOwnRateUnlessOneIsGiven) {
  const auto rate = [](const std::string& train) {
    return ParseProject("models: {a: {base: m, data: {train: a, test: b}, train: " + train + "}}", "mlac.yaml")
        .models[0]
        .train.training.learning_rate;
  };
  EXPECT_EQ(rate("{lora: 8}"), kLoraLearningRate);
  EXPECT_EQ(rate("{lr: 1e-4, lora: 8}"), 1e-4);
  EXPECT_EQ(rate("{epochs: 1}"), 5e-5);
}

TEST(Config, AnchorsAreForWhatModelsHaveInCommon) {
  const ProjectConfig project = ParseProject(
      "definitions:\n  common: &common {base: m, data: {train: a, test: b}}\nmodels:\n  one: {<<: *common, train: {seed: 1}}\n  two: {<<: "
      "*common, base: other}\n",
      "mlac.yaml");
  EXPECT_EQ(project.models[0].base, "m");
  EXPECT_EQ(project.models[0].train.training.seed, 1u);
  EXPECT_EQ(project.models[1].base, "other");
}

// A model with these lines in place of one of its own.
std::string With(const std::string& lines) {
  std::string text = "models:\n  topics:\n";
  if (lines.find("base:") == std::string::npos) text += "    base: m\n";
  if (lines.find("data:") == std::string::npos) text += "    data: {train: a.csv, test: b.csv}\n";
  return text + lines;
}

struct Wrong {
  std::string text, message, hint;
};

void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.message; }

class WrongConfig : public testing::TestWithParam<Wrong> {};

TEST_P(WrongConfig, IsOneLineWithPlaceKeyAndWhatThereIs) {
  const Error error = ExpectError(ErrorCode::kInvalidInput, GetParam().message, [] { ParseProject(GetParam().text, "mlac.yaml"); });
  EXPECT_EQ(error.hint(), GetParam().hint) << GetParam().text;
}

// Those that can be learnt.
std::string TaskNames() {
  std::string names;
  for (const ModelTask& task : AllModelTasks())
    if (task.problem_type == ProblemType::kSingleLabel) names += (names.empty() ? "" : ", ") + std::string(task.name);
  return names;
}

constexpr char kModelKeys[] = "there are: task, base, data, train, optimize, tests, gates";
std::string TrainKeys() {
  std::string names;
  for (const KeyInfo& key : TrainKeyInfos()) names += (names.empty() ? "there are: " : ", ") + std::string(key.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(
    Config, WrongConfig,
    testing::Values(
        Wrong{"", "mlac.yaml: is empty; expected the key 'models'", "'mlac init' writes one"},
        Wrong{"store: x\n", "mlac.yaml line 1: the key 'models' is missing (a map of names)", "The models, each under its name"},
        Wrong{"- a\n", "mlac.yaml line 1: expected a map of keys and values, found a list", ""},
        Wrong{"hello\n", "mlac.yaml line 1: expected a map of keys and values, found 'hello'", ""},
        Wrong{"model:\n  a: b\n", "mlac.yaml line 1: model: there is no such key",
              "did you mean 'models'? there are: store, models, definitions"},
        Wrong{"models: {}\n", "mlac.yaml line 1: models: expected at least one model", ""},
        Wrong{"models:\n", "mlac.yaml line 1: models: expected a map of keys and values, found nothing", ""},
        Wrong{"models: [a]\n", "mlac.yaml line 1: models: expected a map of keys and values, found a list", ""},
        Wrong{"store: [a]\nmodels: {}\n", "mlac.yaml line 1: store: expected a text, found a list", ""},
        Wrong{"store: ''\nmodels: {}\n", "mlac.yaml line 1: store: expected a text, found ''", ""},
        Wrong{"models:\n  topics: 3\n", "mlac.yaml line 2: models.topics: expected a map of keys and values, found '3'", ""},
        Wrong{"models:\n  topics: {data: {train: a, test: b}}\n",
              "mlac.yaml line 2: models.topics: the key 'base' is missing (a folder or a map)",
              "The model to start from: a folder in the Hugging Face layout, NAME@ALIAS or NAME@REVISION of the store, or a model of this "
              "file"},
        Wrong{"models:\n  topics:\n    base: m\n", "mlac.yaml line 2: models.topics: the key 'data' is missing (a map)",
              "Where the texts are"},
        Wrong{With("    gate: [a]\n"), "mlac.yaml line 5: models.topics.gate: there is no such key",
              std::string("did you mean 'gates'? ") + kModelKeys},
        Wrong{With("    publish: true\n"), "mlac.yaml line 5: models.topics.publish: there is no such key", kModelKeys},
        Wrong{With("    task: text-clasification\n"), "mlac.yaml line 5: models.topics.task: there is no 'text-clasification'",
              "did you mean 'text-classification'? there are: " + TaskNames()},
        Wrong{With("    base: {a: b}\n"), "mlac.yaml line 4: models.topics.base.a: there is no such key", "there is: model"},
        Wrong{With("    base: {}\n"), "mlac.yaml line 4: models.topics.base: the key 'model' is missing (a text)",
              "A model of this file: what it is trained and published as is the base, and it is made first"},
        Wrong{
            With("    base: [m]\n"),
            "mlac.yaml line 4: models.topics.base: expected a folder, NAME@ALIAS of the store, or a map with the key 'model', found a list",
            ""},
        Wrong{With("    base: {model: topic}\n"), "mlac.yaml line 4: models.topics.base: there is no model 'topic'",
              "did you mean 'topics'? there is: topics"},
        Wrong{With("    base: {model: topics}\n"), "mlac.yaml line 4: models.topics.base: is made from itself: 'topics' from 'topics'", ""},
        Wrong{"models:\n  a: {base: {model: b}, data: {train: a, test: b}}\n  b: {base: {model: c}, data: {train: a, test: b}}\n"
              "  c:\n    base: {model: b}\n    data: {train: a, test: b}\n",
              "mlac.yaml line 3: models.b.base: is made from itself: 'b' from 'c' from 'b'", ""},
        Wrong{"models:\n  a: {base: m, data: {train: a, test: b}, optimize: {int8: true}}\n"
              "  b: {base: {model: a}, data: {train: a, test: b}}\n",
              "mlac.yaml line 3: models.b.base: the model 'a' becomes int8, which cannot be trained",
              "name a model of the same data and training without 'optimize': what two have in common is done once"},
        Wrong{With("    data: {test: b}\n"), "mlac.yaml line 4: models.topics.data: the key 'train' is missing (a file or a list of files)",
              "What to learn from: CSV, TSV, JSONL, or a folder with a folder of texts for each label, or what the task takes; several "
              "files are joined"},
        Wrong{With("    data: {train: [], test: b}\n"),
              "mlac.yaml line 4: models.topics.data.train: expected a text or a list of texts, found a list", ""},
        Wrong{With("    data: {train: [a, {b: c}], test: b}\n"),
              "mlac.yaml line 4: models.topics.data.train[1]: expected a text, found a map", ""},
        Wrong{With("    data: {train: a}\n"),
              "mlac.yaml line 4: models.topics.data: there is no test data, and figures, tests and gates need texts that are never "
              "trained on",
              "give 'test: FILE', or 'split: {test: 20%}'"},
        Wrong{With("    data: {train: a, test: b, split: {test: 0.2}}\n"),
              "mlac.yaml line 4: models.topics.data: 'test' and 'split' exclude each other", ""},
        Wrong{With("    data: {train: a, split: {test: 100%}}\n"),
              "mlac.yaml line 4: models.topics.data.split.test: expected a share below 1, as 20% or 0.2, found '100%'", ""},
        Wrong{With("    data: {train: a, split: {test: 1/5}}\n"),
              "mlac.yaml line 4: models.topics.data.split.test: expected a share from 0 to 1, as 20% or 0.2, found '1/5'", ""},
        Wrong{With("    data: {train: a, split: {seed: 1}}\n"),
              "mlac.yaml line 4: models.topics.data.split: the key 'test' is missing (a share, as 20% or 0.2)",
              "Share of the rows that become the test data, of each label alike; rows with the same text, context or query stay together"},
        Wrong{With("    data: {train: a, test: b, dedupe: yes}\n"),
              "mlac.yaml line 4: models.topics.data.dedupe: expected true or false, found 'yes'", ""},
        Wrong{With("    data: {train: a, test: b, filter: {min_length: 3}}\n"),
              "mlac.yaml line 4: models.topics.data.filter: expected a list, found a map", ""},
        Wrong{With("    data: {train: a, test: b, filter: [{minlength: 3}]}\n"),
              "mlac.yaml line 4: models.topics.data.filter[0].minlength: there is no such key",
              "did you mean 'min_length'? there are: column, equals, not, min_length, max_length, not_empty"},
        Wrong{With("    train: {epoch: 3}\n"), "mlac.yaml line 5: models.topics.train.epoch: there is no such key",
              "did you mean 'epochs'? " + TrainKeys()},
        Wrong{With("    train: {epochs: 0}\n"),
              "mlac.yaml line 5: models.topics.train.epochs: expected a whole number from 1 to 1000000, found '0'", ""},
        Wrong{With("    train: {epochs: -1}\n"),
              "mlac.yaml line 5: models.topics.train.epochs: expected a whole number from 1 to 1000000, found '-1'", ""},
        Wrong{With("    train: {epochs: 1.5}\n"),
              "mlac.yaml line 5: models.topics.train.epochs: expected a whole number from 1 to 1000000, found '1.5'", ""},
        Wrong{With("    train: {lr: fast}\n"), "mlac.yaml line 5: models.topics.train.lr: expected a number from 0 to 1, found 'fast'", ""},
        Wrong{With("    train: {lr: .nan}\n"), "mlac.yaml line 5: models.topics.train.lr: expected a number from 0 to 1, found '.nan'", ""},
        Wrong{With("    train: {lr: 2}\n"), "mlac.yaml line 5: models.topics.train.lr: expected a number from 0 to 1, found '2'", ""},
        Wrong{With("    train: {seed: 18446744073709551616}\n"),
              "mlac.yaml line 5: models.topics.train.seed: expected a whole number from 0, found '18446744073709551616'", ""},
        Wrong{With("    train: {freeze: 1}\n"), "mlac.yaml line 5: models.topics.train.freeze: expected true or false, found '1'", ""},
        Wrong{With("    train: {multi_label: true, regression: true}\n"),
              "mlac.yaml line 5: models.topics.train: 'multi_label' and 'regression' exclude each other", ""},
        Wrong{With("    train: {regression: true, label_smoothing: 0.1}\n"),
              "mlac.yaml line 5: models.topics.train: 'class_weights' and 'label_smoothing' are for texts with one label each", ""},
        Wrong{With("    task: fill-mask\n    train: {multi_label: true}\n"),
              "mlac.yaml line 6: models.topics.train.multi_label: is for text-classification; this is fill-mask", ""},
        Wrong{With("    task: text-ranking\n    data: {train: a, test: b, text_pair: c}\n"),
              "mlac.yaml line 5: models.topics.data.text_pair: is for text-classification; this is text-ranking", ""},
        Wrong{With("    data: {train: a, test: b, text_pair: text}\n"),
              "mlac.yaml line 4: models.topics.data.text_pair: expected a column of its own for the second text, found 'text' twice", ""},
        Wrong{With("    data: {train: a, test: b, label_separator: ;}\n"),
              "mlac.yaml line 4: models.topics.data.label_separator: a text has one label", "train: {multi_label: true}"},
        Wrong{With("    gates: [accuracy >= 0.5]\n    train: {multi_label: true}\n"),
              "mlac.yaml line 5: models.topics.gates[0]: column 13: there is no figure 'accuracy'",
              "there are: f1, precision, recall, macro_f1, exact_match, loss, num_examples, per_class, size, latency_p50, latency_p99"},
        Wrong{With("    gates: [f1 >= 0.5]\n    train: {regression: true}\n"),
              "mlac.yaml line 5: models.topics.gates[0]: column 13: there is no figure 'f1'",
              "there are: mse, mae, pearson, spearman, loss, num_examples, size, latency_p50, latency_p99"},
        Wrong{With("    train: {regression: true}\n    optimize: {int8: true, metric: mae}\n"),
              "mlac.yaml line 6: models.topics.optimize.metric: there is no 'mae'", "there are: pearson, spearman"},
        Wrong{With("    train: {lora: 0}\n"),
              "mlac.yaml line 5: models.topics.train.lora: expected a whole number from 1 to 4096, found '0'", ""},
        Wrong{With("    train: {lora_alpha: 4}\n"),
              "mlac.yaml line 5: models.topics.train.lora_alpha: stands without 'lora', the rank of the adapter", "lora: 8"},
        Wrong{With("    train: {lora: 8, freeze: true}\n"), "mlac.yaml line 5: models.topics.train: 'lora' and 'freeze' exclude each other",
              ""},
        Wrong{With("    train: {lora: 8, lora_targets: 'query,,value'}\n"),
              "mlac.yaml line 5: models.topics.train.lora_targets: expected names or sizes with ',' between them, found 'query,,value'",
              ""},
        Wrong{With("    train: {label_smoothing: 0.95}\n"),
              "mlac.yaml line 5: models.topics.train.label_smoothing: expected a share from 0 to 0.9, found 0.95", ""},
        Wrong{With("    train: {loss: cosent}\n"),
              "mlac.yaml line 5: models.topics.train.loss: is for sentence-similarity; this is text-classification", ""},
        Wrong{With("    task: sentence-similarity\n    train: {loss: cosine}\n"),
              "mlac.yaml line 6: models.topics.train.loss: there is no 'cosine'",
              "did you mean 'cosent'? there are: multiple-negatives-ranking, cosent, triplet"},
        Wrong{With("    task: sentence-similarity\n    train: {matryoshka: [64, small]}\n"),
              "mlac.yaml line 6: models.topics.train.matryoshka: expected sizes such as 384, 128, 64, found 'small'", ""},
        Wrong{With("    optimize: {max_drop: 1%}\n"),
              "mlac.yaml line 5: models.topics.optimize: 'max_drop' is there and nothing that could drop", "int8: true"},
        Wrong{With("    optimize: {int8: true, max_drop: 101%}\n"),
              "mlac.yaml line 5: models.topics.optimize.max_drop: expected percentage points from 0 to 100, as 0.5%, found '101%'", ""},
        Wrong{With("    data: {train: a, test: b, filter: [{column: c}]}\n"),
              "mlac.yaml line 4: models.topics.data.filter[0]: this holds for every row",
              "equals, not, min_length, max_length or not_empty say for which it does"},
        Wrong{With("    optimize: {int8: true, metric: accuracy}\n"),
              "mlac.yaml line 5: models.topics.optimize: 'metric' is what 'max_drop' looks at, and that is not there", "max_drop: 0.5%"},
        Wrong{With("    task: text-ranking\n    data: {train: a, test: b, target: c}\n"),
              "mlac.yaml line 5: models.topics.data.target: text-ranking knows its columns by their names; the key is for "
              "text-classification",
              ""},
        Wrong{With("    data: {train: a, test: b, validation: c}\n    train: {validation_split: 20%}\n"),
              "mlac.yaml line 5: models.topics.train.validation_split: nothing is set aside where 'data.validation' is there",
              "leave one of the two out"},
        Wrong{With("    gates: [accuracy >= 101%]\n"),
              "mlac.yaml line 5: models.topics.gates[0]: column 25: accuracy is at most 1, which is 100 %; found '101%'", ""},
        Wrong{"models:\n  a: {base: m, data: {train: a, test: b}}\n  a.train: {base: m, data: {train: a, test: b}}\n",
              "mlac.yaml line 3: models.a.train: the store keeps data of the model 'a' under this name", "give it another name"},
        Wrong{With("    optimize: {metric: f1}\n"), "mlac.yaml line 5: models.topics.optimize.metric: there is no 'f1'",
              "there are: accuracy, macro_f1, weighted_f1"},
        Wrong{With("    gates: accuracy >= 1\n"), "mlac.yaml line 5: models.topics.gates: expected a list, found 'accuracy >= 1'", ""},
        Wrong{With("    gates:\n      - acuracy >= 1\n"),
              "mlac.yaml line 6: models.topics.gates[0]: column 9: there is no figure 'acuracy'",
              "did you mean 'accuracy'? there are: accuracy, macro_f1, weighted_f1, loss, num_examples, per_class, size, latency_p50, "
              "latency_p99"},
        Wrong{With("    gates:\n      - accuracy >= 1\n      - 'size <= 100'\n"),
              "mlac.yaml line 7: models.topics.gates[1]: column 21: expected a unit behind the number, found ''",
              "B, KB, MB, GB, KiB, MiB, GiB"},
        Wrong{With("    gates:\n      - {gate: accuracy >= 1}\n"), "mlac.yaml line 6: models.topics.gates[0].gate: there is no such key",
              "there are: require, confident"},
        Wrong{With("    gates:\n      - {confident: true}\n"),
              "mlac.yaml line 6: models.topics.gates[0]: the key 'require' is missing (a text)",
              "The gate, as it stands on a line of its own"},
        Wrong{With("    tests:\n"), "mlac.yaml line 5: models.topics.tests: expected a text, found nothing", ""}));

TEST(Config, ABaseIsAFolderAReferenceOrAModelOfTheFile) {
  const ProjectConfig project = ParseProject(
      "models:\n  a: {base: models/m, data: {train: a, test: b}}\n  b: {base: topics@production, data: {train: a, test: b}}\n"
      "  c: {base: {model: b}, data: {train: a, test: b}}\n",
      "mlac.yaml");
  const auto bases = [&](size_t i) { return std::pair(project.models[i].base, project.models[i].base_model); };
  EXPECT_EQ(bases(0), std::pair(std::string("models/m"), std::string()));
  EXPECT_EQ(bases(1), std::pair(std::string("topics@production"), std::string()));
  EXPECT_EQ(bases(2), std::pair(std::string(), std::string("b")));
  EXPECT_EQ(project.models[2].ShownBase(), "b");
}

TEST(Config, AChainOfTenThousandModelsIsReadAndACycleOfThemRefused) {
  constexpr int kCount = 10'000;
  std::string chain = "models:\n";
  for (int i = 0; i < kCount; ++i) chain += fmt::format("  m{}: {{base: {{model: m{}}}, data: {{train: a, test: b}}}}\n", i, i + 1);
  EXPECT_EQ(ParseProject(chain + fmt::format("  m{}: {{base: m, data: {{train: a, test: b}}}}\n", kCount), "mlac.yaml").models.size(),
            kCount + 1u);
  ExpectError(
      ErrorCode::kInvalidInput,
      "mlac.yaml line 2: models.m0.base: is made from itself: 'm0' from 'm1' from 'm2' from 'm3' from 'm4' from 'm5' from 'm6' from "
      "'m7' from ... 'm0'",
      [&] { ParseProject(chain + fmt::format("  m{}: {{base: {{model: m0}}, data: {{train: a, test: b}}}}\n", kCount), "mlac.yaml"); });
}

TEST(Config, ANameThatTheStoreCannotHaveIsRefused) {
  for (const char* name : {"../x", "a/b", ".hidden", "'a b'", "''"})
    EXPECT_THROW(ParseProject(fmt::format("models:\n  {}: {{base: m, data: {{train: a, test: b}}}}\n", name), "mlac.yaml"), Error) << name;
}

TEST(Config, AFileThatIsNotThereSaysHowToGetOne) {
  const Error error = ExpectError(ErrorCode::kNotFound, "no/mlac.yaml: there is no such file", [] { ReadProject("no/mlac.yaml"); });
  EXPECT_EQ(error.hint(), "'mlac init' writes one; --file names another");
}

TEST(Config, AnUnknownModelBringsTheNearest) {
  const ProjectConfig project = ParseProject(kWhole, "mlac.yaml");
  EXPECT_EQ(ExpectError(ErrorCode::kNotFound, "mlac.yaml: there is no model 'topcis'", [&] { project.Find("topcis"); }).hint(),
            "did you mean 'topics'? there are: topics, small");
}

// The pages are printed by the program; a change of a table changes them in the same commit.
TEST(Reference, PagesAreThoseOfTheTables) {
  const std::string docs = std::string(MLAC_SOURCE) + "/docs/";
  EXPECT_EQ(test::ReadWhole(docs + "mlac-yaml.md"), ProjectReferenceMarkdown()) << "mlac help --mlac-yaml > docs/mlac-yaml.md";
  EXPECT_EQ(test::ReadWhole(docs + "mlac.schema.json"), ProjectSchemaJson()) << "mlac help --mlac-yaml-schema > docs/mlac.schema.json";
  EXPECT_EQ(test::ReadWhole(docs + "mlac-tests.schema.json"), ModelTestsSchemaJson())
      << "mlac help --tests-schema > docs/mlac-tests.schema.json";
}

TEST(Reference, NamesEveryKeyAndEverySection) {
  const std::string page = ProjectReferenceMarkdown();
  for (const std::vector<SectionInfo>& sections : {ProjectSections(), ModelTestSections()})
    for (const SectionInfo& section : sections)
      for (const KeyInfo& key : section.keys) {
        EXPECT_NE(page.find(fmt::format("| `{}` |", key.name)), std::string::npos) << section.title << "." << key.name;
        EXPECT_FALSE(key.description.empty()) << key.name;
        if (key.section.empty()) continue;
        bool found = false;
        for (const SectionInfo& each : sections) found |= each.title == key.section;
        EXPECT_TRUE(found) << key.section;
      }
}

}  // namespace
}  // namespace mlac
