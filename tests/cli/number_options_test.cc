// Numbers on the command line: what is none, or out of range, is refused by the option's name, wherever it is given.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/display.h"
#include "cli/progress.h"
#include "tests/support/program.h"

namespace mlac {
namespace {

const std::vector<std::string> kTrain = {"-m", "none", "--data", "none.csv", "--out", "none-out"};

// Nothing is opened before the numbers are looked at, so no model is needed.
void ExpectRefused(const std::vector<std::string>& command, const std::string& option, const std::string& value,
                   const std::string& expected, std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = command;
  arguments.insert(arguments.end(), more.begin(), more.end());
  arguments.push_back(option + "=" + value);
  std::string path = command[0];
  if (command.size() > 1) path += " " + command[1];
  const ProgramResult result = RunMlac(arguments);
  EXPECT_EQ(result.error, "mlac: " + path + ": " + option + ": expected " + expected + ", found '" + value + "'\nhint: 'mlac help " + path +
                              "' shows what it takes\n");
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
}

std::string Whole(const std::string& low, const std::string& high) { return "a whole number from " + low + " to " + high; }

// Where the upper limit only keeps memory bounded, it is named to who goes beyond it.
std::string Whole(const std::string& low) { return "a whole number of at least " + low; }

TEST(NumberOptions, OfTrainingAreRefusedByName) {
  const std::vector<std::string> texts = {"train", "text-classification"}, sentences = {"train", "sentence-similarity"},
                                 questions = {"train", "question-answering"};
  for (const char* option : {"--save-steps", "--max-tokens", "--patience"})
    for (const char* bad : {"-1", "1e3", "0.5", "three"}) ExpectRefused(texts, option, bad, Whole("0"), kTrain);
  for (const char* bad : {"1099511627777", "99999999999999999999"})
    ExpectRefused(texts, "--epochs", bad, Whole("1", "1099511627776"), kTrain);
  for (const char* option : {"--epochs", "--batch-size", "--gradient-accumulation", "--max-length"})
    for (const char* bad : {"-1", "0", "0x10"}) ExpectRefused(texts, option, bad, Whole("1"), kTrain);
  for (const char* bad : {"-1", "18446744073709551616", "x"})
    ExpectRefused(texts, "--seed", bad, Whole("0", "18446744073709551615"), kTrain);
  for (const char* bad : {"nan", "inf", "-0.1", "0.91", "x"}) {
    ExpectRefused(texts, "--label-smoothing", bad, "a number from 0 to 0.9", kTrain);
    ExpectRefused(texts, "--validation-split", bad, "a number from 0 to 0.9", kTrain);
    std::vector<std::string> lora = kTrain;
    lora.insert(lora.end(), {"--lora", "4"});
    ExpectRefused(texts, "--lora-dropout", bad, "a number from 0 to 0.9", lora);
  }
  for (const char* bad : {"nan", "0"}) ExpectRefused(sentences, "--scale", bad, "a number from 0.001 to 1000", kTrain);
  for (const char* bad : {"nan", "-1"}) ExpectRefused(sentences, "--margin", bad, "a number from 0 to 1000", kTrain);
  ExpectRefused(questions, "--doc-stride", "-1", Whole("0"), kTrain);
  ExpectRefused(questions, "--max-answer-length", "0", Whole("1", "1048576"), kTrain);
}

TEST(NumberOptions, OfOtherCommandsAreRefusedByName) {
  const std::vector<std::string> run = {"-m", "none", "a text"};
  ExpectRefused({"run", "text-classification"}, "--max-length", "0", Whole("1"), run);
  ExpectRefused({"run", "question-answering"}, "--max-answer-len", "-1", Whole("1"), run);
  ExpectRefused({"run", "question-answering"}, "--doc-stride", "-1", Whole("0"), run);
  ExpectRefused({"run", "token-classification"}, "--stride", "-1", Whole("0"), run);
  ExpectRefused({"eval"}, "--max-length", "-1", Whole("1"), {"none", "--data", "none.csv"});
  ExpectRefused({"tokenize"}, "--max-length", "0", Whole("1"), run);
  ExpectRefused({"gc"}, "--keep", "-1", Whole("0"));
  ExpectRefused({"log"}, "--max-count", "-1", Whole("0"));
  ExpectRefused({"optimize"}, "--threads", "1025", Whole("1", "1024"), {"none", "--int8", "--out", "none-out"});
  ExpectRefused({"serve"}, "--port", "65536", Whole("0", "65535"), {"none"});
  ExpectRefused({"serve"}, "--max-length", "0", Whole("1"), {"none"});
  for (const char* bad : {"-1", "2X", "G", "0.5", "nan", "9999999999T"})
    ExpectRefused({"serve"}, "--memory", bad, "a size such as 512M or 2G", {"none"});
  for (const char* bad : {"-1", "0", "1.5", "some"}) {
    const ProgramResult result = RunMlac({"run", "text-classification", "-m", "none", "a", std::string("--top-k=") + bad});
    EXPECT_EQ(result.status, 2);
    EXPECT_EQ(result.error, std::string("mlac: --top-k: expected a whole number of at least 1, or 'all', found '") + bad + "'\n");
  }
}

TEST(NumberOptions, OfTheEnvironmentAreRefusedByTheNameOfTheVariable) {
  const std::string hint = "hint: 'mlac help serve' shows what it takes\n";
  EXPECT_EQ(RunMlac({"serve", "none"}, {.environment = {"MLAC_PORT=abc"}}).error,
            "mlac: serve: MLAC_PORT: expected a whole number from 0 to 65535, found 'abc'\n" + hint);
  EXPECT_EQ(RunMlac({"serve", "none", "--port", "x"}, {.environment = {"MLAC_PORT=1"}}).error,
            "mlac: serve: --port: expected a whole number from 0 to 65535, found 'x'\n" + hint);
}

TEST(NumberOptions, AreReadInBaseTen) {  // CLI11 alone takes 010 for 8
  const ProgramResult result = RunMlac({"serve", "none", "--threads", "010", "--memory", "0.5G"});
  EXPECT_EQ(result.status, 1) << result.error;  // the model is looked for: the numbers were taken
  EXPECT_NE(result.error.find("none: there is no such folder"), std::string::npos) << result.error;
}

TEST(ProgressLine, KeepsTheTextAndGivesTheBarWhatRemains) {
  const std::string text = "step 120/4800, epoch 1, loss 0.412, macro-F1 0.440, 3 min 20 s left, 35 examples/s";
  for (size_t width = 1; width <= 140; ++width) {
    const std::string line = ProgressLine(120, 4800, text, width);
    EXPECT_LE(DisplayWidth(line), width) << line;
    EXPECT_TRUE(width < text.size() || line.ends_with(text)) << line;
    EXPECT_TRUE(width < text.size() + 25 || DisplayWidth(line) == text.size() + 25) << line;
  }
  EXPECT_EQ(ProgressLine(1, 2, "abc", 8), "██░░ abc");
  EXPECT_EQ(ProgressLine(1, 2, "abc", 6), "abc") << "two cells are no bar";
  EXPECT_NE(ProgressLine(120, 4800, text, 79).find("3 min 20 s left"), std::string::npos);
}

}  // namespace
}  // namespace mlac
