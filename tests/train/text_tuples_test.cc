// Rows of two or three texts: what is recognised, how it is split, and what is refused.
#include "train/text_tuples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "tests/support/test_support.h"
#include "train/ranked_pairs.h"

namespace mlac {
namespace {

using test::ExpectError;
using testing::ElementsAre;

TEST(TextTuples, AreToldApartByTheirColumns) {
  const test::TemporaryFolder folder;
  const auto described = [&](const std::string& name, const std::string& content, const TupleColumns& columns = {}) {
    folder.Write(name, content);
    return Describe(ReadTextTuples(folder / name, columns));
  };
  EXPECT_EQ(described("a.csv", "id,positive,anchor\n1,b,a\n"), "a.csv: 1 pairs of the columns anchor and positive");
  EXPECT_EQ(described("b.csv", "anchor,positive,negative,score\na,b,c,1\n"),
            "b.csv: 1 triples of the columns anchor, positive and negative");
  EXPECT_EQ(described("c.tsv", "sentence1\tsentence2\tscore\na\tb\t0.5\nc\td\t1\n"),
            "c.tsv: 2 scored pairs of the columns sentence1, sentence2 and score");
  EXPECT_EQ(described("d.jsonl", "{\"query\": \"a\", \"answer\": \"b\", \"extra\": [1]}\n"),
            "d.jsonl: 1 pairs of the columns query and answer");
  EXPECT_EQ(described("e.csv", "text;text_pair;label\na;b;1\n"), "e.csv: 1 scored pairs of the columns text, text_pair and label");
  EXPECT_EQ(described("i.csv", "text,label\na,b\n", {.second = "label"}), "i.csv: 1 pairs of the columns text and label");
  const std::string both = "anchor,positive,negative,score\na,b,c,1\n";
  EXPECT_EQ(described("g.csv", both, {.score = "score"}), "g.csv: 1 scored pairs of the columns anchor, positive and score");
  EXPECT_EQ(Describe(ReadTextTuples(folder.Write("h.csv", both), {}, TupleKind::kPairs)),
            "h.csv: 1 pairs of the columns anchor and positive");
  EXPECT_EQ(described("f.csv", "x,y,anchor,positive\na,b,c,d\n", {.first = "x", .second = "y"}), "f.csv: 1 pairs of the columns x and y");
}

TEST(TextTuples, HoldTextsAndScoresOfEachRow) {
  const test::TemporaryFolder folder;
  folder.Write("a.csv", "anchor,positive,negative\na,b,c\n\"d, e\",f,\n");
  const TextTuples triples = ReadTextTuples(folder / "a.csv", {});
  EXPECT_EQ(triples.num_columns(), 3u);
  EXPECT_EQ(triples.text(1, 0), "d, e");
  EXPECT_EQ(triples.text(0, 2), "c");
  EXPECT_EQ(triples.texts.Place(1), "a.csv line 3");
  folder.Write(
      "b.jsonl",
      "{\"sentence1\": \"a\", \"sentence2\": \"b\", \"score\": 0.25}\n{\"sentence1\": \"a\", \"sentence2\": \"c\", \"score\": true}\n");
  EXPECT_THAT(ReadTextTuples(folder / "b.jsonl", {}).scores, ElementsAre(0.25f, 1.0f));
  const std::vector<size_t> second = {1};
  EXPECT_EQ(Subset(triples, second).text(0, 1), "f");
}

TEST(TextTuples, RefuseWhatIsNoneWithItsPlace) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& name, const std::string& content, ErrorCode code, const std::string& message,
                           const TupleColumns& columns = {}) {
    folder.Write(name, content);
    ExpectError(code, (folder / name) + ": " + message, [&] { ReadTextTuples(folder / name, columns); });
  };
  refused("a.csv", "anchor,topic\na,b\n", ErrorCode::kInvalidInput,
          "expected columns of two texts, such as 'anchor' and 'positive', 'query' and 'document' or 'sentence1' and 'sentence2'; found "
          "'anchor', 'topic'");
  refused("b.csv", "sentence1,sentence2,score\na,b,0.5\nc,d,much\n", ErrorCode::kInvalidInput,
          "line 3: expected a number as score, found 'much'");
  refused("c.csv", "sentence1,sentence2,score\na,b,inf\n", ErrorCode::kInvalidInput, "line 2: expected a number as score, found 'inf'");
  refused("d.csv", "a,b\nx,y\n", ErrorCode::kInvalidInput, "expected a column 'c', found 'a', 'b'", {.first = "a", .second = "c"});
  refused("e.csv", "a,b\nx,y\n", ErrorCode::kInvalidArgument, "expected different columns, found 'a' twice", {.first = "a", .second = "a"});
  refused("f.txt", "x\n", ErrorCode::kUnsupported, "plain lines have no columns");
  refused("g.jsonl", "[1]\n", ErrorCode::kInvalidInput, "line 1: expected a JSON object, found an array");
  refused("h.csv", "anchor,positive\n", ErrorCode::kInvalidInput, "expected rows, found none");
}

TEST(TextTuples, RefuseWhatTeachesNothing) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& content, const std::string& message) {
    folder.Write("a.csv", content);
    const TextTuples tuples = ReadTextTuples(folder / "a.csv", {});
    ExpectError(ErrorCode::kInvalidInput, message, [&] { CheckTrainable(tuples); });
  };
  refused("anchor,positive\na,x\nb,x\n", "a.csv: expected at least two different texts in the column 'positive', found 1 in 2 rows");
  refused("sentence1,sentence2,score\na,x,1\nb,y,1\n", "a.csv: expected at least two different scores, found one in 2 rows");
}

