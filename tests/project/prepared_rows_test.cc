// Rows that steps change and write again: what is written is read as the same rows, whatever the form of the data is.
#include "project/prepared_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "project/model_task.h"
#include "tests/support/test_support.h"
#include "train/questions.h"
#include "train/ranked_pairs.h"
#include "train/tagged_texts.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::TemporaryFolder;
using testing::ElementsAre;

struct Form {
  std::string task, file, content;
  std::vector<std::string> filter_columns;
  ProblemType problem_type = ProblemType::kSingleLabel;
  std::string text_pair = {};
};

constexpr char kSquad[] =
    R"({"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "Zoë lived in Paris. Paris is old.", "qas": [
  {"id": "1", "question": "Where?", "answers": [{"text": "Paris", "answer_start": 13}], "is_impossible": false},
  {"id": "2", "question": "When?", "answers": [], "is_impossible": true},
  {"id": "3", "question": "How?", "answers": [{"text": "not there", "answer_start": 3}], "is_impossible": false},
  {"id": "4", "question": "Who?", "answers": [{"text": "Zoë", "answer_start": 5}], "is_impossible": false}]}]}]})";

std::vector<Form> Forms() {
  return {
      {"text-classification", "a.csv", "text,label,lang\n\"a \"\"quoted\"\", text\nof two lines\",x,en\n  blanks ,y,de\n,y,de\n", {"lang"}},
      {"text-classification", "b.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": true}\n", {}},
      {"text-classification",
       "p.csv",
       "text,label,reply,lang\na,x,\"b, c\",en\na,y,,de\n",
       {"lang", "reply"},
       ProblemType::kSingleLabel,
       "reply"},
      {"text-classification",
       "n.jsonl",
       "{\"text\": \"a\", \"label\": [\"x\", \"y, z\"], \"lang\": \"en\"}\n{\"text\": \"b\", \"label\": [], \"lang\": [\"de\", \"en\"]}\n",
       {"lang", "label"},
       ProblemType::kMultiLabel},
      {"text-classification", "q.csv", "text,label,reply\na,\"x, y\",b\na,x,c\n", {}, ProblemType::kMultiLabel, "reply"},
      {"text-classification", "o.tsv", "text\tlabel\na\t-1.5\nb\t2e3\n", {"text"}, ProblemType::kRegression},
      {"fill-mask", "r.jsonl", "{\"text\": \"one\", \"lang\": \"en\"}\n", {"text", "lang"}},
      {"sentence-similarity", "s.jsonl", "{\"anchor\": \"a\", \"positive\": \"b\"}\n", {"positive"}},
      {"fill-mask", "c.txt", "one\n\n  \nZoë \"said\" so\n", {}},
      {"fill-mask", "d.csv", "text,lang\none,en\n\"two\nlines\",de\n", {"lang"}},
      {"sentence-similarity", "e.csv", "anchor,positive,more\na,b,1\nc,\"d, e\",2\n", {"more"}},
      {"sentence-similarity", "f.tsv", "sentence1\tsentence2\tscore\na\tb\t0.5\nc\td\t1\n", {}},
      {"text-ranking",
       "g.jsonl",
       "{\"query\": \"q\", \"documents\": [\"a\", \"b\"], \"labels\": [1, 0]}\n{\"query\": \"r\", \"documents\": [\"c\"], \"labels\": "
       "[1]}\n",
       {}},
      {"text-ranking", "h.csv", "query,positive,negative\nq,a,b\nq,a,c\n", {}},
      {"token-classification", "i.conll", "-DOCSTART- O\n\nZoë B-PER\nlives O\nin O\nNew B-LOC\nYork I-LOC\n\nNobody O\n\n", {}},
      {"token-classification", "j.jsonl", "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\", \"B-X\"]}\n", {}},
      {"token-classification",
       "k.jsonl",
       "{\"text\": \"Zoë, of New York.\", \"entities\": [{\"start\": 0, \"end\": 3, \"label\": \"PER\"}, {\"start\": 8, \"end\": 16, "
       "\"label\": \"LOC\"}]}\n{\"text\": \"nobody\", \"entities\": []}\n",
       {}},
      {"question-answering", "l.json", kSquad, {}},
      {"question-answering",
       "m.jsonl",
       "{\"question\": \"q\", \"context\": \"a b\", \"answers\": {\"text\": [\"b\"], \"answer_start\": [2]}}\n",
       {}}};
}

std::vector<std::string> Lines(const PreparedRows& rows) {
  std::vector<std::string> lines;
  for (const PreparedRow& row : rows.rows) lines.push_back(row.line);
  return lines;
}

