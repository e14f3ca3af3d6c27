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

size_t LengthOf(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

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
    model_ = subject_.task.open(subject_.folder, subject_.num_threads);
    if (NeedsRows()) ReadRows();
    for (size_t i = 0; i < tests_.examples.size(); ++i) Example(tests_.examples[i]);
    for (const InvarianceTest& test : tests_.invariances) Invariance(test);
    for (const DirectionalTest& test : tests_.directional) Directional(test);
    for (const SliceTest& test : tests_.slices) Slice(test);
    for (const LatencyTest& test : tests_.latencies) Latency(test);
    if (compares()) Compare();
    return std::move(report_);
  }

 private:
  bool compares() const { return !subject_.compared_with.empty() && subject_.task.labels_texts; }

  bool NeedsRows() const {
    return !tests_.slices.empty() || compares() ||
           std::any_of(tests_.invariances.begin(), tests_.invariances.end(), [](const InvarianceTest& test) { return test.texts.empty(); });
  }

  void ReadRows() {
    if (!subject_.task.labels_texts) {
      for (TextInput& input : subject_.task.inputs(subject_.data.test, subject_.data, SIZE_MAX))
        rows_.texts.push_back(std::move(input.text));
      rows_.source = std::filesystem::path(subject_.data.test).filename().string();
      return;
    }
    rows_ = ReadLabelledTexts(subject_.data.test, {.text_column = subject_.data.text_column, .label_column = subject_.data.target_column});
    const std::vector<std::string> extra = tests_.Columns();
    if (!extra.empty()) {
      std::vector<std::string> columns = {subject_.data.text_column, subject_.data.target_column};
      columns.insert(columns.end(), extra.begin(), extra.end());
      table_ = ReadLabelledRows(subject_.data.test, columns);
    }
    for (const Prediction& prediction : Predict(rows_.texts)) row_labels_.push_back(prediction.label);
  }

  std::vector<Prediction> Predict(std::span<const std::string> texts) {
    constexpr size_t kAtOnce = 256;  // so that an interruption is seen
    std::vector<Prediction> predictions;
    for (size_t begin = 0; begin < texts.size(); begin += kAtOnce) {
      ThrowIfStopped(stop_);
      for (Prediction& prediction : model_->Predict(texts.subspan(begin, std::min(kAtOnce, texts.size() - begin))))
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

  void Example(const ExampleTest& test) {
    const auto begin = Clock::now();
    const bool has_labels = !model_->labels().empty();
    const size_t label = has_labels ? LabelNumber(test.expect) : 0;
    const std::vector<Prediction> predictions = Predict(test.texts);
    size_t num_right = 0;
    std::string wrong;
    for (size_t i = 0; i < predictions.size(); ++i) {
      const Prediction& p = predictions[i];
      const bool is_right = p.label == test.expect || (!has_labels && p.label.empty() && test.expect == kNothing);
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

  void Invariance(const InvarianceTest& test) {
    const auto begin = Clock::now();
    std::vector<std::string> originals, changed;
    const std::vector<std::string>& from = test.texts.empty() ? rows_.texts : test.texts;
    size_t num_texts = 0;
    for (size_t i = 0; i < from.size() && (!test.texts.empty() || num_texts < test.num_rows); ++i) {
      const std::vector<std::string> texts = ChangedTexts(test, from[i], i);
      num_texts += !texts.empty();
      for (const std::string& text : texts) {
        originals.push_back(from[i]);
        changed.push_back(text);
      }
    }
    const std::string name =
        fmt::format("{} in {}", test.change,
                    test.texts.empty() ? fmt::format("{} rows of {}", num_texts, rows_.source) : fmt::format("{} texts", num_texts));
    if (changed.empty()) {
      Add("invariances", name, Status::kSkipped, "the change applies to none of the texts", begin);
      return;
    }
    const std::vector<Prediction> before = Predict(originals), after = Predict(changed);
    size_t num_same = 0;
    std::string example;
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i].meaning.value_or(before[i].label) == after[i].meaning.value_or(after[i].label)) {
        ++num_same;
      } else if (example.empty()) {
        example = fmt::format(": {} is '{}', {} is '{}'", Shown(originals[i]), before[i].label, Shown(changed[i]), after[i].label);
      }
    }
    const double share = static_cast<double>(num_same) / static_cast<double>(before.size());
    const bool passes = share >= test.min_share - 1e-9;
    Add("invariances", name, passes ? Status::kPassed : Status::kFailed,
        fmt::format("{:.1f} % keep their label, {:.1f} % must{}", 100 * share, 100 * test.min_share, passes ? "" : example), begin);
  }

  void Directional(const DirectionalTest& test) {
    const auto begin = Clock::now();
    std::string changed = test.text + test.add;
    if (!test.from.empty()) changed.replace(changed.find(test.from), test.from.size(), test.to);
    const size_t label = LabelNumber(test.label);
    const std::vector<std::string> texts = {test.text, changed};
    const std::vector<Prediction> predictions = Predict(texts);
    const double before = predictions[0].probabilities[label], after = predictions[1].probabilities[label];
    const double moved = test.rises ? after - before : before - after;
    Add("directional", fmt::format("'{}' of {} {}", test.label, Shown(changed), test.rises ? "rises" : "falls"),
        moved > 0 && moved >= test.by ? Status::kPassed : Status::kFailed,
        fmt::format("{:.4f} before, {:.4f} after{}", before, after, test.by > 0 ? fmt::format(", by {} at least", test.by) : ""), begin);
  }

  std::vector<size_t> RowsOf(const SliceTest& test) const {
    const std::optional<TextPattern> pattern = test.matches.empty() ? std::nullopt : std::make_optional<TextPattern>(test.matches);
    size_t column = 0;
    if (!test.column.empty())
      column = static_cast<size_t>(std::find(table_.columns.begin() + 2, table_.columns.end(), test.column) - table_.columns.begin());
    std::vector<size_t> rows;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const size_t length = LengthOf(rows_.texts[i]);
      if (length < test.min_length.value_or(0) || (test.max_length && length > *test.max_length)) continue;
      if (!test.column.empty() && std::find(test.equals.begin(), test.equals.end(), table_.cells[i][column]) == test.equals.end()) continue;
      if (pattern && !pattern->FoundIn(rows_.texts[i])) continue;
      rows.push_back(i);
    }
    return rows;
  }

  void Slice(const SliceTest& test) {
    const auto begin = Clock::now();
    const std::vector<size_t> rows = RowsOf(test);
    if (rows.empty()) {
      Add("slices", test.name, Status::kFailed, fmt::format("no row of {} is in it", rows_.source), begin);
      return;
    }
    std::vector<std::string> names;
    std::map<std::string, int32_t> ids;
    const auto number = [&](const std::string& label) {
      const auto [entry, is_new] = ids.emplace(label, static_cast<int32_t>(ids.size()));
      if (is_new) names.push_back(label);
      return entry->second;
    };
    std::vector<int32_t> truth, predicted;
    for (const size_t row : rows) {
      truth.push_back(number(rows_.label_names[static_cast<size_t>(rows_.labels[row])]));
      predicted.push_back(number(row_labels_[row]));
    }
    const ClassificationMetrics metrics = ComputeMetrics(truth, predicted, {}, names, {.intervals = false});
    const double value = test.metric == "accuracy" ? metrics.accuracy : test.metric == "macro_f1" ? metrics.macro_f1 : metrics.weighted_f1;
    Add("slices", test.name, value >= test.min - 1e-9 ? Status::kPassed : Status::kFailed,
        fmt::format("{} {:.4f} on {} rows, {} at least", test.metric, value, rows.size(), test.min), begin);
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
        const std::vector<std::string> texts(16, std::string(2000, 'a'));
        subject_.task.open(subject_.folder, subject_.num_threads)->Predict(texts);
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
    report_.compared = true;
    const std::unique_ptr<TaskModel> other = subject_.task.open(subject_.compared_with, subject_.num_threads);
    const std::vector<Prediction> before = other->Predict(rows_.texts);
    std::vector<ChangedRow> worse, same;
    for (size_t i = 0; i < rows_.size(); ++i) {
      if (before[i].label == row_labels_[i]) continue;
      const std::string& truth = rows_.label_names[static_cast<size_t>(rows_.labels[i])];
      ChangedRow row = {rows_.Place(i), rows_.texts[i], truth, before[i].label, row_labels_[i]};
      if (row.after == truth) {
        report_.changed.push_back(std::move(row));
      } else {
        (row.before == truth ? worse : same).push_back(std::move(row));
      }
    }
    report_.num_better = report_.changed.size();
    report_.num_worse = worse.size();
    for (std::vector<ChangedRow>* rows : {&worse, &same}) report_.changed.insert(report_.changed.end(), rows->begin(), rows->end());
  }

  const ModelTests& tests_;
  const TestSubject& subject_;
  const std::function<void(const TestCase&)>& on_case_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<TaskModel> model_;
  LabelledTexts rows_;
  LabelledRows table_;
  std::vector<std::string> row_labels_;  // what the model says of each row
  TestReport report_;
};

}  // namespace

void CheckTestKinds(const ModelTests& tests, const ModelTask& task) {
  const auto check = [&](std::string_view kind, bool is_used) {
    if (!is_used || std::find(task.test_kinds.begin(), task.test_kinds.end(), kind) != task.test_kinds.end()) return;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: there is no test '{}' of a model for {}", tests.file, kind, task.name),
                fmt::format("there are {}", fmt::join(task.test_kinds, ", ")));
  };
  check("examples", !tests.examples.empty());
  check("invariances", !tests.invariances.empty());
  check("directional", !tests.directional.empty());
  check("slices", !tests.slices.empty());
  check("latency", !tests.latencies.empty());
  check("memory", tests.memory_bytes.has_value());
}

TestReport RunModelTests(const ModelTests& tests, const TestSubject& subject, const std::function<void(const TestCase&)>& on_case,
                         const std::atomic<bool>& stop) {
  CheckTestKinds(tests, subject.task);
  return Runner(tests, subject, on_case, stop).Run();
}

}  // namespace mlac
