// mlac train's options of memory and speed, through the real binary.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kernels/instruction_set.h"
#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::ReadWhole;

class Train : public testing::Test {
 protected:
  void SetUp() override {
    std::string rows = "text,label\n";
    for (int i = 0; i < 60; ++i)
      rows += std::string(i % 2 == 0 ? "cat " : "red ") + std::to_string(i) + (i % 2 == 0 ? ",animal\n" : ",colour\n");
    data = folder.Write("train.csv", rows);
  }

  ProgramResult Run(const std::string& out, std::vector<std::string> more, const ProgramOptions& options = {}) {
    std::vector<std::string> arguments = {
        "train", "text-classification", "-m", test::FixturePath("models/classifier"), "--data", data, "--out", folder / out, "--epochs",
        "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunMlac(arguments, options);
  }

  test::TemporaryFolder folder;
  std::string data;
};

TEST_F(Train, GradientCheckpointingSaysWhatItSavesAndChangesNoByte) {
  const ProgramResult plain = Run("plain", {}), saving = Run("saving", {"--gradient-checkpointing"});
  ASSERT_EQ(saving.status, 0) << saving.error;
  EXPECT_EQ(plain.error.find("gradient checkpointing"), std::string::npos) << plain.error;
  EXPECT_NE(saving.error.find("gradient checkpointing: intermediate results took up to "), std::string::npos) << saving.error;
  for (const char* name : {"model.safetensors", "training.json", "README.md", "metrics.json", "learning-curves.svg"})
    EXPECT_EQ(ReadWhole(folder / "saving/" + name), ReadWhole(folder / "plain/" + name)) << name;
}

TEST_F(Train, Bf16NeedsAProcessorThatMultipliesItOrConsentAndIsRecorded) {
  const ProgramOptions narrow = {.environment = {"MLAC_ISA=avx2"}};
  const ProgramResult refused = Run("out", {"--dtype", "bf16"}, narrow);
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.error,
            "mlac: --dtype bf16: this processor multiplies no bf16 (AMX or AVX512-BF16), so it would not be faster\n"
            "hint: --allow-slow computes it all the same, rounded to bf16 and multiplied in f32\n");
  EXPECT_EQ(Run("slow", {"--dtype", "bf16", "--allow-slow"}, narrow).status, 0);
  const json record = json::parse(ReadWhole(folder / "slow/training.json"));
  EXPECT_EQ(record.at("parameters").at("products"), "bf16 rounded");
  EXPECT_EQ(record.at("identity").at("--dtype"), "bf16 rounded");
  EXPECT_EQ(record.at("command"),
            "mlac train text-classification --model classifier --data train.csv --out OUT --epochs 1 --dtype bf16 --allow-slow");
  EXPECT_EQ(Run("f32", {}).status, 0);
  EXPECT_NE(ReadWhole(folder / "f32/model.safetensors"), ReadWhole(folder / "slow/model.safetensors"));
  EXPECT_FALSE(json::parse(ReadWhole(folder / "f32/training.json")).at("parameters").contains("products"));
  if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone) return;
  EXPECT_EQ(Run("fast", {"--dtype", "bf16"}).status, 0);
  EXPECT_EQ(json::parse(ReadWhole(folder / "fast/training.json")).at("parameters").at("products"),
            "bf16 " + std::string(kernels::Name(kernels::Bf16PathInUse())));
}

TEST_F(Train, TheFolderIsThatOfTheResultHoweverTheCommandWasTyped) {
  const std::string rows = ReadWhole(data);
  const std::string odd = folder.Write("it's a file.csv", rows);
  ASSERT_EQ(Run("plain", {"--seed", "7", "--lr", "5e-4"}).status, 0);
  ASSERT_EQ(
      Run("typed", {"--lr", "0.0005", "--batch-size", "32", "--seed", "007", "--text-column", "text", "--warmup=0.10", "--patience", "2"})
          .status,
      0);
  for (const char* name : {"model.safetensors", "training.json", "README.md"})
    EXPECT_EQ(ReadWhole(folder / "typed/" + name), ReadWhole(folder / "plain/" + name)) << name;
  EXPECT_EQ(json::parse(ReadWhole(folder / "plain/training.json")).at("command"),
            "mlac train text-classification --model classifier --data train.csv --out OUT --epochs 1 --lr 0.0005 --seed 7");
  data = odd;
  ASSERT_EQ(Run("odd", {}).status, 0);
  EXPECT_EQ(json::parse(ReadWhole(folder / "odd/training.json")).at("command"),
            "mlac train text-classification --model classifier --data 'it'\\''s a file.csv' --out OUT --epochs 1");
  ASSERT_EQ(Run("lora", {"--lora", "2"}).status, 0);
  ASSERT_EQ(Run("lora-typed", {"--lora-alpha", "4", "--lr", "5e-4", "--lora", "2"}).status, 0);
  EXPECT_EQ(ReadWhole(folder / "lora-typed/README.md"), ReadWhole(folder / "lora/README.md"));
}

