// Training of adapters: the base stays as it is, the adapter is a function of its inputs alone, and it is opened again with its base.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "models/adapter.h"
#include "models/model_folder.h"
#include "optimize/merged_folder.h"
#include "pipelines/text_model.h"
#include "tensor/safetensors.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "tests/train/silent_training.h"
#include "tests/train/tiny_training.h"
#include "train/fine_tune.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::FixturePath;
using test::SameBits;
using test::Silent;
using test::Words;

// What a text speaks of.
std::string Topics() {
  Random random(1);
  std::string rows = "text,label\n";
  for (int i = 0; i < 90; ++i)
    rows += fmt::format("{} {} {},{}\n", i % 2 == 0 ? "cat" : "red", Words(random, 3), i, i % 2 == 0 ? "animal" : "colour");
  return rows;
}

// "cat" and what follows it is an animal.
std::string Tags() {
  Random random(4);
  std::string lines;
  for (int i = 0; i < 60; ++i) {
    for (int w = static_cast<int>(1 + random.Below(3)); w > 0; --w) lines += Words(random, 1) + " O\n";
    if (i % 4 != 0) lines += "cat B-ANIMAL\nwaterlight I-ANIMAL\n";
    lines += "night O\n\n";
  }
  return lines;
}

struct Kind {
  const char *name, *task, *file;
  std::string (*content)();
  const char* base;
};
void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }

class Lora : public testing::TestWithParam<Kind> {
 protected:
  FineTuneOptions Options() {
    folder.Write(GetParam().file, GetParam().content());
    FineTuneOptions options;
    options.model = FixturePath(GetParam().base);
    options.data = folder / GetParam().file;
    options.out = folder / "out";
    options.command = "mlac train";
    options.training = {.num_epochs = 2, .learning_rate = 1e-2, .batch_size = 8};
    options.lora = {.rank = 4, .dropout = 0.1};
    return options;
  }

  static std::map<std::string, std::string> ContentOf(const std::string& path) {
    std::map<std::string, std::string> content;
    for (const auto& entry : fs::recursive_directory_iterator(path))
      if (entry.is_regular_file()) content[fs::relative(entry.path(), path).string()] = test::ReadWhole(entry.path().string());
    return content;
  }

  test::TemporaryFolder folder;
  Silent observer;
};

TEST_P(Lora, WritesTheSameBytesForAnyThreadsPartsAndInterruptions) {
  FineTuneOptions options = Options();
  FineTune(GetParam().task, options, observer, observer.stop);
  const std::map<std::string, std::string> expected = ContentOf(options.out);
  EXPECT_FALSE(expected.contains("model.safetensors"));
  EXPECT_TRUE(expected.contains(kAdapterConfigFile) && expected.contains(kAdapterWeightsFile));
  for (const size_t num_threads : {2, 3}) {
    options.training.num_threads = num_threads;
    options.training.max_tokens = num_threads * 15;
    options.training.gradient_checkpointing = num_threads == 3;
    options.out = folder / fmt::format("{} threads", num_threads);
    FineTune(GetParam().task, options, observer, observer.stop);
    EXPECT_EQ(ContentOf(options.out), expected) << num_threads << " threads, parts of " << options.training.max_tokens << " tokens";
  }
  options.out = folder / "broken";
  observer.stop_after = 7;
  try {
    FineTune(GetParam().task, options, observer, observer.stop);
    FAIL() << "was not interrupted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCancelled) << error.message();
  }
  const SafetensorsFile checkpoint(std::make_shared<const MappedFile>(options.out + "/checkpoint/training.safetensors"));
  for (const TensorInfo& tensor : checkpoint.tensors()) EXPECT_EQ(tensor.name.find("embeddings"), std::string::npos) << tensor.name;
  observer.stop = false;
  observer.stop_after = 0;
  options.resume = true;
  FineTune(GetParam().task, options, observer, observer.stop);
  EXPECT_EQ(observer.resumed, 7u);
  EXPECT_EQ(ContentOf(options.out), expected) << "resumed";
  EXPECT_TRUE(FineTune(GetParam().task, options, observer, observer.stop).training.step_losses.empty()) << "was there already";
  options.lora.alpha = 5;
  EXPECT_THROW(FineTune(GetParam().task, options, observer, observer.stop), Error) << "is of another run";
}

TEST_P(Lora, LearnsAndOpensAgainWithItsBase) {
  FineTuneOptions options = Options();
  options.training.num_epochs = 15;
  options.training.patience = 0;
  options.training.gradient_accumulation = 2;
  options.training.layer_decay = 0.9;
  options.lora.targets = {kAllLinear};
  const std::map<std::string, std::string> before = ContentOf(options.model);
  const FineTuneResult result = FineTune(GetParam().task, options, observer, observer.stop);
  EXPECT_EQ(ContentOf(options.model), before);
  const nlohmann::json metrics = nlohmann::json::parse(result.metrics_json);
  EXPECT_GT(metrics.at(metrics.contains("f1") ? "f1" : "accuracy").get<double>(), 0.75) << metrics;
  ASSERT_FALSE(observer.notes.empty());
  EXPECT_TRUE(observer.notes.back().starts_with("LoRA, rank 4, alpha 8, dropout 0.1, of all-linear: ")) << observer.notes.back();
  const EvaluationOptions evaluation = {.model = options.model, .adapter = options.out, .data = options.data};
  const EvaluationResult adapted = Evaluate(evaluation);
  EXPECT_EQ(adapted.figures.figures.front().name, result.figures.figures.front().name);
  const std::string merged = folder / "merged";
  fs::create_directory(merged);
  WriteMergedFolder(options.model, options.out, merged);
  const EvaluationResult plain = Evaluate({.model = merged, .data = options.data});
  for (size_t i = 0; i < plain.figures.figures.size(); ++i) EXPECT_NEAR(plain.figures.figures[i].value, adapted.figures.figures[i].value, 1e-6);
  EXPECT_NE(test::ReadWhole(options.out + "/README.md").find(" --adapter . "), std::string::npos);
  const nlohmann::json parameters = ReadJsonFile(options.out + "/training.json").at("parameters");
  EXPECT_EQ(parameters.at("LoRA"), "rank 4, alpha 8, dropout 0.1, of all-linear");
  EXPECT_EQ(parameters.at("gradient accumulation"), "2 batches a step");
  EXPECT_EQ(parameters.at("layer decay"), "0.9");
}

