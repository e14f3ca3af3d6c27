// Question answering: the data and its faults, the windows and where an answer stands in them, the loss, and what SQuAD's script counts.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "train/answer_metrics.h"
#include "train/answer_objective.h"
#include "train/questions.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::FixturePath;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Questions, ReadsSquadAndRowsAlike) {
  const test::TemporaryFolder folder;
  folder.Write("squad.json", R"({"version": "v2.0", "data": [{"title": "T", "paragraphs": [{"context": "The cat is red.", "qas": [
    {"id": "q1", "question": "Which colour?", "answers": [{"text": "red", "answer_start": 11}, {"text": "is red", "answer_start": 8}], "is_impossible": false},
    {"id": "q2", "question": "Who?", "answers": [], "plausible_answers": [{"text": "cat", "answer_start": 4}], "is_impossible": true}]}]}]})");
  folder.Write("rows.jsonl", R"({"id": "q1", "title": "T", "question": "Which colour?", "context": "The cat is red.",)"
                             R"( "answers": {"text": ["red", "is red"], "answer_start": [11, 8]}})"
                             "\n\n"
                             R"({"question": "Who?", "context": "The cat is red.", "answers": {"text": [], "answer_start": []}})"
                             "\n");
  folder.Write("list.json",
               R"([{"id": 7, "question": "Which colour?", "context": "The cat is red.", "answers": [{"text": "red", "answer_start": 11},
    {"text": "is red", "answer_start": 8}]}, {"question": "Who?", "context": "The cat is red.", "answers": []}])");
  for (const char* name : {"squad.json", "rows.jsonl", "list.json"}) {
    SCOPED_TRACE(name);
    const Questions data = ReadQuestions(folder / name);
    EXPECT_THAT(data.texts.texts, ElementsAre("Which colour?", "Who?"));
    EXPECT_THAT(data.texts.pairs, ElementsAre("The cat is red.", "The cat is red."));
    ASSERT_EQ(data.answers[0].size(), 2u);
    EXPECT_EQ(data.answers[0][0].text, "red");
    EXPECT_EQ(data.answers[0][0].begin, 11u);
    EXPECT_EQ(data.answers[0][1].end, 14u);
    EXPECT_THAT(data.answers[1], IsEmpty());
    EXPECT_EQ(data.AnswerOf(1), nullptr);
    EXPECT_TRUE(data.HasUnanswerable());
  }
  EXPECT_EQ(ReadQuestions(folder / "squad.json").texts.Place(1), "squad.json/q2");
  EXPECT_EQ(ReadQuestions(folder / "rows.jsonl").texts.Place(1), "rows.jsonl line 3");
  EXPECT_EQ(ReadQuestions(folder / "list.json").texts.Place(0), "list.json/7");
  EXPECT_EQ(ReadQuestions(folder / "list.json").texts.Place(1), "list.json/data[1]");
}

TEST(Questions, RefusesBadFilesWithTheirPlace) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& name, const std::string& content, ErrorCode code, const std::string& message) {
    folder.Write(name, content);
    ExpectError(code, (folder / name) + ": " + message, [&] { ReadQuestions(folder / name); });
  };
  const auto invalid = ErrorCode::kInvalidInput;
  refused("a.json", R"({"data": []})", invalid, "expected questions with contexts, found none");
  refused("b.json", R"({"datum": []})", invalid, "expected the key 'data', found none");
  refused("c.json", R"({"data": [{"paragraphs": [{"context": "x"}]}]})", invalid,
          "data[0].paragraphs[0]: expected the key 'qas', found none");
  refused("d.json", R"({"data": [{"paragraphs": [{"context": 1, "qas": []}]}]})", invalid,
          "data[0].paragraphs[0]: expected a string under 'context', found number");
  refused("e.jsonl", "\n{\"question\": \"x\"}\n", invalid, "line 2: expected the key 'context', found none");
  refused("f.jsonl", R"({"question": "x", "context": "y", "answers": {"text": ["y"], "answer_start": []}})", invalid,
          "line 1: 1 answers have 0 answer_start");
  refused("g.jsonl", R"({"question": "x", "context": "y", "answers": {"text": ["y"], "answer_start": [-1]}})", invalid,
          "line 1: expected a whole number from 0 as answer_start, found -1");
  refused("h.jsonl", R"({"question": "x", "context": "y", "answers": [], "is_impossible": "no"})", invalid,
          "line 1: expected true or false under 'is_impossible', found string");
  refused("i.csv", "a\n", ErrorCode::kUnsupported, "expected questions in a file that ends in .json or .jsonl");
}

