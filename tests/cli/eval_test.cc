// `mlac eval` reads what a model was trained on as the training did, and says so where it cannot.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::FixturePath;
using test::ReadWhole;

class EvalAsTrained : public testing::Test {
 protected:
  // Nothing is set aside, so that metrics.json is of the data itself.
  void Train(const std::string& task, const std::string& model, const std::string& data, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"train", task,       "-m", FixturePath(model),   "--data", data, "--out",
                                          out,     "--epochs", "1",  "--validation-split", "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = RunMlac(arguments);
    ASSERT_EQ(result.status, 0) << result.error;
  }

  void ExpectSameFigures(const std::string& model, const std::string& data) {
    const ProgramResult result = RunMlac({"eval", "-m", model, "--data", data, "--json"});
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(result.out, ReadWhole(out + "/metrics.json"));
  }

  test::TemporaryFolder folder;
  const std::string out = folder / "out";
};

// The first text says nothing of the label.
std::string Pairs() {
  std::string rows = "premise,claim,kind\n";
  for (int i = 0; i < 12; ++i)
    rows +=
        std::string("the small people,") + (i % 2 == 0 ? "a cat " : "red water ") + std::to_string(i) + (i % 2 == 0 ? ",yes\n" : ",no\n");
  return rows;
}

const std::vector<std::string> kPairColumns = {"--text-column", "premise", "--text-pair-column", "claim", "--target-column", "kind"};

TEST_F(EvalAsTrained, PairsOfTexts) {
  const std::string data = folder.Write("pairs.csv", Pairs());
  Train("text-classification", "models/classifier", data, kPairColumns);
  ExpectSameFigures(out, data);
  EXPECT_EQ(json::parse(ReadWhole(out + "/training.json")).at("reading"),
            json::parse(R"({"text-column": "premise", "text-pair-column": "claim", "target-column": "kind"})"));
  const ProgramResult lacking = RunMlac({"eval", out, "--data", folder.Write("one.csv", "premise,kind\na cat,yes\n")});
  EXPECT_EQ(lacking.status, 1);
  EXPECT_EQ(lacking.error, "mlac: " + folder / "one.csv: expected a column 'claim', found 'premise', 'kind'\n" +
                               "hint: --text-column, --text-pair-column and --target-column name the columns\n");
  const ProgramResult int8 = RunMlac({"optimize", out, "--int8", "--out", folder / "int8", "--lengths", "8", "--data", data, "--json"});
  ASSERT_EQ(int8.status, 0) << int8.error;
  const json metrics = json::parse(RunMlac({"eval", folder / "int8", "--data", data, "--json"}).out);
  EXPECT_EQ(metrics.at("accuracy"), json::parse(int8.out).at("metric").at("after"));
  EXPECT_FALSE(json::parse(ReadWhole(folder / "int8/training.json")).contains("epochs")) << "what was measured of another model";
}

TEST_F(EvalAsTrained, PairsOfAnAdapterAlsoWhenItIsMerged) {
  const std::string data = folder.Write("pairs.csv", Pairs());
  std::vector<std::string> more = kPairColumns;
  more.insert(more.end(), {"--lora", "2"});
  Train("text-classification", "models/classifier", data, more);
  const std::string expected = ReadWhole(out + "/metrics.json");
  EXPECT_EQ(RunMlac({"eval", FixturePath("models/classifier"), "--adapter", out, "--data", data, "--json"}).out, expected);
  ASSERT_EQ(RunMlac({"merge", "-m", FixturePath("models/classifier"), "--adapter", out, "--out", folder / "merged"}).status, 0);
  const json merged = json::parse(RunMlac({"eval", folder / "merged", "--data", data, "--json"}).out);
  EXPECT_EQ(merged.at("accuracy"), json::parse(expected).at("accuracy"));
}

TEST_F(EvalAsTrained, WindowsOfContexts) {
  std::string rows;
  for (int i = 0; i < 6; ++i)
    rows +=
        R"({"question": "what is it", "context": "the small people open the red model and not this large train", "answers": {"text": ["red model"], "answer_start": [26]}})"
        "\n";
  const std::string data = folder.Write("questions.jsonl", rows);
  Train("question-answering", "families/bert_qa", data, {"--max-length", "20", "--doc-stride", "4", "--max-answer-length", "2"});
  ExpectSameFigures(out, data);
  EXPECT_EQ(json::parse(ReadWhole(out + "/training.json")).at("reading"),
            json::parse(R"({"max-length": "20", "doc-stride": "4", "max-answer-length": "2"})"));
}

TEST_F(EvalAsTrained, TextsOfMasksLineByLine) {
  std::string rows = "body\n";
  for (int i = 0; i < 8; ++i) rows += "the small people open the large model " + std::to_string(i) + "\n";
  const std::string data = folder.Write("texts.csv", rows);
  Train("fill-mask", "families/distilbert_masked_lm", data, {"--line-by-line", "--text-column", "body"});
  ExpectSameFigures(out, data);
}

