// Sentence embeddings and cross-encoders with the real binary: what a user types from data to answers, and what is refused.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;

class TrainPairs : public testing::Test {
 protected:
  TrainPairs() {
    std::string triples = "who,right,wrong\n";
    for (int i = 0; i < 60; ++i) triples += fmt::format("cat {0},red {0},night {1}\n", i, i + 1);
    data = folder.Write("triples.csv", triples);
  }

  ProgramResult Train(const std::string& task, const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"train",
                                          task,
                                          "-m",
                                          test::FixturePath("models/classifier"),
                                          "--data",
                                          data,
                                          "--text-column",
                                          "who",
                                          "--out",
                                          folder / out,
                                          "--epochs",
                                          "2",
                                          "--text-pair-column",
                                          "right",
                                          "--negative-column",
                                          "wrong"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunMlac(arguments);
  }

  test::TemporaryFolder folder;
  std::string data;
};

TEST_F(TrainPairs, LearnsEmbeddingsThatEvalMeasures) {
  const ProgramResult trained = Train("sentence-similarity", "out", {"--test", data, "--matryoshka", "32,8", "--lr", "1e-3"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  EXPECT_TRUE(trained.out.starts_with((folder / "out") + ": 60 texts of test: nDCG@10 ")) << trained.out;
  EXPECT_NE(trained.error.find("triples.csv: 60 triples of the columns who, right and wrong; loss multiple-negatives-ranking\n"),
            std::string::npos)
      << trained.error;
  const json record = ReadJsonFile(folder / "out/training.json");
  EXPECT_EQ(record.at("parameters").at("matryoshka"), "32, 8");
  EXPECT_NE(record.at("command").get<std::string>().find("--matryoshka 32,8"), std::string::npos) << record.at("command");
  const ProgramResult measured = RunMlac({"eval", folder / "out", "--data", data, "--text-column", "who", "--text-pair-column", "right",
                                          "--negative-column", "wrong", "--json"});
  ASSERT_EQ(measured.status, 0) << measured.error;
  EXPECT_EQ(json::parse(measured.out), ReadJsonFile(folder / "out/metrics.json"));
  const ProgramResult run = RunMlac({"run", "sentence-similarity", "-m", folder / "out", "cat 1", "red 1", "night 1", "--json"});
  ASSERT_EQ(run.status, 0) << run.error;
  EXPECT_EQ(json::parse(run.out).size(), 2u);
}

TEST_F(TrainPairs, LearnsACrossEncoderThatRanks) {
  const ProgramResult trained = Train("text-ranking", "out", {"--json", "--freeze"});
  ASSERT_EQ(trained.status, 0) << trained.error;
  json printed = json::parse(trained.out);
  EXPECT_EQ(printed.erase("notes"), 1u) << "what to try next is no part of the figures";
  EXPECT_EQ(printed, ReadJsonFile(folder / "out/metrics.json"));
  EXPECT_TRUE(printed.contains("ndcg_at_10")) << trained.out;
  const ProgramResult run = RunMlac({"run", "text-ranking", "-m", folder / "out", "--query", "cat 1", "red 1", "night 1", "--json"});
  ASSERT_EQ(run.status, 0) << run.error;
  EXPECT_EQ(json::parse(run.out).size(), 2u);
}

TEST_F(TrainPairs, RefusesInOneLine) {
  const auto refused = [&](const ProgramResult& result, int status, const std::string& begin) {
    EXPECT_EQ(result.status, status);
    EXPECT_NE(result.error.find("mlac: " + begin), std::string::npos) << result.error;
    EXPECT_EQ(result.out, "");
  };
  refused(Train("sentence-similarity", "a", {"--loss", "cosent"}), 1,
          "--loss cosent: expected scored pairs (columns such as sentence1, sentence2, score), found triples in triples.csv\n");
  refused(Train("sentence-similarity", "a", {"--loss", "contrastive"}), 2, "train sentence-similarity: --loss: contrastive not in ");
  refused(Train("sentence-similarity", "a", {"--matryoshka", "8,x"}), 2, "--matryoshka: expected sizes such as 384,128,64, found '8,x'\n");
  refused(RunMlac({"train", "text-ranking", "-m", test::FixturePath("models/classifier"), "--data", data, "--out", folder / "a"}), 1,
          data +
              ": expected columns of two texts, such as 'anchor' and 'positive', 'query' and 'document' or 'sentence1' and 'sentence2'; "
              "found 'who', 'right', 'wrong'\n");
}

}  // namespace
}  // namespace mlac
