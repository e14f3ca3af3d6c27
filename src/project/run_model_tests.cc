#include "project/run_model_tests.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <unordered_map>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"
#include "data/table.h"
#include "data/texts.h"
#include "project/labelled_rows.h"
#include "project/text_changes.h"
#include "project/text_pattern.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;
using Status = TestCase::Status;

const std::string kNothing = "nothing";  // what a model expects that finds nothing in a text
constexpr size_t kShownText = 60;        // columns of a text in a message

std::string Shown(const std::string& text) { return fmt::format("'{}'", Printable(text, kShownText)); }

// What /proc/self/status says, in bytes; 0 if it does not.
uint64_t StatusBytes(const std::string& status, std::string_view name) {
  const size_t at = status.find(std::string(name) + ":");
  return at == std::string::npos ? 0 : std::strtoull(status.c_str() + at + name.size() + 1, nullptr, 10) * 1024;
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
    for (const ExampleTest& test : tests_.examples) Example(test);
    for (const RankingTest& test : tests_.rankings) Ranking(test);
    for (const InvarianceTest& test : tests_.invariances) Invariance(test);
    for (const DirectionalTest& test : tests_.directional) Directional(test);
    for (const SliceTest& test : tests_.slices) {
      if (subject_.task.labels_texts) {
        SliceOfLabels(test);
      } else {
        SliceOfFigure(test);
      }
    }
    for (const LatencyTest& test : tests_.latencies) Latency(test);
    if (compares()) Compare();
    return std::move(report_);
  }

 private:
  bool compares() const { return !subject_.compared_with.empty(); }

  bool NeedsRows() const {
    return !tests_.slices.empty() || compares() ||
           std::any_of(tests_.invariances.begin(), tests_.invariances.end(), [](const InvarianceTest& test) { return test.texts.empty(); });
  }

  void ReadRows() {
    for (TestRow& row : subject_.task.rows(subject_.data, SIZE_MAX)) {
      inputs_.push_back(std::move(row.input));
      truths_.push_back(std::move(row.truth));
    }
    source_ = std::filesystem::path(subject_.data.test).filename().string();
    if (!subject_.task.labels_texts) return;
    const std::vector<std::string> extra = tests_.Columns();
    if (!extra.empty()) {
      std::vector<std::string> columns = {subject_.data.text_column, subject_.data.target_column};
      columns.insert(columns.end(), extra.begin(), extra.end());
      table_ = ReadLabelledRows(subject_.data.test, columns);
    }
  }

  // What the model answers to each row.
  const std::vector<std::string>& Answers() {
    if (answers_.empty())
      for (const Prediction& prediction : Predict(*model_, inputs_)) answers_.push_back(prediction.label);
    return answers_;
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

  // A question is asked of the text.
  static std::vector<TextInput> InputsOf(std::span<const std::string> texts, const std::string& question) {
    std::vector<TextInput> inputs;
    for (const std::string& text : texts) inputs.push_back(question.empty() ? TextInput{text, std::nullopt} : TextInput{question, text});
    return inputs;
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

  void Example(const ExampleTest& test) {
    const auto begin = Clock::now();
    const bool has_labels = !model_->labels().empty();
    const size_t label = has_labels ? LabelNumber(test.expect) : 0;
    const std::vector<Prediction> predictions = Predict(*model_, InputsOf(test.texts, test.question));
    size_t num_right = 0;
    std::string wrong;
    for (size_t i = 0; i < predictions.size(); ++i) {
      const Prediction& p = predictions[i];
      const bool is_right = !has_labels && test.expect == kNothing ? p.label.empty() : subject_.task.same_answer(p.label, test.expect);
      const float probability = has_labels ? p.probabilities[label] : p.probability;
      if (is_right && probability >= test.min_probability.value_or(0)) {
        ++num_right;
      } else if (wrong.empty()) {
        wrong = !has_labels && !is_right ? fmt::format("{} is {}, expected {}", Shown(test.texts[i]),
                                                       Quoted(p.label.empty() ? kNothing : p.label), Quoted(test.expect))
                : !is_right ? fmt::format("{} is '{}' ({:.2f}), expected '{}' ({:.2f})", Shown(test.texts[i]), p.label, p.probability,
                                          test.expect, probability)
                            : fmt::format("{}: '{}' has {:.2f}, expected at least {:.2f}", Shown(test.texts[i]), p.label, probability,
                                          *test.min_probability);
      }
    }
    const bool passes = static_cast<double>(num_right) >= test.min_share * static_cast<double>(predictions.size()) - 1e-9;
    const std::string name = test.texts.size() == 1 ? fmt::format("{} is {}", Shown(test.texts[0]), test.expect)
                                                    : fmt::format("{} texts are {}", test.texts.size(), test.expect);
    Add("examples", name, passes ? Status::kPassed : Status::kFailed,
        passes ? ""
        : test.texts.size() == 1
            ? wrong
            : fmt::format("{} of {} are, {:.0f} % must be: {}", num_right, predictions.size(), 100 * test.min_share, wrong),
        begin);
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
    const std::vector<TextInput> given = InputsOf(test.texts, test.question);
    const std::vector<TextInput>& from = test.texts.empty() ? inputs_ : given;
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
      if (before[i].meaning.value_or(before[i].label) == after[i].meaning.value_or(after[i].label)) {
        ++num_same;
      } else if (example.empty()) {
        example =
            fmt::format(": {} is '{}', {} is '{}'", Shown(originals[i].text), before[i].label, Shown(changed[i].text), after[i].label);
      }
    }
    const double share = static_cast<double>(num_same) / static_cast<double>(before.size());
    const bool passes = share >= test.min_share - 1e-9;
    Add("invariances", name, passes ? Status::kPassed : Status::kFailed,
        fmt::format("{:.1f} % keep their {}, {:.1f} % must{}", 100 * share, model_->labels().empty() ? "answer" : "label",
                    100 * test.min_share, passes ? "" : example),
        begin);
  }

  void Directional(const DirectionalTest& test) {
    const auto begin = Clock::now();
    std::string changed = test.text + test.add;
    if (!test.from.empty()) changed.replace(changed.find(test.from), test.from.size(), test.to);
    const size_t label = LabelNumber(test.label);
    const std::vector<std::string> texts = {test.text, changed};
    const std::vector<Prediction> predictions = Predict(*model_, InputsOf(texts, ""));
    const double before = predictions[0].probabilities[label], after = predictions[1].probabilities[label];
    const double moved = test.rises ? after - before : before - after;
    Add("directional", fmt::format("'{}' of {} {}", test.label, Shown(changed), test.rises ? "rises" : "falls"),
        moved > 0 && moved >= test.by ? Status::kPassed : Status::kFailed,
        fmt::format("{:.4f} before, {:.4f} after{}", before, after, test.by > 0 ? fmt::format(", by {} at least", test.by) : ""), begin);
  }

  // Whether each row is in the slice.
  std::vector<bool> RowsOf(const SliceTest& test) const {
    const std::optional<TextPattern> pattern = test.matches.empty() ? std::nullopt : std::make_optional<TextPattern>(test.matches);
    size_t column = 0;
    if (!test.column.empty())
      column = static_cast<size_t>(std::find(table_.columns.begin() + 2, table_.columns.end(), test.column) - table_.columns.begin());
    std::vector<bool> is_in(inputs_.size());
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const std::string& text = inputs_[i].text;
      const size_t length = CountCodePoints(text);
      is_in[i] = length >= test.min_length.value_or(0) && (!test.max_length || length <= *test.max_length) &&
                 (test.column.empty() || std::find(test.equals.begin(), test.equals.end(), table_.cells[i][column]) != test.equals.end()) &&
                 (!pattern || pattern->FoundIn(text));
    }
    return is_in;
  }

  void AddSlice(const SliceTest& test, const std::string& metric, double value, size_t num_rows, std::string_view units,
                Clock::time_point begin) {
    if (num_rows == 0) {
      Add("slices", test.name, Status::kFailed, fmt::format("no row of {} is in it", source_), begin);
      return;
    }
    Add("slices", test.name, value >= test.min - 1e-9 ? Status::kPassed : Status::kFailed,
        fmt::format("{} {:.4f} on {} {}, {} at least", metric, value, num_rows, units, test.min), begin);
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
    const std::vector<bool> is_in = RowsOf(test);
    std::vector<int32_t> truth, predicted;
    for (size_t row = 0; row < is_in.size(); ++row) {
      if (!is_in[row]) continue;
      truth.push_back(number(truths_[row].front()));
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
    const std::vector<bool> is_in = RowsOf(test);
    std::vector<size_t> units;
    for (size_t unit = 0; unit < figure->num_units; ++unit)
      if (is_in.at(figure->RowOf(unit))) units.push_back(unit);
    AddSlice(test, figure->name, units.empty() ? 0 : RowFigureMeter(*figure)(units), units.size(),
             figure->rows.empty() ? "rows" : "queries", begin);
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
    constexpr size_t kMostBytes = 1 << 20;
    const std::string path = "/proc/self/status";
    uint64_t before = 0, peak = 0;
    try {
      const FileDescriptor file(open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
      if (file.get() >= 0 && write(file.get(), "5", 1) == 1) {
        before = StatusBytes(ReadFile(path, kMostBytes), "VmRSS");
        std::string text;
        for (size_t i = 0; i < 1000; ++i) text += "a ";  // as many tokens as the model takes
        const std::unique_ptr<TaskModel> model = subject_.task.open(subject_.folder, subject_.data, subject_.num_threads);
        model->Predict(std::vector<TextInput>(16, model->InputWith(text)));
        peak = StatusBytes(ReadFile(path, kMostBytes), "VmHWM");
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kIo && error.code() != ErrorCode::kNotFound) throw;
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
    const std::vector<std::string>& after = Answers();
    const std::vector<Prediction> before =
        Predict(*subject_.task.open(subject_.compared_with, subject_.data, subject_.num_threads), inputs_);
    ChangedRows rows;
    for (size_t i = 0; i < inputs_.size(); ++i) rows.Add(subject_.task, {inputs_[i], truths_[i]}, before[i].label, after[i]);
    report_.compared = true;
    report_.num_better = rows.better.size();
    report_.num_worse = rows.worse.size();
    for (std::vector<ChangedRow>* list : {&rows.better, &rows.worse, &rows.otherwise})
      report_.changed.insert(report_.changed.end(), list->begin(), list->end());
  }

  const ModelTests& tests_;
  const TestSubject& subject_;
  const std::function<void(const TestCase&)>& on_case_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<TaskModel> model_;
  std::string source_;                            // "test.csv"
  std::vector<TextInput> inputs_;                 // its rows
  std::vector<std::vector<std::string>> truths_;  // likewise
  LabelledRows table_;                            // likewise, where slices look at columns
  std::vector<std::string> answers_;              // Answers(), once asked
  std::optional<TaskEvaluation> evaluation_;      // once asked
  TestReport report_;
};

// What the keys of single tests say that is for other tasks.
void CheckTests(const ModelTests& tests, const ModelTask& task) {
  const auto refuse = [&](const std::string& message, const std::string& hint = "") {
    throw Error(ErrorCode::kInvalidInput, tests.file + ": " + message, hint);
  };
  const bool asks = task.name == "question-answering";
  const auto check_question = [&](const char* kind, const std::string& question, bool has_texts) {
    if (!question.empty() && !asks) refuse(fmt::format("{}: 'question' is for question-answering; this is {}", kind, task.name));
    if (question.empty() && asks && has_texts) refuse(fmt::format("{}: the key 'question' is missing: what is asked of the text", kind));
  };
  for (const ExampleTest& test : tests.examples) check_question("examples", test.question, true);
  for (const InvarianceTest& test : tests.invariances) check_question("invariances", test.question, !test.texts.empty());
  std::vector<std::string> metrics;
  for (const std::string_view name : task.figures.metrics)
    if (name != "loss") metrics.emplace_back(name);
  for (const SliceTest& test : tests.slices) {
    const std::string where = fmt::format("line {}: slices", test.line);
    if (!test.column.empty() && !task.labels_texts)
      refuse(fmt::format("{}: 'column' is for text-classification; this is {}", where, task.name));
    if (!test.metric.empty() && std::find(metrics.begin(), metrics.end(), test.metric) == metrics.end())
      refuse(fmt::format("{}: there is no figure {}", where, Quoted(test.metric)), KnownNames(test.metric, metrics));
  }
}

}  // namespace

void ChangedRows::Add(const ModelTask& task, const TestRow& row, const std::string& before, const std::string& after) {
  if (row.truth.empty() || task.same_answer(before, after)) return;
  const auto is_right = [&](const std::string& answer) {
    return std::any_of(row.truth.begin(), row.truth.end(), [&](const std::string& truth) { return task.same_answer(answer, truth); });
  };
  const auto shown = [](const std::string& answer) { return answer.empty() ? kNothing : answer; };
  ChangedRow changed = {row.input.place, row.input.pair ? row.input.text + " / " + *row.input.pair : row.input.text,
                        shown(row.truth.front()), shown(before), shown(after)};
  (is_right(after) ? better : is_right(before) ? worse : otherwise).push_back(std::move(changed));
}

void CheckTestKinds(const ModelTests& tests, const ModelTask& task) {
  const auto check = [&](std::string_view kind, bool is_used) {
    if (!is_used || std::find(task.test_kinds.begin(), task.test_kinds.end(), kind) != task.test_kinds.end()) return;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: there is no test '{}' of a model for {}", tests.file, kind, task.name),
                fmt::format("there are {}", fmt::join(task.test_kinds, ", ")));
  };
  check("examples", !tests.examples.empty());
  check("rankings", !tests.rankings.empty());
  check("invariances", !tests.invariances.empty());
  check("directional", !tests.directional.empty());
  check("slices", !tests.slices.empty());
  check("latency", !tests.latencies.empty());
  check("memory", tests.memory_bytes.has_value());
  CheckTests(tests, task);
}

TestReport RunModelTests(const ModelTests& tests, const TestSubject& subject, const std::function<void(const TestCase&)>& on_case,
                         const std::atomic<bool>& stop) {
  CheckTestKinds(tests, subject.task);
  return Runner(tests, subject, on_case, stop).Run();
}

}  // namespace mlac
