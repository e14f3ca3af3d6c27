#include "project/run_model_tests.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "project/slice_rows.h"
#include "project/text_changes.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;
using Status = TestCase::Status;

constexpr size_t kShownText = 60;  // columns of a text in a message

std::string Shown(const std::string& text) { return fmt::format("'{}'", Printable(text, kShownText)); }

// That of a word among many thousand is small.
std::string ShownScore(double score) {
  return score == 0 || std::fabs(score) >= 0.001 ? fmt::format("{:.4f}", score) : fmt::format("{:.3g}", score);
}

class Runner {
 public:
  Runner(const ModelTests& tests, const TestSubject& subject, const std::function<void(const TestCase&)>& on_case,
         const std::atomic<bool>& stop)
      : tests_(tests), subject_(subject), on_case_(on_case), stop_(stop) {}

  TestReport Run() {
    MeasureMemory();  // first: nothing else is loaded yet
    model_ = subject_.task.open(subject_.folder, subject_.data, subject_.num_threads);
    if (NeedsRows()) ReadRows();
    for (const ExampleTest& test : tests_.examples)
      Guard("examples", Shown(test.texts.front()), [&] { subject_.task.gives_numbers() ? ExampleOfNumber(test) : Example(test); });
    for (const RankingTest& test : tests_.rankings) Guard("rankings", Shown(test.query), [&] { Ranking(test); });
    for (const InvarianceTest& test : tests_.invariances) Guard("invariances", test.change, [&] { Invariance(test); });
    for (const DirectionalTest& test : tests_.directional) Guard("directional", Shown(test.text), [&] { Directional(test); });
    for (const SliceTest& test : tests_.slices)
      Guard("slices", test.name, [&] {
        if (subject_.task.labels_texts) {
          SliceOfLabels(test);
        } else if (subject_.task.measure_rows != nullptr) {
          SliceOfTexts(test);
        } else {
          SliceOfFigure(test);
        }
      });
    for (const LatencyTest& test : tests_.latencies) Guard("latency", fmt::format("{} tokens", test.num_tokens), [&] { Latency(test); });
    if (compares()) Compare();
    return std::move(report_);
  }

 private:
  bool compares() const { return !subject_.compared_with.empty(); }

  // A test that cannot be run with this model (it names a label that the model does not have) is one that fails; the others run.
  template <typename Action>
  void Guard(std::string_view group, const std::string& name, Action action) {
    const auto begin = Clock::now();
    try {
      action();
    } catch (const Error& error) {
      constexpr ErrorCode kOfTheTest[] = {ErrorCode::kNotFound, ErrorCode::kInvalidInput, ErrorCode::kInvalidArgument};
      if (std::find(std::begin(kOfTheTest), std::end(kOfTheTest), error.code()) == std::end(kOfTheTest)) throw;
      Add(group, name, Status::kFailed, error.what(), begin);
    }
  }

  bool NeedsRows() const {
    return !tests_.slices.empty() || compares() ||
           std::any_of(tests_.invariances.begin(), tests_.invariances.end(), [](const InvarianceTest& test) { return test.texts.empty(); });
  }

  void ReadRows() {
    rows_ = subject_.task.rows(subject_.data, SIZE_MAX);
    source_ = std::filesystem::path(subject_.data.test).filename().string();
    if (!tests_.slices.empty()) slice_rows_.emplace(subject_.task, subject_.data, rows_, tests_);
  }

  std::vector<TextInput> RowInputs() const {
    std::vector<TextInput> inputs;
    for (const TestRow& row : rows_) inputs.push_back(row.input);
    return inputs;
  }

  // What the model answers to each row.
  const std::vector<std::string>& Answers() {
    if (answers_.empty()) answers_ = LabelsOf(Predict(*model_, RowInputs()));
    return answers_;
  }

  static std::vector<std::string> LabelsOf(std::vector<Prediction> predictions) {
    std::vector<std::string> labels;
    for (Prediction& prediction : predictions) labels.push_back(std::move(prediction.label));
    return labels;
  }

  std::vector<Prediction> Predict(TaskModel& model, std::span<const TextInput> inputs) {
    constexpr size_t kAtOnce = 256;  // so that an interruption is seen
    std::vector<Prediction> predictions;
    for (size_t begin = 0; begin < inputs.size(); begin += kAtOnce) {
      ThrowIfStopped(stop_);
      for (Prediction& prediction : model.Predict(inputs.subspan(begin, std::min(kAtOnce, inputs.size() - begin))))
        predictions.push_back(std::move(prediction));
    }
    return predictions;
  }

