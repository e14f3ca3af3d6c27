// mlac optimize, --dtype and what other commands make of an int8 folder, through the real binary on tiny folders that the reference wrote.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/instruction_set.h"
#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string kClassifier = test::FixturePath("models/classifier");
const std::string kEncoder = test::FixturePath("models/st_mean");
const std::string kUsageHint = "hint: 'mlac help optimize' shows what it takes\n";

void ExpectFailure(const ProgramResult& result, int status, const std::string& error) {
  EXPECT_EQ(result.status, status);
  EXPECT_EQ(result.error, error);
  EXPECT_EQ(result.out, "");
}

// Texts of the fixtures' vocabulary, all different.
std::vector<std::string> Texts(size_t count) {
  static constexpr const char* kWords[] = {"cat", "dog", "red", "blue", "water", "light", "time", "people", "night", "small", "large", "open"};
  std::vector<std::string> texts;
  for (size_t i = 0; i < count; ++i) {
    std::string text;
    for (size_t rest = i + 1; rest > 0; rest /= 12) text += std::string(text.empty() ? "" : " ") + kWords[rest % 12];
    texts.push_back(text);
  }
  return texts;
}

// The label that the model gives each text.
std::vector<std::string> Labels(const std::string& model, const std::vector<std::string>& texts) {
  std::string in;
  for (const std::string& text : texts) in += text + "\n";
  const ProgramResult result = RunMlac({"run", "text-classification", "-m", model, "--json"}, {.in = in});
  EXPECT_EQ(result.status, 0) << result.error;
  std::vector<std::string> labels;
  for (const json& answer : json::parse(result.out)) labels.push_back((answer.is_array() ? answer[0] : answer).at("label"));
  return labels;
}

std::string Csv(const std::vector<std::string>& texts, const std::vector<std::string>& labels) {
  std::string csv = "text,label\n";
  for (size_t i = 0; i < texts.size(); ++i) csv += texts[i] + "," + labels[i] + "\n";
  return csv;
}

class Optimize : public testing::Test {
 protected:
  // mlac optimize of the classifier with these arguments besides.
  ProgramResult Execute(std::vector<std::string> arguments, const std::string& model = kClassifier) {
    arguments.insert(arguments.begin(), {"optimize", model, "--out", folder / "out", "--threads", "1", "--lengths", "4"});
    return RunMlac(arguments);
  }
  bool written() const { return fs::exists(folder / "out"); }
  // Nothing but what the test itself put there.
  void ExpectNothingWritten(const std::vector<std::string>& there = {}) { EXPECT_EQ(folder.List(), there); }

  test::TemporaryFolder folder;
};

TEST_F(Optimize, WrongArgumentsAreOneLineAndStatusTwo) {
  ExpectFailure(Execute({}), 2, "mlac: nothing to do\nhint: --int8 is what there is\n");
  ExpectFailure(Execute({"--int8", "--max-drop", "1%"}), 2, "mlac: --max-drop needs labelled texts: --data FILE\n");
  const std::string data = folder.Write("data.csv", "text,label\ncat,negative\n");
  for (const char* bad : {"much", "-1", "101", "%", "1%%", "nan", "1 %%"})
    ExpectFailure(Execute({"--int8", "--data", data, std::string("--max-drop=") + bad}), 2,
                  std::string("mlac: --max-drop is '") + bad + "'; expected percentage points from 0 to 100, as '0.5%'\n");
  ExpectFailure(Execute({"--int8", "--metric", "f1"}), 2, "mlac: optimize: --metric: f1 not in {accuracy,macro_f1,weighted_f1}\n" + kUsageHint);
  ExpectFailure(RunMlac({"optimize", kClassifier, "--int8"}), 2, "mlac: optimize: --out is required\n" + kUsageHint);
  ExpectNothingWritten({"data.csv"});
}