std::string Row(const std::string& context, const std::string& answer, size_t start) {
  return fmt::format(R"({{"question": "which?", "context": "{}", "answers": {{"text": ["{}"], "answer_start": [{}]}}}})"
                     "\n",
                     context, answer, start);
}

TEST(Questions, CountsCodePointsAndFindsAnswersNearby) {
  const test::TemporaryFolder folder;
  const std::string far(40, 'x');
  folder.Write("a.jsonl", Row("é\u4e2dé cat", "cat", 4) +              // as it should be
                              Row("é\u4e2dé cat", "cat", 8) +          // counted in bytes
                              Row("cat cat", "cat", 3) +               // of two the nearer
                              Row("cat " + far + " cat", "cat", 22) +  // two, both too far away
                              Row("a dog", "cat", 0) + Row("cat", "cat", 99) + Row("cat", "", 0));
  const Questions data = ReadQuestions(folder / "a.jsonl");
  const auto place = [&](size_t row) { return data.answers[row][0].place; };
  EXPECT_EQ(place(0), AnswerPlace::kExact);
  EXPECT_EQ(data.answers[0][0].begin, 8u);
  EXPECT_EQ(place(1), AnswerPlace::kMoved);
  EXPECT_EQ(data.answers[1][0].begin, 8u);
  EXPECT_EQ(place(2), AnswerPlace::kMoved);
  EXPECT_EQ(data.answers[2][0].begin, 4u);
  EXPECT_EQ(place(3), AnswerPlace::kNowhere);
  EXPECT_EQ(place(4), AnswerPlace::kNowhere);
  EXPECT_EQ(place(5), AnswerPlace::kMoved);
  EXPECT_EQ(place(6), AnswerPlace::kNowhere);
  const std::vector<Finding> findings = CheckAnswers(data, "train", /*trained=*/true);
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(FindingLine(findings[0]),
            "warning: train: 3 questions have an answer that does not stand at its answer_start; it is read where it stands (a.jsonl line "
            "2; a.jsonl line 3; "
            "a.jsonl line 6)");
  EXPECT_EQ(FindingLine(findings[1]),
            "warning: train: 3 questions have no answer that stands in the context near its answer_start; left out (a.jsonl line 4; "
            "a.jsonl line 5; "
            "a.jsonl line 7)");
}

// Each place is counted on from the one before, or a long context would take the square of its length.
TEST(Questions, FindsTheNearestOfManyPlacesInALongContext) {
  constexpr size_t kTimes = 100'000, kWanted = 70'000;
  const test::TemporaryFolder folder;
  std::string context;
  for (size_t i = 0; i < kTimes; ++i) context += "\u00e9 cat ";  // 6 code points in 7 bytes
  folder.Write("a.jsonl", Row(context, "cat", 6 * kWanted + 4));   // where it stands is 2 before, and 4 behind
  const Questions data = ReadQuestions(folder / "a.jsonl");
  EXPECT_EQ(data.answers[0][0].place, AnswerPlace::kMoved);
  EXPECT_EQ(data.answers[0][0].begin, 7 * kWanted + 3);
}