  void Add(std::string_view group, const std::string& name, Status status, const std::string& message, Clock::time_point begin) {
    report_.cases.push_back({std::string(group), name, status, message, std::chrono::duration<double>(Clock::now() - begin).count()});
    on_case_(report_.cases.back());
  }

  size_t LabelNumber(const std::string& label) const {
    const std::vector<std::string>& labels = model_->labels();
    const auto found = std::find(labels.begin(), labels.end(), label);
    if (found == labels.end())
      throw Error(ErrorCode::kNotFound, fmt::format("{}: the model has no label {}", tests_.file, Quoted(label)),
                  KnownNames(label, labels));
    return static_cast<size_t>(found - labels.begin());
  }

  // By number; of several labels all, none of "nothing". Throws as LabelNumber.
  std::vector<size_t> ExpectedLabels(const std::string& expect) const {
    const std::vector<std::string>& labels = model_->labels();
    if (!subject_.task.several_labels() || std::find(labels.begin(), labels.end(), expect) != labels.end()) return {LabelNumber(expect)};
    std::vector<size_t> numbers;
    if (expect == kNothing) return numbers;
    for (size_t begin = 0; begin <= expect.size();) {
      const size_t end = std::min(expect.find("; ", begin), expect.size());
      numbers.push_back(LabelNumber(expect.substr(begin, end - begin)));
      begin = end + 2;
    }
    return numbers;
  }

  // How probable what is expected is: of several labels the least probable one, of none of them that the most probable one is not.
  static float ProbabilityOf(const Prediction& prediction, const std::vector<size_t>& expected) {
    const std::vector<float>& all = prediction.probabilities;
    if (expected.empty()) return 1 - *std::max_element(all.begin(), all.end());
    float least = 1;
    for (const size_t label : expected) least = std::min(least, all[label]);
    return least;
  }

  // What is wrong with an answer; "" for nothing.
  std::string WrongAnswer(const ExampleTest& test, const std::string& text, const Prediction& found,
                          const std::vector<size_t>& expected) const {
    const bool has_labels = !model_->labels().empty();
    const bool is_right = test.expect == kNothing && found.label.empty() ? true : subject_.task.same_answer(found.label, test.expect);
    const float probability = has_labels ? ProbabilityOf(found, expected) : found.probability;
    const std::string label = found.label.empty() ? kNothing : found.label;
    if (!is_right)
      return has_labels ? fmt::format("{} is '{}' ({:.2f}), expected '{}' ({:.2f})", Shown(text), label, found.probability, test.expect,
                                      probability)
                        : fmt::format("{} is {}, expected {}", Shown(text), Quoted(label), Quoted(test.expect));
    if (probability >= test.min_probability.value_or(0)) return "";
    return fmt::format("{}: '{}' has {:.2f}, expected at least {:.2f}", Shown(text), label, probability, *test.min_probability);
  }

  void Example(const ExampleTest& test) {
    const auto begin = Clock::now();
    const std::vector<size_t> expected = model_->labels().empty() ? std::vector<size_t>() : ExpectedLabels(test.expect);
    const std::vector<Prediction> predictions = Predict(*model_, test.beside.InputsOf(test.texts));
    std::vector<std::string> wrong;
    for (size_t i = 0; i < predictions.size(); ++i)
      if (std::string message = WrongAnswer(test, test.texts[i], predictions[i], expected); !message.empty())
        wrong.push_back(std::move(message));
    AddExample(test, test.expect, wrong, begin);
  }

  void ExampleOfNumber(const ExampleTest& test) {
    const auto begin = Clock::now();
    const double expected = ParseNumber(test.expect).value(), within = *test.within;
    const std::vector<Prediction> predictions = Predict(*model_, test.beside.InputsOf(test.texts));
    std::vector<std::string> wrong;
    for (size_t i = 0; i < predictions.size(); ++i)
      if (const auto found = static_cast<double>(predictions[i].probability); !(std::fabs(found - expected) <= within))
        wrong.push_back(fmt::format("{} is {:.5g}, expected {} within {}", Shown(test.texts[i]), found, test.expect, within));
    AddExample(test, fmt::format("{} within {}", test.expect, within), wrong, begin);
  }

