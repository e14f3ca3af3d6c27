// What mlac init makes of data: columns that are guessed, and files that mlac itself reads.
#include "project/draft.h"

#include <gtest/gtest.h>

#include <array>

#include "project/config.h"
#include "project/model_tests.h"
#include "project/run_model_tests.h"
#include "project/step.h"
#include "tests/project/tiny_project.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::TemporaryFolder;

Draft DraftOf(const TemporaryFolder& folder, const std::string& name, const std::string& content, DraftOptions options = {}) {
  options.train = folder.Write(name, content);
  return DraftProject(options);
}

TEST(Draft, GuessesTextsAndLabels) {
  const TemporaryFolder folder;
  for (const auto& [name, content] : std::vector<std::pair<std::string, std::string>>{
           {"a.csv", "id,sentence,topic\n1,a long first text,x\n2,a long second text,y\n3,a long third text,x\n4,another one,y\n"},
           {"b.csv", "topic;id;sentence\nx;1;a long; no\n"},
           {"c.tsv", "topic\tsentence\nx\ta long first text\ny\ta long second text\nx\ta third text\ny\tmore\n"},
           {"d.jsonl",
            "{\"sentence\": \"a long first text\", \"topic\": \"x\", \"n\": 1}\n{\"sentence\": \"a second text\", \"topic\": \"y\", \"n\": "
            "2}\n"
            "{\"sentence\": \"a third text\", \"topic\": \"x\", \"n\": 3}\n{\"sentence\": \"a text\", \"topic\": \"y\", \"n\": 4}\n"}}) {
    if (name == "b.csv") continue;
    const Draft draft = DraftOf(folder, name, content);
    EXPECT_EQ(draft.text_column, "sentence") << name;
    EXPECT_EQ(draft.target_column, "topic") << name;
    EXPECT_EQ(draft.num_labels, 2u) << name;
  }
}

TEST(Draft, LooksForTheTaskAndWritesWhatItHas) {
  const TemporaryFolder folder;
  for (const auto& [name, content, task, gate] : std::vector<std::array<std::string, 4>>{
           {"a.conll", "Ann B-PER\nsleeps O\n\nBen B-PER\n", "token-classification", "f1"},
           {"b.jsonl", "{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\", \"B-X\"]}\n", "token-classification", "f1"},
           {"c.jsonl", "{\"text\": \"a b\", \"entities\": [{\"start\": 0, \"end\": 1, \"label\": \"X\"}]}\n", "token-classification", "f1"},
           {"d.jsonl", "{\"question\": \"a?\", \"context\": \"a b\", \"answers\": {\"text\": [\"b\"], \"answer_start\": [2]}}\n",
            "question-answering", "f1"},
           {"e.txt", "a text\nanother\n", "fill-mask", "accuracy"},
           {"f.csv", "anchor,positive\na,b\nc,d\n", "sentence-similarity", "ndcg_at_10"},
           {"g.csv", "sentence1,sentence2,score\na,b,0.5\nc,d,1\n", "sentence-similarity", "spearman"},
           {"h.csv", "query,document,label\na,b,0\na,d,1\n", "text-ranking", "ndcg_at_10"},
           {"i.csv", "query,document,label\na,b,0\nc,d,1\n", "text-ranking", "average_precision"}}) {
    const Draft draft = DraftOf(folder, name, content, {.name = "x", .test = "test.file"});
    EXPECT_EQ(draft.task, task) << name;
    const ModelConfig model = ParseProject(draft.files.at("mlac.yaml"), "mlac.yaml").models.at(0);
    EXPECT_EQ(model.task, task) << name;
    EXPECT_EQ(model.gates.at(0).Text(), gate + " >= production - 0.005") << name;
    CheckTestKinds(ParseModelTests(draft.files.at("tests/x.yaml"), "x.yaml"), TaskOf(model), ColumnsOf(model));
  }
  const Draft asked = DraftOf(folder, "i.csv", "text,more\na text,b\nanother,c\n", {.task = "fill-mask"});
  EXPECT_EQ(asked.task, "fill-mask");
  EXPECT_EQ(asked.num_rows, 2u);
  ExpectError(ErrorCode::kInvalidArgument, "there is no task 'dance'",
              [&] { DraftOf(folder, "i.csv", "text,label\n", {.task = "dance"}); });
}

TEST(Draft, NamesOfColumnsAreThoseOfTheHeader) {
  const TemporaryFolder folder;
  EXPECT_EQ(ColumnsOf(folder.Write("a.csv", "\"a, b\",c\n1,2\n")), (std::vector<std::string>{"a, b", "c"}));
  EXPECT_EQ(ColumnsOf(folder.Write("b.csv", "a;b\r\n1;2\r\n")), (std::vector<std::string>{"a", "b"}));
}