TEST_F(Optimize, WhatCannotWorkIsRefusedBeforeAnythingIsWritten) {
  ExpectFailure(Execute({"--int8"}, "./none"), 1,
                "mlac: ./none: there is no such folder\nhint: a model is a folder with config.json and model.safetensors\n");
  const std::string data = folder.Write("data.csv", "text,label\ncat,negative\n");
  ExpectFailure(Execute({"--int8", "--data", data, "--max-drop", "1"}, kEncoder), 1,
                "mlac: " + kEncoder + ": --max-drop compares a classifier's figures; the model has no classification head\n");
  ExpectNothingWritten({"data.csv"});
  const std::string inner = folder.Write("out/inside.csv", "text,label\ncat,negative\n");
  ExpectFailure(Execute({"--int8"}), 1, "mlac: " + (folder / "out") + ": exists already\nhint: --overwrite replaces it\n");
  ExpectFailure(Execute({"--int8", "--overwrite", "--data", inner}), 1,
                "mlac: " + (folder / "out") + ": --data " + inner + " lies in it and would be replaced with it\nhint: choose another --out\n");
  fs::copy(kClassifier, folder / "out/model");
  ExpectFailure(Execute({"--int8", "--overwrite"}, folder / "out/model"), 1,
                "mlac: " + (folder / "out") + ": --model " + (folder / "out/model") + " lies in it and would be replaced with it\nhint: choose another --out\n");
  EXPECT_TRUE(fs::exists(inner));
  EXPECT_TRUE(fs::exists(folder / "out/model/model.safetensors"));
}

TEST_F(Optimize, ALengthThatTheModelDoesNotTakeIsRefusedAndNothingStays) {
  const ProgramResult result = RunMlac({"optimize", kClassifier, "--int8", "--out", folder / "out", "--lengths", "16,65"});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("mlac: a length of 65 tokens; the model takes 1 to 64\n"), std::string::npos) << result.error;
  EXPECT_EQ(result.out, "");
  ExpectNothingWritten();
}

TEST_F(Optimize, LengthsAreByDefaultThoseThatTheModelTakes) {
  const ProgramResult result = RunMlac({"optimize", kClassifier, "--int8", "--out", folder / "out", "--threads", "1", "--json"});
  ASSERT_EQ(result.status, 0) << result.error;
  const json found = json::parse(result.out);
  ASSERT_EQ(found.at("latency").size(), 2u);
  EXPECT_EQ(found.at("latency")[0].at("tokens"), 16);
  EXPECT_EQ(found.at("latency")[1].at("tokens"), 64);
  EXPECT_EQ(found.at("throughput").at("tokens"), 64);
}

TEST_F(Optimize, JsonIsWhatTheFolderKeeps) {
  const std::vector<std::string> texts = Texts(20);
  const std::string data = folder.Write("data.csv", Csv(texts, Labels(kClassifier, texts)));
  const ProgramResult result = Execute({"--int8", "--json", "--data", data});
  ASSERT_EQ(result.status, 0) << result.error;
  json told = json::parse(result.out);
  EXPECT_EQ(told.at("refused"), false);
  told.erase("refused");
  EXPECT_EQ(told, json::parse(test::ReadWhole(folder / "out/optimization.json")));
  const json found = json::parse(result.out);
  EXPECT_EQ(found.at("format_version"), 1);
  EXPECT_LT(found.at("bytes").at("after"), found.at("bytes").at("before"));
  EXPECT_EQ(found.at("metric").at("name"), "accuracy");
  EXPECT_EQ(found.at("metric").at("data"), "data.csv");
  EXPECT_EQ(found.at("metric").at("num_examples"), 20);
  EXPECT_EQ(found.at("metric").at("before"), 1.0);
  EXPECT_FALSE(found.contains("embedding"));
  for (const char* when : {"before_ms", "after_ms"}) EXPECT_GT(found.at("latency")[0].at(when).at("p50"), 0);
  EXPECT_EQ(RunMlac({"run", "text-classification", "-m", folder / "out", "cat"}).status, 0);
}

