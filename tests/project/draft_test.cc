// What mlac init makes of data: columns that are guessed, and files that mlac itself reads.
#include "project/draft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <ostream>

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

// Rows of forms in turns, with the number of the row in place of each {} (at most three) or {0}.
std::string Rows(const std::string& head, std::initializer_list<const char*> forms, size_t count = 60) {
  std::string rows = head;
  for (size_t i = 0; i < count; ++i) rows += fmt::format(fmt::runtime(std::data(forms)[i % forms.size()]), i, i, i) + "\n";
  return rows;
}

struct KindOfData {
  std::string name, file, content;
  std::string base, task;
  std::vector<std::string> lines;  // that mlac.yaml has
  std::vector<std::string> not_there = {};
};

void PrintTo(const KindOfData& kind, std::ostream* out) { *out << kind.name; }

class DraftOfKind : public testing::TestWithParam<KindOfData> {};

TEST_P(DraftOfKind, IsPlannedAppliedAndComparedWithProductionAsItStands) {
  const KindOfData& kind = GetParam();
  test::TinyProject project;
  DraftOptions options = {.name = "topics", .train = project.folder.Write(kind.file, kind.content), .base = test::FixturePath(kind.base)};
  const Draft draft = DraftProject(options);
  EXPECT_EQ(draft.task, kind.task);
  const std::string text = draft.files.at("mlac.yaml");
  for (const std::string& line : kind.lines) EXPECT_NE(text.find("\n" + line), std::string::npos) << line << "\n" << text;
  for (const std::string& line : kind.not_there) EXPECT_EQ(text.find(line), std::string::npos) << line << "\n" << text;
  const auto write = [&](const std::string& content) {
    project.folder.Write("mlac.yaml", content);
    return ReadProject(project.folder / "mlac.yaml");
  };
  project.folder.Write("tests/topics.yaml", draft.files.at("tests/topics.yaml"));
  test::RecordingObserver observer;
  const Store store = project.OpenStore();
  const auto apply = [&](const std::string& content) {
    const ProjectConfig config = write(content);
    const ApplyResult result = Apply(config, MakePlan(config), store, {}, observer, observer.stop);
    ASSERT_FALSE(result.failed()) << result.models[0].failure->message();
  };
  apply(text);
  for (const auto& [step, message] : observer.refused)
    EXPECT_TRUE(step == "gate" && message.starts_with("accuracy >= ")) << step << ": " << message;  // what a tiny model does not reach
  if (!observer.refused.empty()) return;
  Aliases(store).Promote("topics", project.Latest(), kProduction);
  const size_t seed = text.find("seed: 0    # decides order");
  ASSERT_NE(seed, std::string::npos);
  apply(std::string(text).replace(seed, 7, "seed: 1"));
  for (const auto& [step, message] : observer.refused) EXPECT_NE(message.find("production"), std::string::npos) << step << ": " << message;
}