INSTANTIATE_TEST_SUITE_P(All, Lora,
                         testing::Values(Kind{"TextsOverBert", "text-classification", "train.csv", Topics, "models/classifier"},
                                         Kind{"TokensOverDistilBert", "token-classification", "train.conll", Tags, "families/distilbert"},
                                         Kind{"TextsOverMpnet", "text-classification", "train.csv", Topics, "families/mpnet_vocab_only"}),
                         [](const testing::TestParamInfo<Kind>& info) { return std::string(info.param.name); });

// Pairs of texts, and queries with documents: what is measured in training is what the adapter gives with its base.
TEST(LoraTraining, AdaptsEmbeddingsAndCrossEncoders) {
  const std::pair<const char*, const char*> kinds[] = {{"sentence-similarity", "anchor,positive"}, {"text-ranking", "query,document,label"}};
  for (const auto& [task, header] : kinds) {
    SCOPED_TRACE(task);
    test::TemporaryFolder folder;
    Random random(3);
    std::string rows = std::string(header) + "\n";
    for (int i = 0; i < 60; ++i) {
      const std::string label = std::string(task) == "text-ranking" ? (i % 2 == 0 ? ",1" : ",0") : "";
      rows += fmt::format("{} {},{} {}{}\n", Words(random, 2), i / 2, i % 2 == 0 ? "cat" : "dog", Words(random, 2), label);
    }
    FineTuneOptions options;
    options.model = FixturePath("models/st_mean");
    options.data = options.test = folder.Write("rows.csv", rows);
    options.out = folder / "out";
    options.training = {.num_epochs = 2, .learning_rate = 1e-2, .batch_size = 8};
    options.lora = {.rank = 4};
    Silent observer;
    const FineTuneResult result = FineTune(task, options, observer, observer.stop);
    const EvaluationResult again = Evaluate({.model = options.model, .adapter = options.out, .data = options.data});
    ASSERT_EQ(again.figures.figures.size(), result.figures.figures.size());
    for (size_t i = 0; i < again.figures.figures.size(); ++i)
      EXPECT_NEAR(again.figures.figures[i].value, result.figures.figures[i].value, 1e-6) << result.figures.figures[i].name;
    const std::string merged = folder / "merged";
    std::filesystem::create_directory(merged);
    WriteMergedFolder(options.model, options.out, merged);
    EXPECT_EQ(ReadJsonFile(merged + "/config.json").value("sentence_transformers", nlohmann::json()),
              ReadJsonFile(options.out + "/config.json").value("sentence_transformers", nlohmann::json()));
  }
}

TEST(LoraTraining, MovesNothingButTheAdapterAndTheHead) {
  const std::string folder = FixturePath("models/classifier");
  const std::shared_ptr<Model> base = OpenBase(folder);
  AdapterConfig config;
  test::TinyRun run;
  run.model =
      MakeAdapted(base, folder, {.head = Head::kSequenceClassification, .num_labels = test::kTinyLabels, .seed = 7}, {.rank = 2}, config);
  std::vector<std::vector<float>> before;
  for (const Parameter& parameter : base->parameters().parameters())
    before.emplace_back(parameter.value.floats().begin(), parameter.value.floats().end());
  run.Train();
  size_t i = 0;
  for (const Parameter& parameter : base->parameters().parameters()) {
    EXPECT_TRUE(SameBits(parameter.value.floats(), before[i++])) << parameter.name;
    EXPECT_FALSE(parameter.gradient.defined() || parameter.trainable) << parameter.name;
  }
  for (const LoraModule& module : run.model->parameters().loras())
    EXPECT_TRUE(std::any_of(module.b->value.floats().begin(), module.b->value.floats().end(), [](float x) { return x != 0; }))
        << module.name;
}

TEST(LoraTraining, RefusesToFreezeWhatItTrains) {
  test::TemporaryFolder folder;
  folder.Write("train.csv", Topics());
  FineTuneOptions options;
  options.model = FixturePath("models/classifier");
  options.data = folder / "train.csv";
  options.out = folder / "out";
  options.lora = {.rank = 4};
  options.training.freeze = true;
  Silent observer;
  ExpectError(ErrorCode::kInvalidArgument, "--lora and --freeze exclude each other",
              [&] { FineTune("text-classification", options, observer, observer.stop); });
}

}  // namespace
}  // namespace mlac