// Every label is the f32 model's own answer, so whatever int8 answers otherwise is a drop. Its bits are those of every machine, and so is the number.
TEST_F(Optimize, ADropAboveTheBoundIsRefusedAndNothingStays) {
  const std::vector<std::string> texts = Texts(600), labels = Labels(kClassifier, texts);
  ASSERT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), 3u);
  const std::string data = folder.Write("data.csv", Csv(texts, labels));
  const ProgramResult result = Execute({"--int8", "--data", data, "--max-drop", "0%", "--json"});
  EXPECT_EQ(result.status, 1);
  const json told = json::parse(result.out), metric = told.at("metric");  // what was measured is shown all the same
  EXPECT_EQ(told.at("refused"), true);
  EXPECT_TRUE(told.at("refusal").get<std::string>().starts_with("accuracy drops by "));
  const double after = metric.at("after");
  ASSERT_LT(after, 1.0) << "int8 changes none of these answers: choose other texts";
  const std::string message = fmt::format(
      "mlac: refused: accuracy drops by {:.2f} percentage points on data.csv, from 1.0000 to {:.4f}; --max-drop allows 0%: nothing was written\n",
      100 * (1 - after), after);
  EXPECT_TRUE(result.error.ends_with(message)) << result.error << message;
  ExpectNothingWritten({"data.csv"});

  EXPECT_EQ(Execute({"--int8", "--data", data, "--max-drop", "100"}).status, 0);
  EXPECT_TRUE(written());
  // The difference is that of the answers.
  const std::vector<std::string> now = Labels(folder / "out", texts);
  size_t num_equal = 0;
  for (size_t i = 0; i < texts.size(); ++i) num_equal += now[i] == labels[i];
  EXPECT_EQ(after, static_cast<double>(num_equal) / static_cast<double>(texts.size()));

  // Where int8 answers as before there is no drop, and 0 is kept.
  std::vector<std::string> same_texts, same_labels;
  for (size_t i = 0; i < texts.size(); ++i)
    if (now[i] == labels[i]) same_texts.push_back(texts[i]), same_labels.push_back(labels[i]);
  const std::string same = folder.Write("same.csv", Csv(same_texts, same_labels));
  EXPECT_EQ(Execute({"--int8", "--overwrite", "--data", same, "--max-drop", "0"}).status, 0);
}

TEST_F(Optimize, ComparesTheVectorsOfAnEncoder) {
  const std::string data = folder.Write("texts.csv", "text\ncat\nred dog\nthe small light of the night\n");
  const ProgramResult result = Execute({"--int8", "--data", data, "--json"}, kEncoder);
  ASSERT_EQ(result.status, 0) << result.error;
  const json found = json::parse(result.out).at("embedding");
  EXPECT_EQ(found.at("num_texts"), 3);
  EXPECT_EQ(found.at("data"), "texts.csv");
  EXPECT_GT(found.at("lowest_cosine"), 0.99);
  EXPECT_GE(found.at("mean_cosine"), found.at("lowest_cosine"));
  EXPECT_LE(found.at("mean_cosine"), 1.000001);
  const ProgramResult table = Execute({"--int8", "--data", data, "--overwrite"}, kEncoder);
  EXPECT_NE(table.out.find("cosine of each text's vector before and after, 3 texts of texts.csv: mean 0.99"), std::string::npos) << table.out;
}

// The vectors that are compared are those that the folders give, with the prompt that they put before each text.
TEST_F(Optimize, ComparesTheVectorsThatRunGives) {
  const std::string encoder = folder / "encoder";
  fs::copy(kEncoder, encoder, fs::copy_options::recursive);
  folder.Write("encoder/config_sentence_transformers.json",
               R"({"prompts": {"query": "the small light of "}, "default_prompt_name": "query"})");
  const std::string data = folder.Write("texts.csv", "text\ncat\nred dog\n");
  const ProgramResult result = Execute({"--int8", "--data", data, "--json"}, encoder);
  ASSERT_EQ(result.status, 0) << result.error;
  const auto vectors = [&](const std::string& model) {
    return json::parse(RunMlac({"run", "feature-extraction", "-m", model, "--json", "cat", "red dog"}).out).get<std::vector<std::vector<double>>>();
  };
  const auto before = vectors(encoder), after = vectors(folder / "out"), bare = vectors(kEncoder);
  const auto cosine = [](const std::vector<double>& a, const std::vector<double>& b) {
    double product = 0, a_squares = 0, b_squares = 0;
    for (size_t i = 0; i < a.size(); ++i) product += a[i] * b[i], a_squares += a[i] * a[i], b_squares += b[i] * b[i];
    return product / std::sqrt(a_squares * b_squares);
  };
  ASSERT_LT(cosine(before[0], bare[0]), 0.999) << "the prompt changes nothing";
  const double first = cosine(before[0], after[0]), second = cosine(before[1], after[1]);
  const json found = json::parse(result.out).at("embedding");
  EXPECT_NEAR(found.at("mean_cosine").get<double>(), (first + second) / 2, 1e-5);
  EXPECT_NEAR(found.at("lowest_cosine").get<double>(), std::min(first, second), 1e-5);
}

