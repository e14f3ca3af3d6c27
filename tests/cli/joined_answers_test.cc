// mlac run --out: the rows of the input as they stand, each with its answer, through the real binary on tiny folders.
#include <fmt/format.h>
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

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

const std::string kClassifier = test::FixturePath("models/classifier");

class JoinedAnswers : public testing::Test {
 protected:
  ProgramResult Execute(std::vector<std::string> arguments, const std::string& in = "") {
    arguments.insert(arguments.begin(), {"run", task, "-m", model});
    return RunMlac(arguments, {.in = in});
  }
  // The classifier's answer to a text, by the JSON of the task.
  json Answer(const std::string& text) {
    return json::parse(RunMlac({"run", "text-classification", "-m", model, "--json", text}).out).at(0);
  }
  // "positive,0.5"
  std::string Cells(const std::string& text) {
    const json answer = Answer(text);
    return answer.at("label").get<std::string>() + "," + answer.at("score").dump();
  }
  void ExpectFailure(const ProgramResult& result, int status, const std::string& error) {
    EXPECT_EQ(result.status, status);
    EXPECT_EQ(result.error, error);
    EXPECT_EQ(result.out, "");
  }
  std::string Out(const std::string& name = "answers.csv") { return folder / name; }

  test::TemporaryFolder folder;
  std::string task = "text-classification", model = kClassifier;
};

TEST_F(JoinedAnswers, KeepEveryColumnOfATableAndItsOrder) {
  const std::string in = folder.Write("in.csv", "id;text;remark\n7;cat;\"a \"\"quoted\"\", one\"\n8;red dog;\"two\nlines\"\n");
  const ProgramResult result = Execute({"--file", in, "--out", Out()});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.error, Out() + ": 2 rows\n");
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(test::ReadWhole(Out()), "id,text,remark,label,score\n7,cat,\"a \"\"quoted\"\", one\"," + Cells("cat") +
                                        "\n8,red dog,\"two\nlines\"," + Cells("red dog") + "\n");
}

TEST_F(JoinedAnswers, HaveOtherNamesWhereTheInputHasTheseColumns) {
  const std::string in = folder.Write("test.csv", "text,label\ncat,neutral\n");
  ASSERT_EQ(Execute({"--file", in, "--out", Out()}).status, 0);
  EXPECT_EQ(test::ReadWhole(Out()), "text,label,predicted_label,predicted_score\ncat,neutral," + Cells("cat") + "\n");
  ExpectFailure(Execute({"--file", folder.Write("full.csv", "text,label,predicted_score\ncat,a,b\n"), "--out", Out("x.csv")}), 1,
                "mlac: full.csv: has columns predicted_label or predicted_score already\nhint: rename them, or leave them out\n");
}

TEST_F(JoinedAnswers, LeaveRowsWithoutTextUnanswered) {
  const std::string in = folder.Write("in.csv", "id,text\n1,cat\n2,\n3,\"  \"\n4,dog\n5,\n6,\n");
  const ProgramResult result = Execute({"--file", in, "--out", Out()});
  EXPECT_EQ(result.error, "in.csv: 4 of 6 rows have no text and got no answer (line 3, line 4, line 6, ...)\n" + Out() + ": 6 rows\n");
  EXPECT_EQ(test::ReadWhole(Out()),
            "id,text,label,score\n1,cat," + Cells("cat") + "\n2,,,\n3,\"  \",,\n4,dog," + Cells("dog") + "\n5,,,\n6,,,\n");
}

TEST_F(JoinedAnswers, KeepTheObjectsOfJsonLines) {
  const std::string in =
      folder.Write("in.jsonl", "{\"text\": \"cat\", \"tags\": [1, {\"a\": null}]}\n\n{\"more\": true, \"text\": \"\"}\n");
  ASSERT_EQ(Execute({"--file", in, "--out", Out("a.jsonl")}).status, 0);
  const json answer = Answer("cat");
  EXPECT_EQ(test::ReadWhole(Out("a.jsonl")), "{\"text\":\"cat\",\"tags\":[1,{\"a\":null}],\"label\":" + answer.at("label").dump() +
                                                 ",\"score\":" + answer.at("score").dump() +
                                                 "}\n{\"more\":true,\"text\":\"\",\"label\":null,\"score\":null}\n");
  ExpectFailure(Execute({"--file", in, "--out", Out()}), 2,
                "mlac: --out: rows of JSON Lines may have different keys, and columns hold no lists\nhint: --out FILE.jsonl\n");
  EXPECT_EQ(folder.List(), (std::vector<std::string>{"a.jsonl", "in.jsonl"}));
}

TEST_F(JoinedAnswers, TakeTextsFromLinesAndArgumentsToo) {
  ASSERT_EQ(Execute({"--out", Out()}, "cat\ndog\n").status, 0);
  EXPECT_EQ(test::ReadWhole(Out()), "text,label,score\ncat," + Cells("cat") + "\ndog," + Cells("dog") + "\n");
  ASSERT_EQ(Execute({"--out", Out(), "cat", "--text-pair", "dog"}).status, 0);
  EXPECT_TRUE(test::ReadWhole(Out()).starts_with("text,text_pair,label,score\ncat,dog,")) << test::ReadWhole(Out());
}

