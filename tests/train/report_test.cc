// The model card, the plots and the report of `mlac eval`. The expected files hold names that mean something in Markdown, XML, YAML and on
// terminals; they were read with PyYAML, huggingface_hub's ModelCard and Python's XML parser when they were accepted.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "base/display.h"
#include "base/file.h"
#include "base/random.h"
#include "train/interval_note.h"
#include "train/report_card.h"
#include "train/report_escape.h"
#include "train/report_svg.h"
#include "train/report_text.h"

namespace mlac {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Names that break out wherever they are pasted unescaped.
const std::vector<std::string> kNames = {"plain",
                                         "a|b",
                                         "<script>alert(1)</script>",
                                         "two\nlines",
                                         "**bold** [link](http://example.com)",
                                         "\"quoted\": &amp; 'yaml'",
                                         "$x$ `code` www.example.com",
                                         "\x1b[31mred",
                                         "\u202Ereversed",
                                         "日本語のラベル",
                                         ""};

// Skewed labels, most of them right.
ClassificationMetrics Metrics(const std::vector<std::string>& names, size_t num_examples) {
  Random random(4);
  std::vector<int32_t> truth, predicted;
  std::vector<float> losses;
  for (size_t i = 0; i < num_examples; ++i) {
    const uint64_t label = random.Below(random.Below(names.size()) + 1);
    truth.push_back(static_cast<int32_t>(label));
    predicted.push_back(static_cast<int32_t>(random.Below(10) < 7 ? label : random.Below(names.size())));
    losses.push_back(static_cast<float>(random.Below(100)) / 64.0f);
  }
  return ComputeMetrics(truth, predicted, losses, names);
}

std::vector<std::string> Numbered(size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back(fmt::format("label{}", i));
  return names;
}

TrainingResult Result(bool has_validation) {
  TrainingResult result;
  for (int step = 0; step < 300; ++step) result.step_losses.push_back(2.0 / (1 + step / 64.0) + 0.25 * (step % 3));
  for (size_t epoch = 1; epoch <= 3; ++epoch) {
    const double e = static_cast<double>(epoch);
    result.epochs.push_back({.epoch = epoch,
                             .step = 100 * epoch,
                             .train_loss = 1.5 / e,
                             .has_validation = has_validation,
                             .validation = {1.25 / e + 0.125 * e, {{"accuracy", 0.5 + 0.125 * e}, {"macro_f1", 0.25 + 0.125 * e}}, 0.25 + 0.125 * e},
                             .best = epoch < 3});
  }
  result.best_epoch = 2;
  return result;
}

ModelCard Card(const ClassificationMetrics& metrics) {
  return {.base_model = "all-MiniLM-L6-v2",
          .license = "",
          .text_column = "te|xt",
          .label_column = "label",
          .max_length = 64,
          .parts = {{"train", "train: [1].csv", 900}, {"validation", "train: [1].csv", 100}, {"test", "test.csv", 250}},
          .findings = {{.code = "empty_text", .severity = Severity::kWarning, .count = 3, .message = "train: 3 texts are empty or blank"},
                       {.code = "cut_text", .severity = Severity::kNote, .count = 1, .message = "test: '<b>' & *more*"}},
          .metrics = &metrics,
          .measured_on = "test",
          .label_names = metrics.label_names,
          .parameters = {{"epochs", "3"}, {"lr", "5e-05"}, {"seed", "0"}},
          .command = "mlac train text-classification -m all-MiniLM-L6-v2 --data 'train: [1].csv' --text-column 'te|xt'",
          .mlac_version = "0.1.0"};
}

// Compares with tests/data/report/NAME; where they differ, what came out is left beside the test's other files for a person to look at.
void ExpectFile(const std::string& name, const std::string& content) {
  const std::string path = std::string(MLAC_TEST_DATA) + "/report/" + name;
  if (FileExists(path) && ReadFile(path, size_t{1} << 20) == content) return;
  const std::string found = testing::TempDir() + "/" + name;
  std::ofstream(found, std::ios::binary) << content;
  ADD_FAILURE() << path << " is not what came out: " << found;
}

// Tags closed in order, no bare markup characters, only the five entities that XML knows and a number.
bool IsWellFormed(std::string_view xml) {
  std::vector<std::string> open;
  size_t i = 0;
  while (i < xml.size()) {
    if (xml[i] == '&') {
      const std::string_view entity = xml.substr(i, xml.find(';', i) - i + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;" && entity != "&#39;") return false;
      i += entity.size();
    } else if (xml[i] == '<') {
      const size_t end = xml.find('>', i);
      if (end == std::string_view::npos) return false;
      const std::string_view tag = xml.substr(i + 1, end - i - 1);
      if (tag.find('<') != std::string_view::npos || std::count(tag.begin(), tag.end(), '"') % 2 != 0) return false;
      if (tag.starts_with('/')) {
        if (open.empty() || open.back() != tag.substr(1)) return false;
        open.pop_back();
      } else if (!tag.ends_with('/')) {
        open.emplace_back(tag.substr(0, tag.find(' ')));
      }
      i = end + 1;
    } else if (xml[i] == '>' || (static_cast<unsigned char>(xml[i]) < 0x20 && xml[i] != '\n')) {
      return false;
    } else {
      ++i;
    }
  }
  return open.empty();
}

TEST(ReportEscape, MarkdownShowsTheWordsThemselves) {
  EXPECT_EQ(EscapeMarkdown("plain (text), it's 5.0: 100%"), "plain (text), it's 5.0: 100%");
  EXPECT_EQ(EscapeMarkdown("a|b*c_d`e"), "a\\|b\\*c\\_d\\`e");
  EXPECT_EQ(EscapeMarkdown("[x](http://y) <b>&amp;"), "\\[x\\](http\\://y) \\<b\\>\\&amp;");
  EXPECT_EQ(EscapeMarkdown("www.x WWW.y ww.z"), "www\\.x WWW\\.y ww.z");
  EXPECT_EQ(EscapeMarkdown("a\nb\x1b"), "a\\\\nb\\\\x1b");
}

TEST(ReportEscape, XmlShowsTheWordsThemselves) {
  EXPECT_EQ(EscapeXml("<a b=\"c\">&'"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;");
  EXPECT_EQ(EscapeXml("a\nb\x01 日\uFFFE"), "a\\nb\\x01 日\uFFFD");
}

TEST(ReportEscape, YamlReadsBackAsTheText) {
  EXPECT_EQ(QuoteYaml("yes: \"no\" \\ #"), "\"yes: \\\"no\\\" \\\\ #\"");
  EXPECT_EQ(QuoteYaml("a\n\t\x7f\u0085\u2028\uFEFF😀é"), "\"a\\x0A\\x09\\x7F\\x85\\u2028\\uFEFF\\U0001F600é\"");
}

TEST(ReportEscape, ACodeBlockHoldsAnyBackticks) {
  EXPECT_EQ(CodeBlock("sh", "a\nb"), "```sh\na\nb\n```\n");
  EXPECT_EQ(CodeBlock("", "a ```` b\x1b"), "`````\na ```` b\\x1b\n`````\n");
}

TEST(ModelCard, IsTheExpectedFile) { ExpectFile("README.md", ModelCardMarkdown(Card(Metrics(kNames, 250)))); }

TEST(ModelCard, NamesWhatIsKnownOnly) {
  const ClassificationMetrics metrics = Metrics(Numbered(3), 50);
  ModelCard card = Card(metrics);
  EXPECT_THAT(ModelCardMarkdown(card), Not(HasSubstr("license")));
  card.license = "apache-2.0";
  EXPECT_THAT(ModelCardMarkdown(card), HasSubstr("\nlicense: \"apache-2.0\"\n"));
  card.base_model = "";
  card.findings.clear();
  card.metrics = nullptr;
  const std::string text = ModelCardMarkdown(card);
  EXPECT_THAT(text, Not(HasSubstr("base_model")));
  EXPECT_THAT(text, Not(HasSubstr("model-index")));
  EXPECT_THAT(text, Not(HasSubstr("confusion-matrix.svg")));
  EXPECT_THAT(text, HasSubstr("The check of the data found nothing to remark."));
  EXPECT_THAT(text, HasSubstr("Nothing was set aside to measure on"));
}

TEST(ModelCard, HasTheNotesUnderTheirOwnHeading) {
  const ClassificationMetrics metrics = Metrics(Numbered(3), 50);
  ModelCard card = Card(metrics);
  EXPECT_THAT(ModelCardMarkdown(card), Not(HasSubstr("## Notes on this training")));
  card.notes = {"1 label is never answered: 'a|b'", "another"};
  EXPECT_THAT(ModelCardMarkdown(card),
              HasSubstr("\n## Notes on this training\n\n- 1 label is never answered: 'a\\|b'\n- another\n\n## Training\n"));
}

// All right, or all wrong: each sample of the examples gives the same macro F1, and neither card nor report take that for certainty.
TEST(NoteOnIntervals, SaysWhatAnIntervalWithoutWidthLeavesOpen) {
  EXPECT_NEAR(MostThatWereNotSeen(1), 95, 1e-9);
  EXPECT_NEAR(MostThatWereNotSeen(30), 9.503, 1e-3);
  EXPECT_EQ(MostThatWereNotSeen(0), 100);
  for (const size_t count : {1, 12}) {
    std::vector<int32_t> truth, wrong;
    for (size_t i = 0; i < count; ++i) {
      truth.push_back(static_cast<int32_t>(i % 2));
      wrong.push_back(static_cast<int32_t>((i + 1) % 2));
    }
    for (const std::vector<int32_t>& predicted : {truth, wrong}) {
      const ClassificationMetrics metrics = ComputeMetrics(truth, predicted, {}, Numbered(2));
      const std::string note = fmt::format("because {} came out alike. Of other texts up to {} % may come out otherwise.",
                                           count == 1 ? "the one example" : "all 12 examples", count == 1 ? "95.0" : "22.1");
      const std::string card = ModelCardMarkdown(Card(metrics));
      EXPECT_THAT(card, HasSubstr(note));
      EXPECT_THAT(card, HasSubstr(fmt::format("macro F1 {:.3f}. Always", metrics.macro_f1)));
      EXPECT_THAT(EvaluationReport(metrics, "test.csv"), HasSubstr(note));
    }
  }
  EXPECT_EQ(NoteOnIntervals(Metrics(Numbered(3), 50)), "");
  EXPECT_EQ(NoteOnIntervals(ComputeMetrics(std::vector<int32_t>{0, 1}, std::vector<int32_t>{0, 1}, {}, Numbered(2), {.intervals = false})), "")
      << "of intervals that nobody asked for";
  Figures figures = {.num_examples = 4, .figures = {{.name = "f1", .title = "F1", .value = 1, .interval = Interval{1, 1}}}};
  EXPECT_THAT(FiguresReport(figures, "x.json"), HasSubstr("\n\nAn interval without width is one of examples that all came out alike: "));
  figures.figures[0].interval = Interval{0.5, 1};
  EXPECT_EQ(NoteOnIntervals(figures), "");
}

TEST(ModelCard, ShowsWhatTheMeanOfNumbersWouldReach) {
  const Figures figures = {.num_examples = 3,
                           .figures = {{.name = "mse", .title = "mean squared error", .value = 0.5, .of_mean = 2.125},
                                       {.name = "mae", .title = "mean absolute error", .value = 0.25, .of_mean = 1.25},
                                       {.name = "pearson", .title = "Pearson correlation", .value = 0.5}}};
  const ClassificationMetrics none;
  ModelCard card = Card(none);
  card.metrics = nullptr;
  card.label_names.clear();
  card.title = "Text regression";
  card.introduction = "Gives a text a number.";
  card.figures = &figures;
  EXPECT_THAT(ModelCardMarkdown(card),
              HasSubstr("\nAlways answering the mean would have a mean squared error of 2.125 and a mean absolute error of 1.250.\n"));
}

TEST(ModelCard, StaysReadableWithManyLabels) {
  const ClassificationMetrics metrics = Metrics(Numbered(300), 3000);
  const std::string text = ModelCardMarkdown(Card(metrics));
  EXPECT_THAT(text, HasSubstr("The 200 labels with most examples of 300; all stand in metrics.json."));
  EXPECT_THAT(text, HasSubstr("others (288)"));
  EXPECT_LT(text.size(), 40000u);
}

TEST(LearningCurvesSvg, IsTheExpectedFile) {
  ExpectFile("learning-curves.svg", LearningCurvesSvg(Result(/*has_validation=*/true)));
  EXPECT_TRUE(IsWellFormed(LearningCurvesSvg(Result(true))));
}

TEST(LearningCurvesSvg, HasOnePanelWithoutValidation) {
  const std::string svg = LearningCurvesSvg(Result(/*has_validation=*/false));
  EXPECT_TRUE(IsWellFormed(svg));
  EXPECT_THAT(svg, Not(HasSubstr("alidation")));
  EXPECT_THAT(svg, Not(HasSubstr("dashed")));
}

TEST(LearningCurvesSvg, TakesAnyResult) {
  EXPECT_TRUE(IsWellFormed(LearningCurvesSvg({})));
  TrainingResult result = Result(true);
  result.step_losses[5] = std::numeric_limits<double>::infinity();
  result.epochs[1].validation.loss = std::numeric_limits<double>::quiet_NaN();
  const std::string svg = LearningCurvesSvg(result);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
  result = Result(true);
  for (double& loss : result.step_losses) loss = 0;
  for (EpochReport& epoch : result.epochs) epoch.train_loss = epoch.validation.loss = 0;
  EXPECT_THAT(LearningCurvesSvg(result), Not(HasSubstr("nan")));
  for (double& loss : result.step_losses) loss = 3e7;
  EXPECT_THAT(LearningCurvesSvg(result), HasSubstr(">3e+07<"));
  result.step_losses.assign(1000000, 1.0);
  EXPECT_LT(LearningCurvesSvg(result).size(), 20000u);  // a long run gives no long file
}

TEST(ConfusionMatrixSvg, IsTheExpectedFile) {
  const std::string svg = ConfusionMatrixSvg(Metrics(kNames, 250));
  ExpectFile("confusion-matrix.svg", svg);
  EXPECT_TRUE(IsWellFormed(svg));
}

TEST(ConfusionMatrixSvg, GathersLabelsBeyondTwenty) {
  EXPECT_THAT(ConfusionMatrixSvg(Metrics(Numbered(20), 300)), Not(HasSubstr("others")));
  EXPECT_THAT(ConfusionMatrixSvg(Metrics(Numbered(21), 300)), HasSubstr("others (1)"));
  EXPECT_LT(ConfusionMatrixSvg(Metrics(Numbered(500), 5000)).size(), 120000u);
}

TEST(Condense, KeepsEveryExample) {
  const ClassificationMetrics metrics = Metrics(Numbered(9), 200);
  for (const size_t num_labels : {1, 5, 8, 9, 20}) {
    const SmallConfusion small = Condense(metrics, num_labels);
    EXPECT_EQ(small.labels.size() + small.num_others, 9u);
    EXPECT_EQ(small.counts.size(), std::min<size_t>(num_labels + 1, 9));
    uint64_t total = 0;
    for (const auto& row : small.counts) {
      for (const uint64_t count : row) total += count;
    }
    EXPECT_EQ(total, 200u);
  }
  const std::vector<int32_t> truth = {0, 2, 2, 1}, predicted = {0, 2, 0, 1};
  EXPECT_THAT(Condense(ComputeMetrics(truth, predicted, {}, Numbered(3)), 1).labels, ElementsAre(2));
}

TEST(MixUps, AreTheLargestCellsOffTheDiagonal) {
  const std::vector<int32_t> truth = {0, 0, 0, 1, 1, 2, 2}, predicted = {1, 0, 0, 2, 2, 0, 1};
  const std::vector<ConfusionCell> cells = MixUps(ComputeMetrics(truth, predicted, {}, Numbered(3)), 2);
  ASSERT_EQ(cells.size(), 2u);
  EXPECT_EQ(cells[0].truth, 1);
  EXPECT_EQ(cells[0].predicted, 2);
  EXPECT_EQ(cells[0].count, 2u);
  EXPECT_EQ(cells[1].truth, 0);  // of three with one example, the first
}

TEST(EvaluationReport, IsTheExpectedFile) { ExpectFile("eval.txt", EvaluationReport(Metrics(kNames, 250), "test.csv")); }

TEST(EvaluationReport, KeepsItsColumnsInAnyWidth) {
  for (const size_t width : {0, 80, 81, 200}) {
    std::string report = EvaluationReport(Metrics(kNames, 250), "test.csv", width);
    for (size_t end = report.find('\n'); end != std::string::npos; end = report.find('\n')) {
      EXPECT_LE(DisplayWidth(report.substr(0, end)), std::max<size_t>(width, 80)) << report.substr(0, end);
      report.erase(0, end + 1);
    }
  }
}

TEST(EvaluationReport, SaysNothingOfWhatWasNotSeen) {
  const std::vector<int32_t> truth = {0, 0, 1}, predicted = {0, 0, 0};
  const std::string report = EvaluationReport(ComputeMetrics(truth, predicted, {}, {"a", "b", "c"}), "test.csv");
  EXPECT_THAT(report, Not(HasSubstr("loss")));
  EXPECT_THAT(report, HasSubstr("\nb      -                  0.00 [0.00, 0.79]  0.00 [0.00, 0.00]         1\n"));
  EXPECT_THAT(report, HasSubstr("\nc      -                  -                  -                         0\n"));
}

}  // namespace
}  // namespace mlac