INSTANTIATE_TEST_SUITE_P(
    Draft, DraftOfKind,
    testing::Values(
        KindOfData{
            "a list of labels",
            "a.jsonl",
            Rows("", {R"({{"text": "the night {}", "tags": []}})", R"({{"text": "the cat {}", "tags": ["animal"]}})",
                      R"({{"text": "the red {}", "tags": ["colour"]}})", R"({{"text": "red cat {}", "tags": ["animal", "colour"]}})"}),
            "models/classifier",
            "text-classification",
            {"      text: \"text\" ", "      target: \"tags\" ", "      multi_label: true ", "      - f1 >= production - 0.005 "},
            {"label_separator", "accuracy"}},
        KindOfData{"labels with commas",
                   "b.csv",
                   Rows("text,labels\n", {"the night {},", "the cat {},animal", "the red {},colour", "red cat {},\"animal, colour\""}),
                   "models/classifier",
                   "text-classification",
                   {"      target: \"labels\" ", "      multi_label: true "},
                   {"label_separator"}},
        KindOfData{
            "labels with bars",
            "c.tsv",
            Rows("words\tkinds\n", {"the night {}\ttime", "the cat {}\tanimal|time", "the red {}\tcolour", "red cat {}\tanimal|colour"}),
            "models/classifier",
            "text-classification",
            {"      text: \"words\" ", "      target: \"kinds\" ", "      label_separator: \"|\" ", "      multi_label: true "}},
        KindOfData{"numbers",
                   "d.csv",
                   Rows("id,text,mark\n", {"1{0},the cat {0},0.{0}", "1{0},the red night {0},-1.{0}"}),
                   "models/classifier",
                   "text-classification",
                   {"      text: \"text\" ", "      target: \"mark\" ", "      regression: true ", "      - mse <= production * 1.02 "},
                   {"accuracy", "multi_label"}},
        KindOfData{"whole numbers",
                   "e.jsonl",
                   Rows("", {R"({{"text": "the cat {0}", "score": {0}}})", R"({{"text": "red night {0}", "score": {0}}})"}, 40) +
                       Rows("", {R"({{"text": "open cat {0}", "score": {0}}})"}, 40),
                   "models/classifier",
                   "text-classification",
                   {"      target: \"score\" ", "      regression: true "}},
        KindOfData{"stars",
                   "f.csv",
                   Rows("text,stars\n", {"the cat {},5", "the red night {},1", "water {},3"}),
                   "models/classifier",
                   "text-classification",
                   {"      target: \"stars\" ", "      - accuracy >= "},
                   {"regression: true"}},
        KindOfData{"pairs",
                   "g.csv",
                   Rows("premise,hypothesis,label\n", {"the cat {},red {} night,yes", "the people {},cat {},no"}),
                   "models/classifier",
                   "text-classification",
                   {"      text: \"premise\" ", "      text_pair: \"hypothesis\" ", "      target: \"label\" "}},
        KindOfData{"pairs with numbers",
                   "h.csv",
                   Rows("text1,text2,score\n", {"the cat {0},red {0} night,0.{0}", "the people {0},cat {0},1.{0}"}),
                   "models/classifier",
                   "text-classification",
                   {"      text: \"text1\" ", "      text_pair: \"text2\" ", "      target: \"score\" ", "      regression: true "}},
        KindOfData{"questions with a context and a label",
                   "i.jsonl",
                   Rows("", {R"({{"question": "cat {} ?", "context": "the cat", "label": "yes"}})",
                             R"({{"question": "red {} ?", "context": "the night", "label": "no"}})"}),
                   "models/classifier",
                   "text-classification",
                   {"      text: \"question\" ", "      text_pair: \"context\" "}},
        KindOfData{"scored sentences",
                   "j.csv",
                   Rows("sentence1,sentence2,label\n", {"the cat {0},red {0} night,0.{0}", "the people {0},cat {0},0.9"}),
                   "models/embedding",
                   "sentence-similarity",
                   {"      - spearman >= production - 0.005 "}},
        KindOfData{"anchors and positives",
                   "k.csv",
                   Rows("anchor,positive\n", {"the cat {},red night {}", "people {},open {}"}),
                   "models/embedding",
                   "sentence-similarity",
                   {"      - ndcg_at_10 >= production - 0.005 "}},
        KindOfData{"queries and positives",
                   "l.csv",
                   Rows("query,positive\n", {"the cat {},red night {}", "people {},open {}"}),
                   "models/embedding",
                   "sentence-similarity",
                   {"      - ndcg_at_10 >= production - 0.005 "}},
        KindOfData{"triples",
                   "m.csv",
                   Rows("anchor,positive,negative\n", {"the cat {},red night {},open {}", "people {},open {},cat {}"}),
                   "models/embedding",
                   "sentence-similarity",
                   {"      - accuracy >= production - 0.005 "}},
        KindOfData{"queries with positives and negatives",
                   "n.csv",
                   Rows("query,positive,negative\n", {"the cat {},red night {},open {}", "people {},open {},cat {}"}),
                   "models/classifier",
                   "text-ranking",
                   {"      - ndcg_at_10 >= production - 0.005 "}},
        KindOfData{"queries with lists",
                   "o.jsonl",
                   Rows("", {R"({{"query": "cat {0}", "positive": ["the cat {0}"], "negative": ["red {0}", "open {0}"]}})"}),
                   "models/classifier",
                   "text-ranking",
                   {"      - ndcg_at_10 >= production - 0.005 "}},
        KindOfData{"answers in a context",
                   "p.jsonl",
                   Rows("", {R"({{"question": "cat {0} ?", "context": "the people {0} cat red night", )"
                             R"("answers": {{"text": ["the people"], "answer_start": [0]}}}})"}),
                   "models/classifier",
                   "question-answering",
                   {"      - f1 >= production - 0.005 "}}));