// A folder as mlac trained it, with a card of which some holds for its int8 copy.
std::string TrainedFolder(const test::TemporaryFolder& folder) {
  fs::copy(kClassifier, folder / "topics", fs::copy_options::recursive);
  folder.Write("topics/training.json", R"({"format_version": 1, "reading": {"text-column": "text"}})");
  folder.Write("topics/learning-curves.svg", "<svg/>");
  folder.Write("topics/README.md",
               "---\nlicense: \"apache-2.0\"\nlanguage:\n- en\nlibrary_name: mlac\npipeline_tag: text-classification\nbase_model: "
               "\"minilm\"\nmetrics:\n- accuracy\n"
               "model-index:\n- name: text-classification\n  results:\n  - value: 0.9991\n---\n\n# Text classifier\n\nOn 60 test examples: "
               "accuracy 0.9991.\n\n"
               "## How to use it\n\n```sh\nmlac run text-classification -m . \"your text here\" --top-k all\n```\n\n"
               "## Data\n\n| part | file | rows |\n| --- | --- | ---: |\n| train | train.csv | 252 |\n\n## Metrics\n\nF1 "
               "0.9991\n\n![Learning curves](learning-curves.svg)\n\n"
               "## Training\n\nThe same data, parameters and version give the same files, byte for byte.\n");
  return folder / "topics";
}

TEST_F(Optimize, ItsCardSpeaksOfTheseWeightsAlone) {
  const std::vector<std::string> texts = Texts(20);
  const std::string data = folder.Write("data.csv", Csv(texts, Labels(kClassifier, texts))), base = TrainedFolder(folder);
  ASSERT_EQ(Execute({"--int8", "--data", data, "--max-drop", "50%"}, base).status, 0);
  const std::string card = test::ReadWhole(folder / "out/README.md");
  for (const char* said :
       {"license: \"apache-2.0\"\nlanguage:\n- en\nlibrary_name: mlac\n", "base_model: \"topics\"\nbase_model_relation: quantized\n",
        "# topics in int8\n", "Labels, as of the base: negative, neutral and positive.", "Licence, as of the base: apache-2.0.",
        "\n| weights | ", "Measured on data.csv, 20 texts.", "mlac run text-classification -m . \"your text here\" --top-k all\n",
        "## Data of the base\n", "| train | train.csv | 252 |", "mlac optimize topics --int8 --out OUT --data data.csv --max-drop 50%\n",
        "model-index:\n", "      name: \"data.csv\"\n"})
    EXPECT_NE(card.find(said), std::string::npos) << said << "\nin\n" << card;
  for (const char* of_the_base : {"0.9991", ".svg", "minilm", "the same files, byte for byte"})
    EXPECT_EQ(card.find(of_the_base), std::string::npos) << of_the_base << "\nin\n" << card;
  ASSERT_EQ(Execute({"--int8", "--data", data, "--max-drop", "50%", "--overwrite"}, base).status, 0);
  EXPECT_EQ(test::ReadWhole(folder / "out/README.md"), card) << "times are no part of it";
}

TEST_F(Optimize, ItsCardSaysWhatWasNotMeasured) {
  ASSERT_EQ(Execute({"--int8"}).status, 0);
  const std::string classifier = test::ReadWhole(folder / "out/README.md");
  EXPECT_NE(classifier.find("\nNot measured: "), std::string::npos) << classifier;
  EXPECT_EQ(classifier.find("model-index"), std::string::npos) << classifier;
  EXPECT_NE(classifier.find("pipeline_tag: text-classification\n"), std::string::npos) << classifier;
  const std::string data = folder.Write("texts.csv", "text\ncat\nred dog\n");
  ASSERT_EQ(Execute({"--int8", "--overwrite", "--data", data}, kEncoder).status, 0);
  const std::string encoder = test::ReadWhole(folder / "out/README.md");
  EXPECT_NE(encoder.find("Measured on texts.csv, 2 texts: the cosine of a text's vector here with that of st\\_mean is 0.99"),
            std::string::npos)
      << encoder;
  EXPECT_EQ(encoder.find("model-index"), std::string::npos) << encoder;
  EXPECT_NE(encoder.find("pipeline_tag: sentence-similarity\n"), std::string::npos) << encoder;
}

