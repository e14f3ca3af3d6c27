// What a file of tests says that its model's task does not have.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/display.h"
#include "base/error.h"
#include "project/run_model_tests.h"

namespace mlac {
namespace {

class Checker {
 public:
  Checker(const ModelTests& tests, const ModelTask& task, const ModelData& columns) : tests_(tests), task_(task), columns_(columns) {}

  void Run() const {
    CheckKinds();
    for (const ExampleTest& test : tests_.examples) CheckExample(test);
    for (const InvarianceTest& test : tests_.invariances) {
      CheckBeside("invariances", test.beside, !test.texts.empty());
      CheckWithin("invariances", test.within.has_value());
    }
    for (const DirectionalTest& test : tests_.directional) CheckDirectional(test);
    for (const SliceTest& test : tests_.slices) CheckSlice(test);
  }

 private:
  [[noreturn]] void Refuse(const std::string& message, const std::string& hint = "") const {
    throw Error(ErrorCode::kInvalidInput, tests_.file + ": " + message, hint);
  }

  bool Has(std::string_view kind) const {
    return std::find(task_.test_kinds.begin(), task_.test_kinds.end(), kind) != task_.test_kinds.end();
  }
  bool ranks() const { return Has("rankings"); }

  void CheckKinds() const {
    const auto check = [&](std::string_view kind, bool is_used) {
      if (is_used && !Has(kind))
        Refuse(fmt::format("there is no test '{}' of a model for {}", kind, task_.Title()),
               fmt::format("there are {}", fmt::join(task_.test_kinds, ", ")));
    };
    check("examples", !tests_.examples.empty());
    check("rankings", !tests_.rankings.empty());
    check("invariances", !tests_.invariances.empty());
    check("directional", !tests_.directional.empty());
    check("slices", !tests_.slices.empty());
    check("latency", !tests_.latencies.empty());
    check("memory", tests_.memory_bytes.has_value());
  }

  // needed: whether the key must be there; else it must not.
  void CheckKey(const char* kind, const char* key, bool is_there, bool needed, std::string_view is_for, std::string_view what) const {
    if (is_there && !needed) Refuse(fmt::format("{}: '{}' is for {}; this is {}", kind, key, is_for, task_.Title()));
    if (!is_there && needed) Refuse(fmt::format("{}: the key '{}' is missing: {}", kind, key, what));
  }

  void CheckBeside(const char* kind, const BesideText& beside, bool has_texts) const {
    if (!has_texts) return;  // the rows of the test data have what they need
    CheckKey(kind, "question", !beside.question.empty(), task_.name == "question-answering", "question-answering",
             "what is asked of the text");
    CheckKey(kind, "text_pair", !beside.pair.empty(), !columns_.text_pair_column.empty(), "text-classification with data.text_pair",
             "the second text");
  }

  void CheckWithin(const char* kind, bool is_there) const {
    CheckKey(kind, "within", is_there, task_.gives_numbers(), "text-classification with regression", "how far the number may be away");
  }

  void CheckExample(const ExampleTest& test) const {
    CheckBeside("examples", test.beside, true);
    CheckWithin("examples", test.within.has_value());
    if (!task_.gives_numbers()) return;
    if (!ParseNumber(test.expect)) Refuse(fmt::format("examples: 'expect': expected a number, found {}", Quoted(test.expect)));
    if (test.min_probability) Refuse(fmt::format("examples: 'min_probability': a number has none; this is {}", task_.Title()));
  }

  void CheckDirectional(const DirectionalTest& test) const {
    CheckBeside("directional", test.beside, true);
    CheckKey("directional", "query", !test.beside.query.empty(), ranks(), "sentence-similarity and text-ranking",
             "what the text is to answer, or to be near to");
    const bool has_one_score = ranks() || task_.gives_numbers();
    if (has_one_score && !test.label.empty()) Refuse(fmt::format("directional: 'label': there is one score alone in {}", task_.Title()));
    if (!has_one_score && test.label.empty()) Refuse("directional: the key 'label' is missing: whose probability is looked at");
    if (!task_.gives_numbers() && test.by > 1)
      Refuse(fmt::format("directional: 'by': a score of {} is at most 1, found {}", task_.Title(), test.by));
  }

  void CheckSlice(const SliceTest& test) const {
    const std::string where = fmt::format("line {}: slices", test.line);
    std::vector<std::string> metrics;
    for (const std::string_view name : task_.figures.metrics)
      if (name != "loss") metrics.emplace_back(name);
    const std::string& metric = test.metric.empty() ? metrics.front() : test.metric;
    if (std::find(metrics.begin(), metrics.end(), metric) == metrics.end())
      Refuse(fmt::format("{}: there is no figure {}", where, Quoted(metric)), KnownNames(metric, metrics));
    if (LessIsBetter(metric) && !test.max) Refuse(fmt::format("{}: {} falls where a model gets better; expected 'max'", where, metric));
  }

  const ModelTests& tests_;
  const ModelTask& task_;
  const ModelData& columns_;
};

}  // namespace

void CheckTestKinds(const ModelTests& tests, const ModelTask& task, const ModelData& columns) { Checker(tests, task, columns).Run(); }

}  // namespace mlac