TEST(Draft, AnswersInATableAreRefusedWithTheFormThatIsRead) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("q.csv", "question,context,answer\na ?,a b,b\n");
  EXPECT_EQ(
      ExpectError(ErrorCode::kInvalidInput, path + ": answers in a context are read from JSON Lines or SQuAD's JSON, not from a table",
                  [&] { DraftProject({.train = path}); })
          .hint(),
      R"({"question": "...", "context": "...", "answers": {"text": ["..."], "answer_start": [4]}})");
}

TEST(Draft, TextsWithCommasAreNoListsOfLabels) {
  const TemporaryFolder folder;
  const Draft draft =
      DraftOf(folder, "a.csv", Rows("text,place\n", {"\"a cat, red, {0}\",\"Paris, France\"", "\"night, open, {0}\",\"Rome, Italy\""}, 20));
  EXPECT_EQ(draft.text_column, "text");
  EXPECT_EQ(draft.target_column, "place");
  EXPECT_EQ(draft.problem_type, ProblemType::kSingleLabel);
  EXPECT_EQ(draft.num_labels, 2u);
}

TEST(Draft, ColumnsThatAreNamedAreTaken) {
  const TemporaryFolder folder;
  const Draft draft = DraftOf(folder, "a.csv", Rows("a,b,c,d\n", {"the cat {},open,x,0.5", "red night {},not,y,0.25"}, 20),
                              {.text_column = "b", .text_pair_column = "a", .target_column = "d"});
  EXPECT_EQ(draft.text_column, "b");
  EXPECT_EQ(draft.text_pair_column, "a");
  EXPECT_EQ(draft.target_column, "d");
  EXPECT_EQ(draft.problem_type, ProblemType::kRegression);
}

TEST(Draft, NamesOfColumnsAreThoseOfTheHeader) {
  const TemporaryFolder folder;
  EXPECT_EQ(ColumnsOf(folder.Write("a.csv", "\"a, b\",c\n1,2\n")), (std::vector<std::string>{"a, b", "c"}));
  EXPECT_EQ(ColumnsOf(folder.Write("b.csv", "a;b\r\n1;2\r\n")), (std::vector<std::string>{"a", "b"}));
}