TEST_F(Train, TheCardOfPairsShowsBothTexts) {
  std::string rows = "premise,claim,label\n";
  for (int i = 0; i < 24; ++i)
    rows += std::string("the people,") + (i % 2 == 0 ? "cat " : "red ") + std::to_string(i) + (i % 2 == 0 ? ",yes\n" : ",no\n");
  data = folder.Write("pairs.csv", rows);
  ASSERT_EQ(Run("out", {"--text-column", "premise", "--text-pair-column", "claim"}).status, 0);
  const std::string card = ReadWhole(folder / "out/README.md");
  for (const char* expected :
       {"mlac run text-classification -m . \"your text here\" --text-pair \"your second text here\"\n",
        "classify({\"text\": \"your text here\", \"text_pair\": \"your second text here\"}, top_k=3, truncation=True)",
        "Gives a pair of texts one label: no or yes.", "tokens of a pair.",
        "Texts from the column premise, read together with those from claim, labels from label."})
    EXPECT_NE(card.find(expected), std::string::npos) << expected << "\n" << card;
}

TEST_F(Train, TheCardOfNumbersHasTheFiguresThatTheHubReads) {
  std::string rows = "text,label\n";
  for (int i = 0; i < 24; ++i) rows += "cat " + std::to_string(i) + "," + std::to_string(i) + ".5\n";
  data = folder.Write("numbers.csv", rows);
  const ProgramResult labels = Run("labels", {});
  EXPECT_EQ(
      labels.error,
      "mlac: numbers.csv: expected labels that repeat, found a different one in each of 24 rows\nhint: --regression learns numbers\n");
  ASSERT_EQ(Run("out", {"--regression"}).status, 0);
  const std::string card = ReadWhole(folder / "out/README.md");
  EXPECT_NE(
      card.find(
          "model-index:\n- name: text-classification\n  results:\n  - task:\n      type: text-classification\n      name: Text regression\n"
          "    dataset:\n      name: \"numbers.csv\"\n      type: \"csv\"\n      split: \"validation\"\n    metrics:\n    - type: "
          "mse\n      value: "),
      std::string::npos)
      << card;
  EXPECT_NE(card.find("Texts from the column text, numbers from label.\n"), std::string::npos) << card;
}

TEST_F(Train, SaysWhatNextOnStandardErrorUnlessForPrograms) {
  const ProgramResult plain = Run("a model", {});
  const std::string out = "'" + folder / "a model" + "'";
  ASSERT_EQ(plain.status, 0) << plain.error;
  EXPECT_TRUE(plain.error.ends_with("next: mlac run text-classification -m " + out + " \"your text here\"\n      mlac serve " + out +
                                    "\n      the card is " + folder / "a model" + "/README.md\n"))
      << plain.error;
  const ProgramResult adapter = Run("lora", {"--lora", "2"});
  const std::string base = test::FixturePath("models/classifier"), of_lora = folder / "lora";
  EXPECT_NE(adapter.error.find("next: mlac run text-classification -m " + base + " --adapter " + of_lora +
                               " \"your text here\"\n      mlac serve " + base + " --adapter lora=" + of_lora + "\n"),
            std::string::npos)
      << adapter.error;
  const ProgramResult programs = Run("json", {"--json"});
  EXPECT_EQ(programs.error.find("next:"), std::string::npos) << programs.error;
}