  // wrong: what is wrong with each text with which something is.
  void AddExample(const ExampleTest& test, const std::string& expected, const std::vector<std::string>& wrong, Clock::time_point begin) {
    const size_t count = test.texts.size(), num_right = count - wrong.size();
    const bool passes = static_cast<double>(num_right) >= test.min_share * static_cast<double>(count) - 1e-9;
    std::string message;
    if (!passes && count == 1) message = wrong.front();
    if (!passes && count > 1)
      message = fmt::format("{} of {} are, {:.0f} % must be: {}", num_right, count, 100 * test.min_share, wrong.front());
    Add("examples", count == 1 ? fmt::format("{} is {}", Shown(test.texts[0]), expected) : fmt::format("{} texts are {}", count, expected),
        passes ? Status::kPassed : Status::kFailed, message, begin);
  }

  void Ranking(const RankingTest& test) {
    const auto begin = Clock::now();
    ThrowIfStopped(stop_);
    std::vector<std::string> texts = test.best;
    texts.insert(texts.end(), test.others.begin(), test.others.end());
    const std::vector<float> scores = model_->Scores(test.query, texts);
    const auto border = scores.begin() + static_cast<ptrdiff_t>(test.best.size());
    const auto worst = std::min_element(scores.begin(), border), first = std::max_element(border, scores.end());
    const auto text = [&](auto score) { return Shown(texts[static_cast<size_t>(score - scores.begin())]); };
    const bool passes = *worst > *first;
    Add("rankings", Shown(test.query), passes ? Status::kPassed : Status::kFailed,
        passes ? "" : fmt::format("{} has {:.4f} and comes before {} with {:.4f}", text(first), *first, text(worst), *worst), begin);
  }

  void Invariance(const InvarianceTest& test) {
    const auto begin = Clock::now();
    std::vector<TextInput> originals, changed;
    const std::vector<TextInput> from = test.texts.empty() ? RowInputs() : test.beside.InputsOf(test.texts);
    size_t num_texts = 0;
    for (size_t i = 0; i < from.size() && (!test.texts.empty() || num_texts < test.num_rows); ++i) {
      const std::vector<std::string> texts = ChangedTexts(test, from[i].text, i);
      num_texts += !texts.empty();
      for (const std::string& text : texts) {
        originals.push_back(from[i]);
        changed.push_back({text, from[i].pair});
      }
    }
    const std::string name =
        fmt::format("{} in {}", test.change,
                    test.texts.empty() ? fmt::format("{} rows of {}", num_texts, source_) : fmt::format("{} texts", num_texts));
    if (changed.empty()) {
      Add("invariances", name, Status::kSkipped, "the change applies to none of the texts", begin);
      return;
    }
    const std::vector<Prediction> before = Predict(*model_, originals), after = Predict(*model_, changed);
    size_t num_same = 0;
    std::string example;
    for (size_t i = 0; i < before.size(); ++i) {
      if (SameMeaning(before[i], after[i], test.within)) {
        ++num_same;
      } else if (example.empty()) {
        example =
            fmt::format(": {} is '{}', {} is '{}'", Shown(originals[i].text), before[i].label, Shown(changed[i].text), after[i].label);
      }
    }
    const double share = static_cast<double>(num_same) / static_cast<double>(before.size());
    const bool passes = share >= test.min_share - 1e-9;
    Add("invariances", name, passes ? Status::kPassed : Status::kFailed,
        fmt::format("{:.1f} % keep their {}, {:.1f} % must{}", 100 * share,
                    subject_.task.gives_numbers()    ? "number"
                    : subject_.task.several_labels() ? "labels"
                    : model_->labels().empty()       ? "answer"
                                                     : "label",
                    100 * test.min_share, passes ? "" : example),
        begin);
  }