// Headers as training reads them: a line that names the separator, a mark of the byte order, a quoted name over two lines, columns without a
// name, lines that are blank.
TEST(Draft, ReadsHeadersAsTrainingDoes) {
  const TemporaryFolder folder;
  size_t number = 0;
  for (const std::string header : {"sep=|\nsentence|topic\n", "sep=;\r\nsentence;topic\r\n", "SEP=\t\nsentence\ttopic\n", "\xef\xbb\xbfsentence,topic\n",
                                   "\n\nsentence,topic\n", "\"sentence\",\"topic\"\n", "sentence;topic\n"}) {
    const char separator = header.find('|') != std::string::npos    ? '|'
                           : header.find(';') != std::string::npos  ? ';'
                           : header.find('\t') != std::string::npos ? '\t'
                                                                    : ',';
    std::string rows = header;
    for (const char* row : {"a long first text", "a long second text", "a long third text", "another text"})
      rows += fmt::format("{}{}{}\n", row, separator, ++number % 2 == 0 ? "x" : "y");
    const Draft draft = DraftOf(folder, fmt::format("{}.csv", number), rows);
    EXPECT_EQ(draft.text_column, "sentence") << header;
    EXPECT_EQ(draft.target_column, "topic") << header;
    EXPECT_EQ(draft.num_labels, 2u) << header;
  }
  EXPECT_EQ(DraftOf(folder, "two-lines.csv", "\"a\nb\",topic\nlong text one,x\nlong text two,y\nlong text three,x\nlong text four,y\n").text_column, "a\nb");
  EXPECT_EQ(DraftOf(folder, "unnamed.csv", "sentence,topic,,\nlong text one,x,,\nlong text two,y,,\nlong text three,x,,\nlong text four,y,,\n").text_column,
            "sentence");
  EXPECT_EQ(DraftOf(folder, "pairs.csv", "sep=|\nanchor|positive\na|b\nc|d\n").task, "sentence-similarity");
  EXPECT_EQ(DraftOf(folder, "blank.jsonl",
                    "\n{\"sentence\": \"" + std::string(70000, 'a') + "\", \"topic\": \"x\"}\n{\"sentence\": \"b\", \"topic\": \"y\"}\n"
                    "{\"sentence\": \"c\", \"topic\": \"x\"}\n{\"sentence\": \"d\", \"topic\": \"y\"}\n")
                .text_column,
            "sentence")
      << "a first row above 64 KiB";
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

TEST(Draft, EpochsAndLearningRateGoByTheStepsOfTheData) {
  const TemporaryFolder folder;
  const auto lines = [&](size_t rows, const std::string& test, const std::string& base) {
    const Draft draft = DraftOf(folder, "train.csv", test::LabelledCsv(rows, 1), {.name = "topics", .test = test, .base = base});
    const std::string& text = draft.files.at("mlac.yaml");
    const size_t begin = text.find("      epochs:"), end = text.find("      seed:");
    return text.substr(begin, end - begin);
  };
  const std::string small = test::FixturePath("models/classifier");
  EXPECT_EQ(lines(280, "test.csv", small),
            "      epochs: 25    # times that each text is seen: 8 steps each, so that there are some 200 in all; it stops before if "
            "nothing gets better\n"
            "      lr: 3e-4    # how far one step goes: for so few steps 3e-4 with a model of up to 40 million weights, 1e-4 with a larger "
            "one\n");
  EXPECT_EQ(lines(280, "test.csv", "not/there"),
            "      epochs: 25    # times that each text is seen: 8 steps each, so that there are some 200 in all; it stops before if "
            "nothing gets better\n"
            "      lr: 1e-4    # how far one step goes: for so few steps 3e-4 with a model of up to 40 million weights, 1e-4 with a larger "
            "one; the base "
            "is not there yet\n");
  EXPECT_THAT(lines(280, "", small),
              testing::HasSubstr("epochs: 29    # times that each text is seen: 7 steps each, so that there are some 203 in all"))
      << "a fifth is kept for measuring";
  EXPECT_THAT(lines(9, "test.csv", small),
              testing::HasSubstr("epochs: 40    # times that each text is seen: 1 step each, so that there are some 40 in all"));
  EXPECT_THAT(lines(2346, "test.csv", small), testing::HasSubstr("epochs: 4 ")) << "66 steps an epoch";
  EXPECT_EQ(lines(2400, "test.csv", small),
            "      epochs: 3    # times that each text is seen; it stops before if nothing gets better\n"
            "      lr: 5e-5    # how far one step goes, for 200 steps and more in all; shorter trainings take 1e-4 to 3e-4\n");
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
