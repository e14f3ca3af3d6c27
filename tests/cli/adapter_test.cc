// Adapters through the real binary: train, run, eval, inspect, merge, and what is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;

const std::string kBase = test::FixturePath("models/classifier");
const std::string kPeft = test::FixturePath("adapters/bert");

void ExpectFailure(const ProgramResult& result, int status, const std::string& error) {
  EXPECT_EQ(result.status, status);
  EXPECT_EQ(result.error, error);
  EXPECT_EQ(result.out, "");
}

class Adapter : public testing::Test {
 protected:
  void SetUp() override {
    std::string rows = "text,label\n";
    for (int i = 0; i < 60; ++i)
      rows += std::string(i % 2 == 0 ? "cat " : "red ") + std::to_string(i) + (i % 2 == 0 ? ",animal\n" : ",colour\n");
    data = folder.Write("train.csv", rows);
  }

  ProgramResult Train(std::vector<std::string> more) {
    std::vector<std::string> arguments = {"train", "text-classification", "-m",       kBase, "--data", data,
                                          "--out", folder / "lora",       "--epochs", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunMlac(arguments);
  }

  test::TemporaryFolder folder;
  std::string data;
};

TEST_F(Adapter, IsTrainedUsedMeasuredAndMerged) {
  const ProgramResult trained = Train({"--lora", "4", "--lora-targets", "query,key"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  EXPECT_NE(trained.error.find("LoRA, rank 4, alpha 8, dropout 0, of query, key: "), std::string::npos) << trained.error;
  const json record = json::parse(test::ReadWhole(folder / "lora/training.json"));
  EXPECT_EQ(record.at("parameters").at("learning rate"), "0.0005");
  EXPECT_EQ(record.at("command"),
            "mlac train text-classification --model classifier --data train.csv --out OUT --epochs 1 --lora 4 --lora-targets query,key");
  const ProgramResult adapted = RunMlac({"run", "text-classification", "-m", kBase, "--adapter", folder / "lora", "cat 1", "--json"});
  ASSERT_EQ(adapted.status, 0) << adapted.error;
  EXPECT_EQ(RunMlac({"eval", kBase, "--adapter", folder / "lora", "--data", data, "--json"}).status, 0);
  const ProgramResult merged = RunMlac({"merge", "-m", kBase, "--adapter", folder / "lora", "--out", folder / "merged", "--json"});
  ASSERT_EQ(merged.status, 0) << merged.error;
  EXPECT_EQ(json::parse(merged.out).at("num_layers"), 4);
  const ProgramResult plain = RunMlac({"run", "text-classification", "-m", folder / "merged", "cat 1", "--json"});
  const json one = json::parse(adapted.out)[0], other = json::parse(plain.out)[0];
  EXPECT_EQ(one.at("label"), other.at("label"));
  EXPECT_NEAR(one.at("score").get<double>(), other.at("score").get<double>(), 1e-5);
  EXPECT_EQ(RunMlac({"merge", "-m", kBase, "--adapter", folder / "lora", "--out", folder / "merged"}).status, 1);
  EXPECT_EQ(RunMlac({"merge", "-m", kBase, "--adapter", folder / "lora", "--out", folder / "merged", "--overwrite"}).out,
            (folder / "merged") + ": the adapter of rank 4 is merged into 4 layers\n");
}

TEST_F(Adapter, WhatItIsMergedIntoHasACardOfItsOwn) {
  std::filesystem::copy(kBase, folder / "base", std::filesystem::copy_options::recursive);
  folder.Write("base/README.md", "---\nlicense: mit\nlanguage: en\n---\n\n# The base\n\nIts accuracy is 0.9991.\n");
  const std::vector<std::string> train = {"train", "text-classification", "-m",       folder / "base", "--data", data,
                                          "--out", folder / "lora",       "--epochs", "1",             "--lora", "4"};
  ASSERT_EQ(RunMlac(train).status, 0);
  const auto card_of = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"merge", "-m", folder / "base", "--adapter", folder / "lora", "--out", folder / "merged"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(RunMlac(arguments).status, 0);
    return test::ReadWhole(folder / "merged/README.md");
  };
  const std::string card = card_of({});
  for (const char* said :
       {"license: mit\nlanguage: en\n", "pipeline_tag: text-classification\nbase_model: \"base\"\nbase_model_relation: finetune\n", "# base with lora\n",
        "Labels, as of the adapter: animal and colour.", "Licence, as of the base: mit.", "\n| rank | 4 |\n| alpha | 8 |\n", "Not measured of these weights.",
        "\nmlac run text-classification -m . ", "## Data of the adapter\n", "| train | train.csv | ", "mlac merge -m base --adapter lora --out OUT\n"})
    EXPECT_NE(card.find(said), std::string::npos) << said << "\nin\n" << card;
  for (const std::string& of_another : {std::string("0.9991"), std::string("The base"), folder.path(), std::string("--adapter . ")})
    EXPECT_EQ(card.find(of_another), std::string::npos) << of_another << "\nin\n" << card;
  EXPECT_EQ(card_of({"--overwrite"}), card);
}

TEST_F(Adapter, AnEncoderThatItIsMergedIntoDoesNotKeepTheCardOfItsBase) {
  std::filesystem::copy(test::FixturePath("models/st_mean"), folder / "encoder", std::filesystem::copy_options::recursive);
  folder.Write("encoder/README.md", "# The base\n");
  std::string pairs = "anchor,positive\n";
  for (int i = 0; i < 24; ++i) pairs += fmt::format("the cat {},the small cat {}\n", i, i);
  folder.Write("pairs.csv", pairs);
  const ProgramResult trained = RunMlac({"train", "sentence-similarity", "-m", folder / "encoder", "--data", folder / "pairs.csv", "--out",
                                         folder / "lora", "--epochs", "1", "--lora", "2"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  ASSERT_EQ(RunMlac({"merge", "-m", folder / "encoder", "--adapter", folder / "lora", "--out", folder / "merged"}).status, 0);
  const std::string card = test::ReadWhole(folder / "merged/README.md");
  EXPECT_NE(card.find("# encoder with lora\n"), std::string::npos) << card;
  EXPECT_NE(card.find("pipeline_tag: sentence-similarity\n"), std::string::npos) << card;
  EXPECT_EQ(card.find("The base"), std::string::npos) << card;
  EXPECT_TRUE(std::filesystem::exists(folder / "merged/modules.json"));
}

TEST_F(Adapter, IsInspectedWithItsBase) {
  const ProgramResult result = RunMlac({"inspect", kBase, "--adapter", kPeft, "--json"});
  ASSERT_EQ(result.status, 0) << result.error;
  const json adapter = json::parse(result.out).at("adapter");
  EXPECT_EQ(adapter.at("rank"), 4);
  EXPECT_EQ(adapter.at("alpha"), 8);
  EXPECT_EQ(adapter.at("base_model"), "classifier");
  EXPECT_EQ(adapter.at("layers").size(), 4u);
  EXPECT_NE(RunMlac({"inspect", kBase, "--adapter", kPeft}).out.find("adapter       LoRA of rank 4, alpha 8, at 4 layers, "),
            std::string::npos);
}

TEST_F(Adapter, AloneIsNoModel) {
  const std::string error =
      "mlac: " + kPeft +
      ": is an adapter, not a model\nhint: give the model that it was made for, and it as --adapter: its writer called that model "
      "'classifier'\n";
  ExpectFailure(RunMlac({"run", "text-classification", "-m", kPeft, "x"}), 1, error);
  ExpectFailure(RunMlac({"inspect", kPeft}), 1, error);
  ExpectFailure(RunMlac({"eval", kPeft, "--data", data}), 1, error);
  ExpectFailure(RunMlac({"serve", kPeft, "--port", "0"}), 1, error);
  ExpectFailure(RunMlac({"optimize", kPeft, "--int8", "--out", folder / "out"}), 1, error);
  ExpectFailure(RunMlac({"run", "text-classification", "-m", kBase, "--adapter", kBase, "x"}), 1,
                "mlac: " + kBase +
                    ": there is no adapter_config.json\nhint: an adapter is a folder with adapter_config.json and "
                    "adapter_model.safetensors, as PEFT writes it\n");
}

TEST_F(Adapter, OptionsThatDoNotFitAreRefused) {
  const std::string hint = "hint: 'mlac help train text-classification' shows what it takes\n";
  ExpectFailure(Train({"--lora-alpha", "4"}), 2, "mlac: train text-classification: --lora-alpha requires --lora\n" + hint);
  ExpectFailure(Train({"--lora", "4", "--freeze"}), 2, "mlac: --lora and --freeze exclude each other\n");
  EXPECT_EQ(Train({"--lora", "0"}).status, 2);
  const ProgramResult unknown = Train({"--lora", "4", "--lora-targets", "qeury"});
  EXPECT_EQ(unknown.status, 1);
  EXPECT_NE(unknown.error.find("mlac: --lora-targets: no linear layer of the encoder is called 'qeury'\nhint: did you mean 'query'?\n"),
            std::string::npos)
      << unknown.error;
  ExpectFailure(RunMlac({"serve", kBase, "x=" + kBase, "--adapter", "y=" + kPeft}), 2,
                "mlac: serve: --adapter 'y=" + kPeft + "': over which of the models?\nhint: write NAME@BASE=DIR, with BASE one of classifier, x\n");
  ExpectFailure(RunMlac({"serve", "x=" + kBase, "--adapter", "x=" + kPeft}), 2,
                "mlac: serve: two models are called 'x'\nhint: give the adapter another name: --adapter OTHER=FOLDER\n");
}

}  // namespace
}  // namespace mlac