  void Directional(const DirectionalTest& test) {
    const auto begin = Clock::now();
    ThrowIfStopped(stop_);
    std::string changed = test.text + test.add;
    if (!test.from.empty()) changed.replace(changed.find(test.from), test.from.size(), test.to);
    if (!model_->labels().empty()) LabelNumber(test.label);
    const double before = model_->ScoreOf(test.beside.InputOf(test.text), test.label),
                 after = model_->ScoreOf(test.beside.InputOf(changed), test.label);
    const double moved = test.rises ? after - before : before - after;
    const std::string what =
        test.label.empty() ? subject_.task.gives_numbers() ? "the number" : "the score" : fmt::format("'{}'", test.label);
    Add("directional", fmt::format("{} of {} {}", what, Shown(changed), test.rises ? "rises" : "falls"),
        moved > 0 && moved >= test.by ? Status::kPassed : Status::kFailed,
        fmt::format("{} before, {} after{}", ShownScore(before), ShownScore(after),
                    test.by > 0 ? fmt::format(", by {} at least", test.by) : ""),
        begin);
  }

  void AddSlice(const SliceTest& test, const std::string& metric, double value, size_t num_rows, std::string_view units,
                Clock::time_point begin) {
    if (num_rows == 0) {
      Add("slices", test.name, Status::kFailed, fmt::format("no row of {} is in it", source_), begin);
      return;
    }
    const bool passes = value >= test.min.value_or(-1e300) - 1e-9 && value <= test.max.value_or(1e300) + 1e-9;
    Add("slices", test.name, passes ? Status::kPassed : Status::kFailed,
        fmt::format("{} {:.4f} on {} {}{}{}", metric, value, num_rows, units, test.min ? fmt::format(", {} at least", *test.min) : "",
                    test.max ? fmt::format(", {} at most", *test.max) : ""),
        begin);
  }

  void SliceOfLabels(const SliceTest& test) {
    const auto begin = Clock::now();
    std::vector<std::string> names;
    std::map<std::string, int32_t> ids;
    const auto number = [&](const std::string& label) {
      const auto [entry, is_new] = ids.emplace(label, static_cast<int32_t>(ids.size()));
      if (is_new) names.push_back(label);
      return entry->second;
    };
    const std::vector<bool> is_in = slice_rows_->In(test);
    std::vector<int32_t> truth, predicted;
    for (size_t row = 0; row < is_in.size(); ++row) {
      if (!is_in[row]) continue;
      truth.push_back(number(rows_[row].truth.front()));
      predicted.push_back(number(Answers()[row]));
    }
    const std::string metric = test.metric.empty() ? "accuracy" : test.metric;
    double value = 0;
    if (!truth.empty()) {
      const ClassificationMetrics metrics = ComputeMetrics(truth, predicted, {}, names, {.intervals = false});
      value = metric == "accuracy" ? metrics.accuracy : metric == "macro_f1" ? metrics.macro_f1 : metrics.weighted_f1;
    }
    AddSlice(test, metric, value, truth.size(), "rows", begin);
  }