TEST_F(EvalAsTrained, TagsOfAnotherName) {
  std::string rows;
  for (int i = 0; i < 6; ++i)
    rows += R"({"id": 1, "tokens": ["the", "cat", "red"], "ner_tags": ["O", "B-A", "O"]})"
            "\n";
  const std::string data = folder.Write("tags.jsonl", rows);
  Train("token-classification", "families/bert_tokens", data, {});
  ExpectSameFigures(out, data);
  std::filesystem::remove_all(out);
  const std::string own = folder.Write("own.jsonl", R"({"w": ["the", "cat"], "t": ["O", "B-A"]})"
                                                    "\n"
                                                    R"({"w": ["red"], "t": ["O"]})"
                                                    "\n");
  Train("token-classification", "families/bert_tokens", own, {"--text-column", "w", "--target-column", "t"});
  ExpectSameFigures(out, own);
  const ProgramResult missing =
      RunMlac({"train", "token-classification", "-m", FixturePath("families/bert_tokens"), "--data", own, "--out", folder / "no"});
  EXPECT_EQ(missing.error, "mlac: " + own + ": line 1: expected a column 'tokens', found 'w', 't'\n" +
                               "hint: --text-column and --target-column name the lists of words and of tags\n");
}

TEST(Eval, SaysWhereAModelOfPairsIsGivenSingleTexts) {
  const test::TemporaryFolder folder;
  const std::string data = folder.Write("a.csv", "text,other,label\na cat,red,entailment\n");
  const std::string model = FixturePath("families/electra_nli"), warning = "warning: the labels are those of pairs of texts";
  const ProgramResult single = RunMlac({"eval", model, "--data", data}),
                      pairs = RunMlac({"eval", model, "--data", data, "--text-pair-column", "other"});
  EXPECT_NE(single.error.find(warning), std::string::npos) << single.error;
  EXPECT_EQ(pairs.error.find(warning), std::string::npos) << pairs.error;
}

TEST(Eval, RefusesOptionsThatDoNothingForTheModel) {
  const test::TemporaryFolder folder;
  const std::string data = folder.Write("a.csv", "text,label\na cat,positive\n");
  for (const char* option : {"--doc-stride=1", "--max-answer-length=3", "--line-by-line", "--negative-column=x"}) {
    const ProgramResult result = RunMlac({"eval", FixturePath("models/classifier"), "--data", data, option});
    EXPECT_EQ(result.status, 2);
    const std::string name = std::string(option).substr(0, std::string(option).find('='));
    EXPECT_EQ(result.error, "mlac: eval: " + name + " does nothing for a model of text-classification\n");
  }
}

TEST(Eval, SaysThatAnEncoderGivesNoLabels) {
  const test::TemporaryFolder folder;
  const std::string data = folder.Write("a.csv", "text,label\na cat,animal\n"), model = FixturePath("models/st_mean");
  const ProgramResult result = RunMlac({"eval", model, "--data", data});
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(
      result.error,
      "mlac: " + model +
          ": the model has no head that gives labels; as an encoder it is measured on pairs of texts, found the columns text, label in " +
          data +
          "\nhint: `mlac train text-classification` makes a classifier of it; columns such as sentence1, sentence2 and score measure its "
          "vectors\n");
}

TEST(Eval, RefusesARecordThatItDoesNotKnow) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(FixturePath("models/classifier"), folder / "model", std::filesystem::copy_options::recursive);
  const std::string data = folder.Write("a.csv", "text,label\na cat,positive\n"), path = folder / "model/training.json";
  const auto expect = [&](const std::string& record, const std::string& error) {
    folder.Write("model/training.json", record);
    EXPECT_EQ(RunMlac({"eval", folder / "model", "--data", data}).error, error) << record;
  };
  const std::string few = "warning: a.csv: figures from 1 example say little; measure on 30 or more\n";
  expect("{}", few);  // another program's
  expect(R"({"format_version": 1})", few);
  expect(R"({"format_version": 2})", "mlac: " + path + ": format_version 2 is not known; expected 1\n");
  expect(R"({"format_version": 1, "reading": {"colour": "red"}})",
         "mlac: " + path + ": reading: 'colour' is not known\nhint: a later mlac may have written it\n");
  expect(R"({"format_version": 1, "reading": [1]})", "mlac: " + path + ": reading: expected an object of texts, found [1]\n");
  expect(R"({"format_version": 1, "reading": {"doc-stride": "x"}})",
         "mlac: " + path + ": reading: doc-stride: expected a number, found 'x'\n");
}

}  // namespace
}  // namespace mlac