// A stranger's card is taken for no more than its licence.
TEST_F(Optimize, ItsCardTakesNoFiguresFromAStrangersCard) {
  for (const char* card : {"", "---", "---\nlicense: mit\n", "---\nlicense: mit\n---\n# Best model\n\n## Data\n\n![x](x.png)\n", "\xff\xfe",
                           "## Data\nall of it\n"}) {
    SCOPED_TRACE(card);
    const test::TemporaryFolder stranger;
    fs::copy(kClassifier, stranger / "model", fs::copy_options::recursive);
    stranger.Write("model/README.md", card);
    ASSERT_EQ(Execute({"--int8", "--overwrite"}, stranger / "model").status, 0);
    const std::string found = test::ReadWhole(folder / "out/README.md");
    for (const char* theirs : {"Best model", "Data", "x.png", "all of it"}) EXPECT_EQ(found.find(theirs), std::string::npos) << found;
    EXPECT_EQ(found.find("license: mit\n") != std::string::npos, std::string(card).find("Best") != std::string::npos) << found;
  }
}

TEST_F(Optimize, RefusesAFolderThatIsQuantisedAlready) {
  ASSERT_EQ(Execute({"--int8"}).status, 0);
  ExpectFailure(RunMlac({"optimize", folder / "out", "--int8", "--out", folder / "again"}), 1,
                "mlac: " + (folder / "out") + "/config.json: the model is quantised already\nhint: give the model that it was made from\n");
  EXPECT_FALSE(fs::exists(folder / "again"));
}

TEST_F(Optimize, InspectShowsTheParametersOfTheModelAndBothTypes) {
  ASSERT_EQ(Execute({"--int8"}).status, 0);
  const json before = json::parse(RunMlac({"inspect", kClassifier, "--json"}).out);
  const json after = json::parse(RunMlac({"inspect", folder / "out", "--json"}).out);
  EXPECT_EQ(after.at("weights").at("num_parameters"), before.at("weights").at("num_parameters"));
  EXPECT_LT(after.at("weights").at("num_bytes"), before.at("weights").at("num_bytes"));
  EXPECT_EQ(after.at("tasks"), before.at("tasks"));
  EXPECT_EQ(after.at("labels"), before.at("labels"));
  EXPECT_GT(after.at("weights").at("num_tensors_by_dtype").at("I8"), 0);
  const ProgramResult text = RunMlac({"inspect", folder / "out"});
  EXPECT_EQ(text.status, 0) << text.error;
  EXPECT_NE(text.out.find(" tensors of F32, I8, "), std::string::npos) << text.out;
}

// --dtype bf16 is refused where it would not be faster, unless that is asked for.
TEST(Dtype, Bf16NeedsAProcessorThatMultipliesItOrConsent) {
  const ProgramOptions narrow = {.environment = {"MLAC_ISA=avx2"}};
  const std::string refusal =
      "mlac: --dtype bf16: this processor multiplies no bf16 (AMX or AVX512-BF16), so it would not be faster\n"
      "hint: --allow-slow computes it all the same, rounded to bf16 and multiplied in f32\n";
  ExpectFailure(RunMlac({"run", "feature-extraction", "-m", kEncoder, "--dtype", "bf16", "cat"}, narrow), 1, refusal);
  ExpectFailure(RunMlac({"serve", kEncoder, "--port", "0", "--dtype", "bf16"}, narrow), 1, refusal);
  ExpectFailure(RunMlac({"run", "feature-extraction", "-m", kEncoder, "--dtype", "f16", "cat"}), 2,
                "mlac: run feature-extraction: --dtype: f16 not in {f32,bf16}\nhint: 'mlac help run feature-extraction' shows what it takes\n");
  const auto vector = [](std::vector<std::string> arguments, const ProgramOptions& options) {
    arguments.insert(arguments.begin(), {"run", "feature-extraction", "-m", kEncoder, "--json", "the small dog"});
    const ProgramResult result = RunMlac(arguments, options);
    EXPECT_EQ(result.status, 0) << result.error;
    return json::parse(result.out)[0].get<std::vector<float>>();
  };
  const std::vector<float> f32 = vector({}, {}), slow = vector({"--dtype", "bf16", "--allow-slow"}, narrow);
  EXPECT_NE(slow, f32);
  for (size_t i = 0; i < f32.size(); ++i) EXPECT_NEAR(slow[i], f32[i], 0.02) << i;
  EXPECT_EQ(vector({"--dtype", "f32", "--allow-slow"}, narrow), f32);
  if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone) return;
  const std::vector<float> fast = vector({"--dtype", "bf16"}, {});
  for (size_t i = 0; i < f32.size(); ++i) EXPECT_NEAR(fast[i], f32[i], 0.02) << i;
}

}  // namespace
}  // namespace mlac