  // Of another task: a figure of those rows, or queries, that are in the slice.
  void SliceOfFigure(const SliceTest& test) {
    const auto begin = Clock::now();
    if (!evaluation_) evaluation_ = subject_.task.evaluate(subject_.folder, subject_.data.test, subject_.data, subject_.num_threads, stop_);
    const std::vector<RowFigure>& figures = evaluation_->figures.by_row;
    const RowFigure* figure = test.metric.empty() && !figures.empty() ? &figures.front() : FindByRow(evaluation_->figures, test.metric);
    if (figure == nullptr) {
      std::vector<std::string> names;
      for (const RowFigure& each : figures) names.push_back(each.name);
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{} line {}: slices: {} was not measured on these test data", tests_.file, test.line, test.metric),
                  KnownNames(test.metric, names));
    }
    const std::vector<bool> is_in = slice_rows_->In(test);
    std::vector<size_t> units;
    for (size_t unit = 0; unit < figure->num_units; ++unit)
      if (is_in.at(figure->RowOf(unit))) units.push_back(unit);
    AddSlice(test, figure->name, units.empty() ? 0 : RowFigureMeter(*figure)(units), units.size(),
             figure->rows.empty() ? "rows" : "queries", begin);
  }

  // Of a task whose figures are not of rows: measured on the texts of the slice alone.
  void SliceOfTexts(const SliceTest& test) {
    const auto begin = Clock::now();
    ThrowIfStopped(stop_);
    const std::vector<bool> is_in = slice_rows_->In(test);
    std::vector<size_t> rows;
    for (size_t row = 0; row < is_in.size(); ++row)
      if (is_in[row]) rows.push_back(row);
    const std::string metric = test.metric.empty() ? std::string(subject_.task.figures.metrics.front()) : test.metric;
    const double value =
        rows.empty() ? 0 : ValueOf(subject_.task.measure_rows(subject_.folder, subject_.data, rows, subject_.num_threads), metric).value();
    AddSlice(test, metric, value, rows.size(), "texts", begin);
  }

  void Latency(const LatencyTest& test) {
    const auto begin = Clock::now();
    const TaskModel::Latency latency = model_->MeasureLatency(test.num_tokens, stop_);
    const bool passes = latency.p50_ms <= test.p50_ms.value_or(1e300) && latency.p99_ms <= test.p99_ms.value_or(1e300);
    std::string bounds;
    if (test.p50_ms) bounds += fmt::format(", p50 at most {} ms", *test.p50_ms);
    if (test.p99_ms) bounds += fmt::format(", p99 at most {} ms", *test.p99_ms);
    Add("latency", fmt::format("{} tokens", test.num_tokens), passes ? Status::kPassed : Status::kFailed,
        fmt::format("p50 {:.2f} ms, p99 {:.2f} ms on {}{}", latency.p50_ms, latency.p99_ms, latency.processor, bounds), begin);
  }

  // The highest resident memory from now on, less what there is now. The kernel starts the peak anew when it is asked to (proc(5),
  // clear_refs).
  void MeasureMemory() {
    if (!tests_.memory_bytes) return;
    const auto begin = Clock::now();
    malloc_trim(0);  // memory that was freed before, and is kept for the next one who asks, would not count
    uint64_t before = 0, peak = 0;
    const FileDescriptor file(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
    if (file.get() >= 0 && write(file.get(), "5", 1) == 1) {
      before = PeakMemoryBytes();  // begun anew: what there is now
      std::string text;
      for (size_t i = 0; i < 1000; ++i) text += "a ";  // as many tokens as the model takes
      const std::unique_ptr<TaskModel> model = subject_.task.open(subject_.folder, subject_.data, subject_.num_threads);
      model->Predict(std::vector<TextInput>(16, model->InputWith(text)));
      peak = PeakMemoryBytes();
    }
    if (before == 0 || peak == 0) {
      Add("memory", "of a process", Status::kSkipped, "the kernel does not say", begin);
      return;
    }
    const uint64_t used = peak - std::min(peak, before);
    Add("memory", "of a process", used <= *tests_.memory_bytes ? Status::kPassed : Status::kFailed,
        fmt::format("{:.1f} MB, {:.1f} MB at most", static_cast<double>(used) / 1e6, static_cast<double>(*tests_.memory_bytes) / 1e6),
        begin);
  }

  void Compare() {
    std::unique_ptr<TaskModel> other;
    try {
      other = subject_.task.open(subject_.compared_with, subject_.data, subject_.num_threads);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kUnsupported) throw;
      report_.not_compared = error.message();
      return;
    }
    const ChangedRows rows = CompareAnswers(subject_.task, rows_, LabelsOf(Predict(*other, RowInputs())), Answers());
    report_.compared = true;
    report_.num_better = rows.better.size();
    report_.num_worse = rows.worse.size();
    for (const std::vector<ChangedRow>* list : {&rows.better, &rows.worse, &rows.otherwise})
      report_.changed.insert(report_.changed.end(), list->begin(), list->end());
  }

  const ModelTests& tests_;
  const TestSubject& subject_;
  const std::function<void(const TestCase&)>& on_case_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<TaskModel> model_;
  std::string source_;                        // "test.csv"
  std::vector<TestRow> rows_;                 // of it
  std::optional<SliceRows> slice_rows_;       // where there are slices
  std::vector<std::string> answers_;          // Answers(), once asked
  std::optional<TaskEvaluation> evaluation_;  // once asked
  TestReport report_;
};

}  // namespace

bool SameMeaning(const Prediction& a, const Prediction& b, const std::optional<double>& within) {
  if (within) return std::fabs(static_cast<double>(a.probability) - static_cast<double>(b.probability)) <= *within;
  return a.meaning.value_or(a.label) == b.meaning.value_or(b.label);
}

TestReport RunModelTests(const ModelTests& tests, const TestSubject& subject, const std::function<void(const TestCase&)>& on_case,
                         const std::atomic<bool>& stop) {
  CheckTestKinds(tests, subject.task, subject.data);
  return Runner(tests, subject, on_case, stop).Run();
}

}  // namespace mlac
