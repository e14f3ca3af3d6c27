// How the results of a model's tests are shown: to people, to programs, to CI.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/json.h"
#include "project/run_model_tests.h"
#include "train/report_escape.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;
using Status = TestCase::Status;

constexpr size_t kShownRows = 20;  // changed rows that people are shown

std::string_view NameOf(Status status) { return status == Status::kPassed ? "passed" : status == Status::kFailed ? "failed" : "skipped"; }

// ---- JUnit ----

std::string Attributes(const TestReport& report) {
  double seconds = 0;
  for (const TestCase& test : report.cases) seconds += test.seconds;
  return fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3f}\"", report.cases.size(),
                     report.Count(Status::kFailed), report.Count(Status::kSkipped), seconds);
}

// In the order of the first test of each.
std::vector<std::pair<std::string, TestReport>> ByGroup(const TestReport& report) {
  std::vector<std::pair<std::string, TestReport>> groups;
  for (const TestCase& test : report.cases) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.first == test.group; });
    TestReport& part = found != groups.end() ? found->second : groups.emplace_back(test.group, TestReport()).second;
    part.cases.push_back(test);
  }
  return groups;
}

std::string Suite(const std::string& name, const TestReport& report) {
  std::string out = fmt::format("  <testsuite name=\"{}\" {}>\n", EscapeXml(name), Attributes(report));
  for (const TestCase& test : report.cases) {
    out += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", EscapeXml(name), EscapeXml(test.name), test.seconds);
    out += test.status == Status::kPassed ? "/>\n"
                                          : fmt::format("><{} message=\"{}\"/></testcase>\n",
                                                        test.status == Status::kFailed ? "failure" : "skipped", EscapeXml(test.message));
  }
  return out + "  </testsuite>\n";
}

}  // namespace

size_t TestReport::Count(Status status) const {
  return static_cast<size_t>(std::count_if(cases.begin(), cases.end(), [&](const TestCase& each) { return each.status == status; }));
}

std::string TestReport::Text(bool verbose) const {
  std::string out;
  for (const TestCase& test : cases) {
    if (test.status == Status::kPassed && !verbose) continue;
    const char* mark = test.status == Status::kPassed ? "ok  " : test.status == Status::kFailed ? "FAIL" : "skip";
    out += fmt::format("{}  {}: {}{}{}\n", mark, test.group, test.name, test.message.empty() ? "" : ": ", test.message);
  }
  return out + Sum();
}

std::string TestReport::Sum() const {
  std::string out;
  if (compared) {
    out += fmt::format("{} rows of the test data are answered otherwise than by production: {} better, {} worse, {} wrong both times\n",
                       changed.size(), num_better, num_worse, changed.size() - num_better - num_worse);
    for (size_t i = 0; i < changed.size() && i < kShownRows; ++i) {
      const ChangedRow& row = changed[i];
      out += fmt::format("  {}  {}: '{}' -> '{}', true is '{}': {}\n",
                         i < num_better               ? "+"
                         : i < num_better + num_worse ? "-"
                                                      : " ",
                         Printable(row.place, 60), Printable(row.before, 60), Printable(row.after, 60), Printable(row.truth, 60),
                         Printable(row.text, 60));
    }
    if (changed.size() > kShownRows) out += fmt::format("  and {} more (--json shows all)\n", changed.size() - kShownRows);
  }
  if (!not_compared.empty()) out += fmt::format("not compared with production: {}\n", not_compared);
  const size_t num_skipped = Count(Status::kSkipped);
  return out + fmt::format("{} passed, {} failed{}\n", Count(Status::kPassed), Count(Status::kFailed),
                           num_skipped > 0 ? fmt::format(", {} skipped", num_skipped) : "");
}

std::string TestReport::Json() const {
  ordered_json list = ordered_json::array(), rows = ordered_json::array();
  for (const TestCase& test : cases)
    list.push_back({{"group", test.group},
                    {"name", test.name},
                    {"status", NameOf(test.status)},
                    {"message", test.message},
                    {"seconds", test.seconds}});
  for (const ChangedRow& row : changed)
    rows.push_back({{"place", row.place}, {"text", row.text}, {"truth", row.truth}, {"before", row.before}, {"after", row.after}});
  ordered_json out = {{"format_version", 1},
                      {"passed", Count(Status::kPassed)},
                      {"failed", Count(Status::kFailed)},
                      {"skipped", Count(Status::kSkipped)},
                      {"tests", list}};
  if (compared) out["against_production"] = {{"better", num_better}, {"worse", num_worse}, {"changed", rows}};
  if (!not_compared.empty()) out["not_compared"] = not_compared;
  return DumpJson(out, 2) + "\n";
}

std::string JUnitOf(const std::vector<std::pair<std::string, TestReport>>& reports) {
  std::string suites, names;
  TestReport all;
  for (const auto& [name, report] : reports) {
    names += (names.empty() ? "" : ", ") + name;
    all.cases.insert(all.cases.end(), report.cases.begin(), report.cases.end());
    for (const auto& [group, part] : ByGroup(report)) suites += Suite(name + "." + group, part);
  }
  return fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" {}>\n{}</testsuites>\n", EscapeXml(names),
                     Attributes(all), suites);
}

}  // namespace mlac