TEST_F(Train, JsonHasTheNotesAndTheBaselineOfNumbers) {
  const ProgramResult labels = Run("labels", {"--json", "--lr", "0"});
  const json printed = json::parse(labels.out);
  ASSERT_TRUE(printed.at("notes").is_array()) << labels.out;
  for (const json& note : printed.at("notes")) EXPECT_NE(labels.error.find(note.get<std::string>() + "\n"), std::string::npos) << note;
  json written = json::parse(ReadWhole(folder / "labels/metrics.json"));
  written["notes"] = printed.at("notes");
  EXPECT_EQ(printed, written);
  std::string rows = "text,label\n";
  for (int i = 0; i < 80; ++i) rows += "cat " + std::to_string(i) + "," + std::to_string(i % 7 + 40) + "\n";
  data = folder.Write("numbers.csv", rows);
  const ProgramResult numbers = Run("numbers", {"--regression", "--json"});
  const json figures = json::parse(numbers.out);
  EXPECT_GT(figures.at("mse"), figures.at("baseline").at("mse"));
  EXPECT_NE(numbers.error.find("is no better than always answering the mean ("), std::string::npos) << numbers.error;
  EXPECT_NE(ReadWhole(folder / "numbers/README.md").find("\nAlways answering the mean would have a mean squared error of "),
            std::string::npos);
}

TEST_F(Train, LeavesOutRowsWithoutALabelWhereThatIsAskedFor) {
  ASSERT_EQ(Run("plain", {}).status, 0);
  const std::string whole = ReadWhole(data);
  folder.Write("train.csv", whole + "no label,\nnone, \n,\n");
  const ProgramResult refused = Run("out", {});
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.error, "mlac: " + data + ": lines 62, 63: the column 'label' is empty\nhint: give these rows a label, or leave them out with --skip-unlabelled\n");
  const ProgramResult skipped = Run("skipped", {"--skip-unlabelled"});
  EXPECT_EQ(skipped.status, 0) << skipped.error;
  EXPECT_NE(skipped.error.find(data + ": 2 rows without a label are left out (lines 62, 63)\n"), std::string::npos) << skipped.error;
  EXPECT_NE(skipped.error.find(data + ": line 64 has only empty fields and was skipped\n"), std::string::npos) << skipped.error;
  EXPECT_NE(skipped.error.find("warning: validation: figures from 6 examples say little; measure on 30 or more\n"), std::string::npos) << skipped.error;
  EXPECT_EQ(ReadWhole(folder / "skipped/model.safetensors"), ReadWhole(folder / "plain/model.safetensors"));
  EXPECT_EQ(RunMlac({"eval", folder / "plain", "--data", data}).status, 1);
  EXPECT_EQ(RunMlac({"eval", folder / "plain", "--data", data, "--skip-unlabelled"}).status, 0);
  const ProgramResult several = Run("several", {"--skip-unlabelled", "--multi-label"});
  EXPECT_EQ(several.status, 1);
  EXPECT_NE(several.error.find("--skip-unlabelled does nothing for texts with several labels\n"), std::string::npos) << several.error;
}

TEST_F(Train, RefusesOptionsWithoutEffect) {
  const auto refused = [&](const std::string& task, const std::vector<std::string>& more, const std::string& error) {
    std::vector<std::string> arguments = {"train", task, "-m", "none", "--data", data, "--out", folder / "out"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = RunMlac(arguments);
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.error, error);
  };
  refused("text-classification", {"--label-separator", ";"}, "mlac: --label-separator does nothing without --multi-label\n");
  refused("sentence-similarity", {"--margin", "1"}, "mlac: --margin does nothing without --loss triplet\n");
  refused("sentence-similarity", {"--distance", "cosine", "--loss", "cosent"}, "mlac: --distance does nothing without --loss triplet\n");
  refused("sentence-similarity", {"--scale", "10", "--loss", "triplet"},
          "mlac: --scale does nothing with --loss triplet\nhint: it multiplies the cosines of the other losses\n");
}

TEST_F(Train, OverwritesModelsAlone) {
  const std::string kept = folder.Write("work/thesis.txt", "years");
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"train", "text-classification", "-m", test::FixturePath("models/classifier"), "--data", data},
        {"optimize", test::FixturePath("models/classifier"), "--int8"}}) {
    std::vector<std::string> arguments = command;
    arguments.insert(arguments.end(), {"--out", folder / "work", "--overwrite"});
    const ProgramResult result = RunMlac(arguments);
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.error, "mlac: " + folder / "work: is no model, so --overwrite does not replace it: it holds 'thesis.txt'\n" +
                                "hint: choose another --out, or remove the folder yourself\n");
    EXPECT_EQ(ReadWhole(kept), "years");
  }
}

}  // namespace
}  // namespace mlac