TEST(AnswerWindows, PointAtTheAnswerOrAtTheFirstToken) {
  const test::TemporaryFolder folder;
  // Contexts of single tokens; "[CLS] which? [SEP]" takes 7 or so, whatever the tokenizer makes of the question.
  folder.Write("a.jsonl", Row("the dog and the red cat is open", "red cat", 16) + Row("a dog", "cat", 0) +
                              R"({"question": "which?", "context": "the dog", "answers": {"text": [], "answer_start": []}})");
  const Questions data = ReadQuestions(folder / "a.jsonl");
  const Tokenizer tokenizer = Tokenizer::Load(FixturePath("models/classifier"));
  const size_t around = tokenizer.EncodePair("which?", "the").token_ids.size() - 1;
  const AnswerWindows whole = CutQuestions(tokenizer, data, {.window = around + 8, .doc_stride = 2});
  EXPECT_THAT(whole.questions, ElementsAre(0, 2)) << "the question whose answer is nowhere is left out";
  const auto first = static_cast<int32_t>(around - 1);  // of the context
  EXPECT_THAT(whole.starts, ElementsAre(first + 4, 0));
  EXPECT_THAT(whole.ends, ElementsAre(first + 5, 0));
  EXPECT_EQ(whole.num_long, 0u);
  const AnswerWindows cut = CutQuestions(tokenizer, data, {.window = around + 5, .doc_stride = 2});  // tokens 0 to 4, then 3 to 7
  EXPECT_THAT(cut.questions, ElementsAre(0, 0, 2));
  EXPECT_THAT(cut.starts, ElementsAre(0, first + 1, 0)) << "half an answer is none";
  EXPECT_THAT(cut.ends, ElementsAre(0, first + 2, 0));
  EXPECT_EQ(cut.num_long, 1u);
  EXPECT_EQ(cut.num_uncovered, 0u);
  EXPECT_EQ(CutQuestions(tokenizer, data, {.window = around + 1, .doc_stride = 0}).num_uncovered, 1u);
  EXPECT_THROW(CutQuestions(tokenizer, data, {.window = around, .doc_stride = 0}), Error);
  EXPECT_THROW(CutQuestions(tokenizer, data, {.window = around + 5, .doc_stride = SIZE_MAX}), Error);
}

TEST(AnswerWindows, HaveTheLengthsOfTheTask) {
  EXPECT_EQ(AnswerWindowsFor(512, false, std::nullopt, 30).window, 384u);
  EXPECT_EQ(AnswerWindowsFor(512, true, std::nullopt, 30).window, 512u);
  EXPECT_EQ(AnswerWindowsFor(512, false, std::nullopt, 30).doc_stride, 128u);
  EXPECT_EQ(AnswerWindowsFor(64, false, std::nullopt, 30).doc_stride, 32u);
  EXPECT_EQ(AnswerWindowsFor(64, false, 63, 30).doc_stride, 63u);
  ExpectError(ErrorCode::kInvalidArgument, "windows of 64 tokens cannot share 64", [] { AnswerWindowsFor(64, false, 64, 30); });
}

TEST(AnswerLosses, HaveTheGradientsOfTheirDifferences) {
  const Offsets offsets = {0, 5, 6, 13};
  const std::vector<int32_t> starts = {2, 0, 6}, ends = {4, 0, 6};
  std::vector<float> logits = test::RandomFloats(26, 1), gradient(26);
  const auto loss = [&] {
    double sum = 0;
    for (const double each : AnswerLosses(logits, offsets, starts, ends, 1, nullptr)) sum += each;
    return sum;
  };
  const std::vector<double> losses = AnswerLosses(logits, offsets, starts, ends, 0.25f, gradient.data());
  ASSERT_EQ(losses.size(), 3u);
  EXPECT_EQ(losses[1], 0) << "one token alone is no choice";
  for (size_t i = 0; i < logits.size(); ++i) {
    constexpr float kStep = 1e-2f;
    const float kept = logits[i];
    logits[i] = kept + kStep;
    const double above = loss();
    logits[i] = kept - kStep;
    const double below = loss();
    logits[i] = kept;
    EXPECT_NEAR(gradient[i], 0.25 * (above - below) / (2.0 * kStep), 1e-4) << i;
  }
  // Each sequence by itself has the same bits.
  const std::vector<double> alone =
      AnswerLosses(std::span(logits).subspan(12), {0, 7}, std::span(starts).subspan(2), std::span(ends).subspan(2), 1, nullptr);
  EXPECT_EQ(alone[0], losses[2]);
}