TEST(TextTuples, KeepRowsOfOneAnchorOnOneSide) {
  LabelledTexts texts;
  texts.label_names = {""};
  for (size_t i = 0; i < 60; ++i) {
    texts.texts.push_back("anchor " + std::to_string(i % 20));
    texts.pairs.push_back("positive " + std::to_string(i));
    texts.labels.push_back(0);
  }
  const SplitRows rows = SplitByFirstText(texts, 0.2, 0);
  EXPECT_EQ(rows.validation.size(), 12u);
  std::set<std::string> train;
  for (const size_t row : rows.train) train.insert(texts.texts[row]);
  for (const size_t row : rows.validation) EXPECT_FALSE(train.contains(texts.texts[row])) << texts.texts[row];
}

TEST(TextTuples, AreCheckedForBlanksAndContradictions) {
  const test::TemporaryFolder folder;
  folder.Write("a.csv", "anchor,positive,negative\na,b,c\na,c,d\ne, ,f\n");
  std::vector<std::string> lines;
  for (const Finding& finding : CheckTuples("train", ReadTextTuples(folder / "a.csv", {}))) lines.push_back(FindingLine(finding));
  EXPECT_THAT(lines, ElementsAre("warning: train: 1 text of the column 'positive' is empty or blank (a.csv line 4)",
                                 "warning: train: 1 negative is a positive of the same anchor too (a.csv line 2)"));
}

TEST(RankedPairs, AreReadFromScoresNegativesAndLists) {
  const test::TemporaryFolder folder;
  folder.Write("a.csv", "query,document,label\nq,x,1\nq,y,0\nr,x,0.25\n");
  const RankedPairs scored = ReadRankedPairs(folder / "a.csv", {});
  EXPECT_THAT(scored.texts.pairs, ElementsAre("x", "y", "x"));
  EXPECT_THAT(scored.scores, ElementsAre(1, 0, 0.25f));
  folder.Write("b.csv", "query,positive,negative\nq,x,y\nq,x,z\n");
  const RankedPairs triples = ReadRankedPairs(folder / "b.csv", {});
  EXPECT_THAT(triples.texts.pairs, ElementsAre("x", "y", "z"));
  EXPECT_THAT(triples.scores, ElementsAre(1, 0, 0));
  EXPECT_EQ(triples.num_repeated, 1u);
  folder.Write("c.jsonl", "{\"query\": \"q\", \"documents\": [\"x\", \"y\"], \"labels\": [0, 1]}\n");
  const RankedPairs lists = ReadRankedPairs(folder / "c.jsonl", {});
  EXPECT_THAT(lists.texts.texts, ElementsAre("q", "q"));
  EXPECT_THAT(lists.scores, ElementsAre(0, 1));
  folder.Write("d.jsonl", "{\"query\": \"q\", \"positive\": \"x\", \"negatives\": [\"y\", \"z\"]}\n");
  EXPECT_THAT(ReadRankedPairs(folder / "d.jsonl", {}).texts.pairs, ElementsAre("x", "y", "z"));
}

TEST(RankedPairs, RefuseWhatIsNoneWithItsPlace) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& name, const std::string& content, const std::string& message) {
    folder.Write(name, content);
    ExpectError(ErrorCode::kInvalidInput, (folder / name) + ": " + message, [&] { ReadRankedPairs(folder / name, {}); });
  };
  refused("a.csv", "query,document\nq,x\n", "expected a column of scores or of negatives beside 'query' and 'document'");
  refused("b.csv", "query,document,label\nq,x,1\nq,y,2\n", "line 3: expected a score from 0 to 1, found 2");
  refused("c.jsonl", "{\"query\": \"q\", \"documents\": [\"x\", \"y\"], \"labels\": [1]}\n", "line 1: 2 documents have 1 scores");
}

TEST(RankedPairs, AreMeasuredByQueryWhereARankingCanBeWrong) {
  RankedTokens pairs;
  pairs.query_ids = {0, 0, 0, 1, 2, 2};  // 1 has one document; 2 none that answers
  pairs.tokens.targets = {0, 1, 0, 1, 0, 0};
  pairs.tokens.labels.assign(6, 0);
  const std::vector<float> logits = {2, 1, -1, 3, -2, 0.5f};
  const Figures figures = MeasureRankedPairs(logits, pairs);
  ASSERT_EQ(figures.figures.size(), 4u);
  EXPECT_EQ(figures.figures[0].name, "ndcg_at_10");
  EXPECT_NEAR(figures.figures[0].value, 0.6309297535714575, 1e-12);  // 1 / log2(3)
  EXPECT_DOUBLE_EQ(figures.figures[1].value, 0.5);
  EXPECT_EQ(figures.figures[2].name, "average_precision");
  EXPECT_DOUBLE_EQ(figures.figures[2].value, (1.0 + 2.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(figures.figures[3].value, 4.0 / 6);
  EXPECT_EQ(figures.num_examples, 6u);
  pairs.query_ids = {0, 1, 2, 3, 4, 5};
  EXPECT_EQ(MeasureRankedPairs(logits, pairs).figures[0].name, "average_precision") << "no query has two documents";
}

}  // namespace
}  // namespace mlac