TEST(PreparedRows, WhatIsWrittenIsReadAsTheSameRows) {
  const TemporaryFolder folder;
  for (const Form& form : Forms()) {
    const ModelTask& task = FindModelTask(form.task, form.problem_type);
    ModelData columns;
    columns.text_pair_column = form.text_pair;
    const PreparedRows rows = task.read_rows(folder.Write(form.file, form.content), columns, form.filter_columns);
    ASSERT_FALSE(rows.rows.empty()) << form.file;
    const std::string path = folder / ("written-" + form.file + std::string(task.extension));
    WriteRows(path, rows);
    const PreparedRows again = task.read_rows(path, columns, form.filter_columns);
    EXPECT_EQ(again.head, rows.head) << form.file;
    EXPECT_EQ(Lines(again), Lines(rows)) << form.file;
    for (size_t i = 0; i < rows.rows.size(); ++i) {
      EXPECT_EQ(again.rows[i].Key(), rows.rows[i].Key()) << form.file;
      EXPECT_EQ(again.rows[i].Group(), rows.rows[i].Group()) << form.file;
      EXPECT_EQ(again.rows[i].label, rows.rows[i].label) << form.file;
      EXPECT_EQ(again.rows[i].labels, rows.rows[i].labels) << form.file;
      EXPECT_EQ(again.rows[i].columns, rows.rows[i].columns) << form.file;
      EXPECT_EQ(again.rows[i].columns.size(), form.filter_columns.size()) << form.file;
    }
  }
}

TEST(PreparedRows, MeanWhatTheyMeantToTheTask) {
  const TemporaryFolder folder;
  const auto written = [&](const char* task, const std::string& file, const std::string& content) {
    const std::string path = folder / (file + ".jsonl");
    WriteRows(path, FindModelTask(task).read_rows(folder.Write(file, content), {}, {}));
    return path;
  };
  const Questions before = ReadQuestions(folder.Write("squad.json", kSquad)),
                  after = ReadQuestions(written("question-answering", "again.json", kSquad));
  ASSERT_EQ(after.size(), 4u);
  EXPECT_EQ(after.texts.pairs, before.texts.pairs);
  EXPECT_TRUE(after.answers[1].empty());
  EXPECT_EQ(after.answers[0][0].begin, before.answers[0][0].begin);
  EXPECT_EQ(after.answers[2][0].place, AnswerPlace::kNowhere);
  EXPECT_EQ(after.answers[3][0].begin, before.answers[3][0].begin);

  const std::string spans = "{\"text\": \"Zoë, of New York.\", \"entities\": [{\"start\": 8, \"end\": 16, \"label\": \"LOC\"}]}\n";
  const TaggedTexts tagged = ReadTaggedTexts(folder.Write("spans.jsonl", spans)),
                    tagged_again = ReadTaggedTexts(written("token-classification", "s.jsonl", spans));
  EXPECT_EQ(tagged_again.texts.texts, tagged.texts.texts) << "the text as it was, not words with blanks between";
  ASSERT_EQ(tagged_again.words[0].size(), tagged.words[0].size());
  for (size_t w = 0; w < tagged.words[0].size(); ++w) EXPECT_EQ(tagged_again.words[0][w].tag, tagged.words[0][w].tag);

  const std::string lists = "{\"query\": \"q\", \"documents\": [\"a\", \"b\"], \"labels\": [1, 0]}\n";
  const RankedPairs pairs = ReadRankedPairs(written("text-ranking", "lists.jsonl", lists), {});
  EXPECT_THAT(pairs.texts.pairs, ElementsAre("a", "b"));
  EXPECT_THAT(pairs.scores, ElementsAre(1, 0));
}

TEST(PreparedRows, OfPairsBothTextsTellThemApart) {
  const TemporaryFolder folder;
  ModelData columns;
  columns.text_pair_column = "reply";
  const std::string path = folder.Write("a.csv", "text,reply,label\na,b,x\na,c,y\na,b,x\n");
  for (const ProblemType problem_type : {ProblemType::kSingleLabel, ProblemType::kMultiLabel}) {
    const std::vector<PreparedRow> rows = FindModelTask("text-classification", problem_type).read_rows(path, columns, {}).rows;
    ASSERT_EQ(rows.size(), 3u);
    EXPECT_EQ(rows[0].Key(), rows[2].Key());
    EXPECT_NE(rows[0].Key(), rows[1].Key());
    EXPECT_NE(rows[0].Group(), rows[1].Group()) << "else a premise with three labels could not be set aside";
  }
}

TEST(PreparedRows, LabelsOfACellAreTakenApart) {
  const TemporaryFolder folder;
  ModelData columns;
  columns.label_separator = "|";
  const std::vector<PreparedRow> rows =
      ReadRowsOfLabelSets(folder.Write("a.csv", "text,label\na, x | y\nb,\nc,\"x, y\"\n"), columns, {}).rows;
  EXPECT_THAT(rows[0].labels, ElementsAre("x", "y"));
  EXPECT_THAT(rows[1].labels, ElementsAre());
  EXPECT_THAT(rows[2].labels, ElementsAre("x, y"));
}

TEST(PreparedRows, AMissingColumnIsNamed) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("a.csv", "anchor,positive\na,b\n");
  ExpectError(ErrorCode::kInvalidInput, path + ": expected a column 'lang', found 'anchor', 'positive'",
              [&] { ReadRowsOfTuples(path, {}, {"lang"}); });
}

}  // namespace
}  // namespace mlac