TEST(AnswerMetrics, ComparesWordsAsSquadDoes) {
  EXPECT_THAT(WordsOfAnswer("The  Denver\tBroncos!"), ElementsAre("denver", "broncos"));
  EXPECT_THAT(WordsOfAnswer("an \"A-b\", U.S. then"), ElementsAre("ab", "us", "then"));
  EXPECT_THAT(WordsOfAnswer("the\u2013best"), ElementsAre("\u2013best"));
  EXPECT_THAT(WordsOfAnswer("\u00c9T\u00c9 \u00a0 a\u0301"), ElementsAre("\u00e9t\u00e9", "\u0301")) << "Python's re sees a word 'a' before a combining mark";
  EXPECT_THAT(WordsOfAnswer("a, the."), IsEmpty());
  EXPECT_THAT(WordsOfAnswer(""), IsEmpty());
}

// get_raw_scores of SQuAD 2.0's evaluate-v2.0.py on the same strings.
TEST(AnswerMetrics, AreThoseOfTheOfficialScript) {
  const auto score = [](const std::string& predicted, const std::vector<std::string>& gold) { return ScoreAnswer(predicted, gold); };
  EXPECT_EQ(score("Denver Broncos", {"the Denver Broncos."}).exact, 1);
  EXPECT_EQ(score("Denver Broncos", {"the Denver Broncos."}).f1, 1);
  EXPECT_DOUBLE_EQ(score("Denver Broncos won", {"Broncos", "Denver Broncos of 2015"}).f1, 2 * (2.0 / 3) * (2.0 / 4) / (2.0 / 3 + 2.0 / 4));
  EXPECT_EQ(score("Denver Broncos won", {"Broncos"}).exact, 0);
  EXPECT_DOUBLE_EQ(score("b b c", {"b b b d"}).f1, 2 * (2.0 / 3) * (2.0 / 4) / (2.0 / 3 + 2.0 / 4))
      << "a word counts as often as it stands in both";
  EXPECT_EQ(score("dog", {"cat"}).f1, 0);
  EXPECT_EQ(score("", {}).exact, 1);
  EXPECT_EQ(score("", {}).f1, 1);
  EXPECT_EQ(score("the", {}).f1, 1) << "nothing is left of either";
  EXPECT_EQ(score("cat", {}).f1, 0);
  EXPECT_EQ(score("", {"cat"}).f1, 0);
  EXPECT_EQ(score("the", {"a", "cat"}).f1, 0) << "an answer of which nothing is left does not count where there is another";
}

TEST(AnswerMetrics, TellQuestionsWithAnAnswerApart) {
  const std::vector<AnswerScore> scores = {{1, 1, true}, {0, 0.5, true}, {1, 1, false}, {0, 0, false}, {0, 0, false}};
  const Figures figures = ComputeAnswerMetrics(scores);
  const auto value = [&](const std::string& name) {
    for (const Figure& figure : figures.figures)
      if (figure.name == name) return figure.value;
    return -1.0;
  };
  EXPECT_EQ(figures.figures.front().name, "f1");
  EXPECT_DOUBLE_EQ(value("f1"), 0.5);
  EXPECT_DOUBLE_EQ(value("exact_match"), 0.4);
  EXPECT_DOUBLE_EQ(value("has_answer_f1"), 0.75);
  EXPECT_DOUBLE_EQ(value("has_answer_exact_match"), 0.5);
  EXPECT_DOUBLE_EQ(value("no_answer_exact_match"), 1.0 / 3);
  for (const Figure& figure : figures.figures) {
    ASSERT_TRUE(figure.interval) << figure.name;
    EXPECT_LE(figure.interval->low, figure.value);
    EXPECT_GE(figure.interval->high, figure.value);
  }
  EXPECT_EQ(ComputeAnswerMetrics(std::span(scores).first(2)).figures.size(), 2u)
      << "no word of questions without an answer where there are none";
}

}  // namespace
}  // namespace mlac