TEST_F(JoinedAnswers, AreTheSameForFilesOfManyChunks) {
  std::string in = "id,text\n", expected = "id,text,label,score\n";
  const std::string cat = Cells("cat"), dog = Cells("dog");
  for (int i = 0; i < 600; ++i) {
    const bool blank = i % 5 == 3, is_cat = i % 2 == 0;
    in += fmt::format("{},{}\n", i, blank ? "" : is_cat ? "cat" : "dog");
    expected += fmt::format("{},{},{}\n", i, blank ? "" : is_cat ? "cat" : "dog", blank ? "," : is_cat ? cat : dog);
  }
  ASSERT_EQ(Execute({"--file", folder.Write("in.csv", in), "--out", Out()}).status, 0);
  EXPECT_EQ(test::ReadWhole(Out()), expected);
}

TEST_F(JoinedAnswers, HoldSeveralLabelsWhereATextMayHaveThem) {
  fs::copy(kClassifier, folder / "model", fs::copy_options::recursive);
  json config = json::parse(test::ReadWhole(folder / "model/config.json"));
  config["problem_type"] = "multi_label_classification";
  folder.Write("model/config.json", config.dump());
  model = folder / "model";
  const json all = json::parse(RunMlac({"run", task, "-m", model, "--json", "--threshold", "0", "cat"}).out).at(0);
  ASSERT_EQ(all.size(), 3u);
  json labels = json::array(), scores = json::array();
  std::string cell, numbers;
  for (const json& one : all) {
    labels.push_back(one.at("label"));
    scores.push_back(one.at("score"));
    cell += (cell.empty() ? "" : ",") + one.at("label").get<std::string>();
    numbers += (numbers.empty() ? "" : ",") + one.at("score").dump();
  }
  ASSERT_EQ(Execute({"--out", Out("a.jsonl"), "--threshold", "0", "cat"}).status, 0);
  EXPECT_EQ(json::parse(test::ReadWhole(Out("a.jsonl"))), json({{"text", "cat"}, {"label", labels}, {"score", scores}}));
  ASSERT_EQ(Execute({"--out", Out(), "--threshold", "0", "cat"}).status, 0);
  EXPECT_EQ(test::ReadWhole(Out()), "text,label,score\ncat,\"" + cell + "\",\"" + numbers + "\"\n");
  ASSERT_EQ(Execute({"--out", Out("b.jsonl"), "cat"}).status, 0);  // above 0.5, as evaluation counts
  const json counted = json::parse(test::ReadWhole(Out("b.jsonl")));
  for (const json& score : counted.at("score")) EXPECT_GT(score, 0.5);
}

TEST_F(JoinedAnswers, OfOtherTasksAreTheJsonOfEachText) {
  struct Case {
    std::string task, fixture;
    std::vector<std::string> arguments;
  };
  const Case cases[] = {
      {"feature-extraction", "models/st_mean", {"cat", "dog"}},
      {"token-classification", "families/bert_tokens", {"cat", "dog"}},
      {"question-answering", "families/bert_qa", {"--question", "what", "a cat", "a dog"}},
      {"fill-mask", "families/distilbert_masked_lm", {"a [MASK]", "the [MASK]"}},
      {"zero-shot-classification", "families/electra_nli", {"a cat", "a dog", "--labels", "cats,dogs"}},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.task);
    task = each.task;
    model = test::FixturePath(each.fixture);
    std::vector<std::string> printed = each.arguments, written = each.arguments;
    printed.emplace_back("--json");
    written.insert(written.end(), {"--out", Out("a.jsonl")});
    const json expected = json::parse(Execute(printed).out);
    const ProgramResult result = Execute(written);
    ASSERT_EQ(result.status, 0) << result.error;
    const std::string lines = test::ReadWhole(Out("a.jsonl"));
    const size_t end = lines.find('\n');
    EXPECT_EQ(json::parse(lines.substr(0, end)).at("answer"), expected[0]);
    EXPECT_EQ(json::parse(lines.substr(end + 1)).at("answer"), expected[1]);
    ExpectFailure(Execute([&] {
                    std::vector<std::string> table = each.arguments;
                    table.insert(table.end(), {"--out", "a.csv"});
                    return table;
                  }()),
                  2, "mlac: --out is 'a.csv'; expected a file named .jsonl\nhint: an answer of " + each.task + " is no single cell\n");
  }
}

TEST_F(JoinedAnswers, AreWrittenWholeOrNotAtAll) {
  std::string rows = "id,text\n";
  for (int i = 0; i < 300; ++i) rows += "1,cat\n";
  const std::string in = folder.Write("in.csv", rows + "1,cat,more\n");
  folder.Write("answers.csv", "of yesterday\n");
  const ProgramResult result = Execute({"--file", in, "--out", Out()});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.error.find("line 302: expected 2 fields as in the header, found 3"), std::string::npos) << result.error;
  EXPECT_EQ(test::ReadWhole(Out()), "of yesterday\n");
  EXPECT_EQ(folder.List(), (std::vector<std::string>{"answers.csv", "in.csv"}));
}

TEST_F(JoinedAnswers, AreRefusedWhereTheyHaveNoPlace) {
  const std::string in = folder.Write("in.csv", "text\ncat\n");
  ExpectFailure(Execute({"--file", in, "--out", in}), 2, "mlac: --out is the file that --file reads\nhint: choose another name\n");
  ExpectFailure(Execute({"--file", in, "--out", Out(), "--json"}), 2, "mlac: --json and --out were given\nhint: one of the two\n");
  ExpectFailure(Execute({"cat", "--out", "answers.txt"}), 2, "mlac: --out is 'answers.txt'; expected a file named .csv, .tsv or .jsonl\n");
  EXPECT_EQ(test::ReadWhole(in), "text\ncat\n");
}

}  // namespace
}  // namespace mlac
