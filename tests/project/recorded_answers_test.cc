#include "project/recorded_answers.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;

TEST(RecordedAnswers, ComeBackAsTheyWereWritten) {
  const test::TemporaryFolder folder;
  const std::vector<TextInput> inputs = {{"a \"cat\"\n", std::nullopt}, {"日本", "two"}};
  const RecordedAnswers recorded = RecordAnswers(test::FixturePath("models/classifier"), "text-classification", inputs, 1);
  ASSERT_EQ(recorded.answers.size(), 2u);
  WriteRecordedAnswers(folder / kAnswersFile, recorded);
  const RecordedAnswers read = ReadRecordedAnswers(folder / kAnswersFile);
  EXPECT_EQ(read.task, "text-classification");
  ASSERT_EQ(read.answers.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(read.answers[i].input.text, inputs[i].text);
    EXPECT_EQ(read.answers[i].input.pair, inputs[i].pair);
    EXPECT_EQ(DifferenceOfAnswers(recorded.answers[i].answer, read.answers[i].answer, 0), "");
  }
}

TEST(RecordedAnswers, LeaveOutWhatWouldBeCutAndWhatIsTooMany) {
  std::string long_text;
  for (int i = 0; i < 2000; ++i) long_text += "cat ";
  const std::vector<TextInput> inputs = {{long_text, std::nullopt}, {"cat", std::nullopt}};
  EXPECT_EQ(RecordAnswers(test::FixturePath("models/classifier"), "text-classification", inputs, 1).answers.size(), 1u);
  const std::vector<TextInput> many(kMostAnswers + 1, {"cat", std::nullopt});
  EXPECT_EQ(RecordAnswers(test::FixturePath("models/classifier"), "text-classification", many, 1).answers.size(), kMostAnswers);
}

TEST(RecordedAnswers, DifferInLabelsKeysLengthsAndNumbersBeyondTheTolerance) {
  const auto difference = [](const std::string& expected, const std::string& found) { return DifferenceOfAnswers(expected, found, 0.001); };
  EXPECT_EQ(difference(R"({"label": "a", "score": 0.5})", R"({"score":0.5009,"label":"a"})"), "");
  EXPECT_EQ(difference(R"([{"label": "a", "score": 1}])", R"([{"label": "a", "score": 1.0}])"), "");
  EXPECT_EQ(difference(R"({"label": "a", "score": 0.5})", R"({"label": "a", "score": 0.5011})"), "score: expected 0.5, found 0.5011");
  EXPECT_EQ(difference(R"([{"label": "a"}])", R"([{"label": "b"}])"), R"([0].label: expected "a", found "b")");
  EXPECT_EQ(difference("[1]", "[1, 2]"), "expected [1], found [1,2]");
  EXPECT_EQ(difference(R"({"a": 1})", R"({"b": 1})"), R"(expected {"a":1}, found {"b":1})");
  EXPECT_EQ(difference(R"({"a": 1})", R"({"a": "1"})"), R"(a: expected 1, found "1")");
  EXPECT_EQ(difference("1", "nothing"), "expected 1, found nothing");
}

TEST(RecordedAnswers, RefuseWhatIsNoneWithItsLine) {
  const test::TemporaryFolder folder;
  const std::string good = R"({"task": "text-classification", "text": "a", "answer": 1})";
  for (const std::string bad : {"{", "[]", R"({"task": "x", "text": 1, "answer": 1})", R"({"task": "x", "answer": 1})", ""}) {
    const std::string path = folder.Write("answers.jsonl", good + "\n" + bad + "\n");
    ExpectError(ErrorCode::kInvalidInput, path + ": line 2 is no recorded answer", [&] { ReadRecordedAnswers(path); });
  }
  ExpectError(ErrorCode::kInvalidArgument, "there is no task 'x'", [] { MakeRecordedTask("x"); });
}

// A store that others write to decides neither how deep a server's stack goes nor how long it computes before it serves.
TEST(RecordedAnswers, RefuseWhatIsTooDeepOrTooMany) {
  const test::TemporaryFolder folder;
  const auto line = [](const std::string& answer) { return R"({"task": "x", "text": "a", "answer": )" + answer + "}\n"; };
  const auto nested = [&](size_t depth) { return line(std::string(depth, '[') + std::string(depth, ']')); };
  const std::string path = folder.Write("answers.jsonl", nested(63));
  EXPECT_EQ(ReadRecordedAnswers(path).answers.size(), 1u);
  for (const size_t depth : {64, 1'000'000}) {
    folder.Write("answers.jsonl", nested(depth));
    ExpectError(ErrorCode::kInvalidInput, path + ": line 1 is no recorded answer", [&] { ReadRecordedAnswers(path); });
  }
  std::string many;
  for (size_t i = 0; i < kMostAnswers; ++i) many += line("1");
  folder.Write("answers.jsonl", many);
  EXPECT_EQ(ReadRecordedAnswers(path).answers.size(), kMostAnswers);
  folder.Write("answers.jsonl", many + line("1"));
  ExpectError(ErrorCode::kInvalidInput, path + ": holds more than 64 answers", [&] { ReadRecordedAnswers(path); });
}

}  // namespace
}  // namespace mlac