TEST(Draft, WhatItWritesIsReadBack) {
  const TemporaryFolder folder;
  DraftOptions options = {.name = "topics", .test = "test.csv"};
  for (const char* test : {"", "data/test.csv"}) {
    options.test = test;
    const Draft draft = DraftOf(folder, "train.csv", test::LabelledCsv(30, 1), options);
    const ProjectConfig project = ParseProject(draft.files.at("mlac.yaml"), "mlac.yaml");
    ASSERT_EQ(project.models.size(), 1u);
    EXPECT_EQ(project.models[0].name, "topics");
    EXPECT_EQ(project.models[0].data.test, test);
    EXPECT_EQ(project.models[0].data.test_split, *test == 0 ? 0.2 : 0);
    EXPECT_EQ(project.models[0].tests, "tests/topics.yaml");
    EXPECT_EQ(project.models[0].gates.size(), 2u);
    const std::string& tests = draft.files.at("tests/topics.yaml");
    EXPECT_TRUE(ParseModelTests(tests, "topics.yaml").invariances.empty()) << "what a first model reaches nobody knows";
    EXPECT_NE(tests.find("# invariances:"), std::string::npos);
  }
}

TEST(Draft, ColumnNamesWithYamlInThemStayNames) {
  const TemporaryFolder folder;
  const Draft draft =
      DraftOf(folder, "train.csv", "\"a: b # c\",'label'\nlong text one,x\nlong text two,y\nlong text three,x\nlong text four,y\n");
  const ProjectConfig project = ParseProject(draft.files.at("mlac.yaml"), "mlac.yaml");
  EXPECT_EQ(project.models[0].data.text_column, "a: b # c");
  EXPECT_EQ(project.models[0].data.target_column, "'label'");
}

TEST(Draft, DataWithoutLabelsIsRefusedWithItsColumns) {
  const TemporaryFolder folder;
  EXPECT_EQ(ExpectError(ErrorCode::kInvalidInput, "none of the columns 'a', 'b' looks like the labels",
                        [&] { DraftOf(folder, "x.csv", "a,b\n1,2\n3,4\n5,6\n7,8\n"); })
                .hint(),
            "--text-column and --target-column name them");
}

TEST(Draft, APipelineHoldsWhatTheProjectNeeds) {
  const ProjectConfig project = ParseProject(
      "store: data/store\nmodels:\n  a: {base: my models/b, data: {train: t.csv, test: s.csv}}\n  c: {base: my models/b, data: {train: t.csv, test: s.csv}}\n"
      "  d: {base: models/e, data: {train: t.csv, test: s.csv}}\n",
      "mlac.yaml");
  for (const auto& [system, path] : {std::pair{"github", ".github/workflows/models.yaml"}, {"gitlab", ".gitlab-ci.yml"}}) {
    const Draft draft = DraftPipeline(project, system);
    ASSERT_EQ(draft.files.size(), 1u);
    const std::string& text = draft.files.at(path);
    for (const char* part : {"FILL IN", "MLAC_DEB", "if [ -d 'my models/b' ] && [ -d models/e ]; then exit 0; fi", "tar -czhf base.tar.gz 'my models/b' models/e",
                             "\"data/store\""})
      EXPECT_NE(text.find(part), std::string::npos) << system << ": " << part << "\n" << text;
    EXPECT_EQ(draft.ci_needs.size(), 4u);
  }
  // A store outside the checkout needs no cache.
  ProjectConfig shared = project;
  shared.store = "/mnt/models";
  for (const char* system : {"github", "gitlab"}) {
    const Draft draft = DraftPipeline(shared, system);
    EXPECT_EQ(draft.files.begin()->second.find("cache"), std::string::npos) << system;
    EXPECT_NE(draft.files.begin()->second.find("The runner has to have the folder /mnt/models"), std::string::npos) << system;
  }
}

TEST(Draft, WritesPipelines) {
  const TemporaryFolder folder;
  EXPECT_NE(
      DraftOf(folder, "a.csv", test::LabelledCsv(9, 1), {.ci = "github"}).files.at(".github/workflows/models.yaml").find("mlac apply"),
      std::string::npos);
  EXPECT_NE(DraftOf(folder, "a.csv", test::LabelledCsv(9, 1), {.ci = "gitlab"}).files.at(".gitlab-ci.yml").find("mlac plan"),
            std::string::npos);
}

}  // namespace
}  // namespace mlac
