// mlac diff: what two revisions do not have in common.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/display.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/store_access.h"
#include "cli/terminal.h"
#include "hub/diff.h"
#include "project/candidate.h"
#include "project/comparison.h"
#include "project/config.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

struct DiffOptions {
  std::string before, after, store, html, markdown;
  size_t num_threads = 1;
  bool json = false;
};

// NAME@candidate, which is in no store of revisions: a model of the mlac.yaml that is here.
struct CandidateSide {
  ProjectConfig project;
  std::string name;
};

std::optional<CandidateSide> FindCandidateSide(const Store& store, const DiffOptions& options) {
  if (NamesCandidate(store, options.before))
    throw UsageError(fmt::format("{} is not published and can only come second", Printable(options.before)), "mlac diff NAME@production NAME@candidate");
  if (!NamesCandidate(store, options.after)) return std::nullopt;
  CandidateSide side = {.project = ReadProject(kProjectFile), .name = options.after.substr(0, options.after.find('@'))};
  side.project.store = std::filesystem::absolute(store.folder()).string();
  return side;
}

void WriteComparison(const DiffOptions& options, const Comparison& comparison) {
  if (!options.html.empty()) WriteFileAtomically(options.html, ComparisonHtml(comparison));
  if (!options.markdown.empty()) WriteFileAtomically(options.markdown, ComparisonMarkdown(comparison));
}

// Both models measured on the newer one's test data, as a page and as Markdown.
void WriteReports(const DiffOptions& options, const Store& store, const ResolvedReference& before, const ResolvedReference& after) {
  if (options.html.empty() && options.markdown.empty()) return;
  WriteComparison(options, CompareRevisions(store, after.name, before.revision, after.revision, options.num_threads, CatchInterrupts()));
}

template <typename T>
ordered_json OrNull(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json AsJson(const RevisionDiff& diff) {
  ordered_json out = {{"before", diff.before}, {"after", diff.after}, {"num_files_equal", diff.num_files_equal}};
  for (const char* part : {"files", "parameters", "data", "figures"}) out[part] = ordered_json::array();
  for (const FileChange& file : diff.files)
    out["files"].push_back({{"path", file.path}, {"size_before", OrNull(file.size_before)}, {"size_after", OrNull(file.size_after)}});
  for (const ValueChange& value : diff.parameters) out["parameters"].push_back({{"name", value.name}, {"before", value.before}, {"after", value.after}});
  for (const DataChange& data : diff.data)
    out["data"].push_back({{"role", data.role},
                           {"before", data.before},
                           {"after", data.after},
                           {"num_rows_before", OrNull(data.num_rows_before)},
                           {"num_rows_after", OrNull(data.num_rows_after)},
                           {"num_rows_added", OrNull(data.num_rows_added)},
                           {"num_rows_removed", OrNull(data.num_rows_removed)}});
  for (const FigureChange& figure : diff.figures)
    out["figures"].push_back({{"name", figure.name}, {"before", OrNull(figure.before)}, {"after", OrNull(figure.after)}});
  return out;
}

std::string Title(const char* text) { return Colored(Stream::kOut, Color::kBold, text) + "\n"; }

std::string FileAsText(const FileChange& file) {
  const std::string path = Printable(file.path);
  if (!file.size_before) return Colored(Stream::kOut, Color::kGreen, fmt::format("  + {}", path)) + fmt::format("  {} bytes\n", *file.size_after);
  if (!file.size_after) return Colored(Stream::kOut, Color::kRed, fmt::format("  - {}", path)) + fmt::format("  {} bytes\n", *file.size_before);
  return fmt::format("  ~ {}  {}\n", path,
                     *file.size_before == *file.size_after ? fmt::format("{} bytes", *file.size_after)
                                                           : fmt::format("{} bytes, were {}", *file.size_after, *file.size_before));
}

std::string DataAsText(const DataChange& data) {
  std::string out = fmt::format("  {}: {}, was {}", Printable(data.role), data.after.empty() ? "none" : ShortRevision(data.after),
                                data.before.empty() ? "none" : ShortRevision(data.before));
  if (data.num_rows_added)
    out += fmt::format("; {} rows, were {}: {} added, {} removed", *data.num_rows_after, *data.num_rows_before, *data.num_rows_added, *data.num_rows_removed);
  else if (data.num_rows_after)
    out += fmt::format("; {} rows", *data.num_rows_after);
  else if (data.num_rows_before)
    out += fmt::format("; {} rows before", *data.num_rows_before);
  return out + "\n";
}

// A figure of each label is shown only where it changed; the others always.
bool IsShown(const FigureChange& figure) { return figure.name.find('.') == std::string::npos || figure.before != figure.after; }

std::string FiguresAsText(const std::vector<FigureChange>& figures) {
  size_t width = 0;
  for (const FigureChange& figure : figures)
    if (IsShown(figure)) width = std::max(width, DisplayWidth(Printable(figure.name)));
  const auto number = [](const std::optional<double>& value) { return value ? fmt::format("{:.4g}", *value) : std::string("-"); };
  std::string out;
  for (const FigureChange& figure : figures) {
    if (!IsShown(figure)) continue;
    const double change = figure.before && figure.after ? *figure.after - *figure.before : 0;
    out += fmt::format("  {}  {:>10}  {:>10}  {}\n", PadRight(Printable(figure.name), width), number(figure.before), number(figure.after),
                       change == 0 ? "" : fmt::format("{:+.4g}", change));
  }
  return out;
}

std::string AsText(const RevisionDiff& diff) {
  std::string out = fmt::format("{} to {}\n", Colored(Stream::kOut, Color::kYellow, ShortRevision(diff.before)),
                                Colored(Stream::kOut, Color::kYellow, ShortRevision(diff.after)));
  if (!diff.figures.empty()) out += Title("figures") + FiguresAsText(diff.figures);
  if (!diff.parameters.empty()) out += Title("what made them");
  for (const ValueChange& value : diff.parameters)
    out += fmt::format("  {}: {}, was {}\n", Printable(value.name), value.after.empty() ? "none" : Printable(value.after),
                       value.before.empty() ? "none" : Printable(value.before));
  if (!diff.data.empty()) out += Title("data");
  for (const DataChange& data : diff.data) out += DataAsText(data);
  out += Title("files");
  for (const FileChange& file : diff.files) out += FileAsText(file);
  return out + fmt::format("  {} {} equal\n", diff.num_files_equal, diff.num_files_equal == 1 ? "is" : "are");
}

RevisionDiff DiffOf(const DiffOptions& options) {
  const Store store = OpenStore(options.store);
  const std::optional<CandidateSide> candidate = FindCandidateSide(store, options);
  const ResolvedReference before = Resolve(store, options.before);
  if (candidate) {
    const RevisionDiff diff = DiffCandidate(candidate->project, store, before, candidate->name);
    if (!options.html.empty() || !options.markdown.empty())
      WriteComparison(options, CompareWithCandidate(candidate->project, store, before, candidate->name, options.num_threads, CatchInterrupts()));
    return diff;
  }
  const ResolvedReference after = Resolve(store, options.after);
  const RevisionDiff diff = DiffRevisions(store, before.revision, after.revision, before.name, after.name);
  WriteReports(options, store, before, after);
  return diff;
}

}  // namespace

void AddDiff(Command app) {
  auto options = std::make_shared<DiffOptions>();
  const Command command = app.AddCommand("diff", "Compare two revisions: figures, parameters, data, files",
                                         "mlac diff topics@production topics@latest\n"
                                         "mlac diff topics@production topics@candidate    # what a gate or a test refused\n"
                                         "mlac diff 3fa94c21 77b0e1d2 --html report.html");
  command.AddOption("before", options->before, "NAME, NAME@ALIAS, or the beginning of a revision").Required().Type("REV1");
  command.AddOption("after", options->after, "The one to compare it with; also NAME@candidate: what apply made last").Required().Type("REV2");
  command.AddOption("--html", options->html, "Measure both on the newer one's test data, and write a page with figures, pictures and rows").Type("FILE");
  command.AddOption("--markdown", options->markdown, "The same, for a pull request").Type("FILE");
  AddStoreOption(command, options->store);
  AddThreadsOption(command, options->num_threads);
  AddJsonFlag(command, options->json);
  command.OnRun([options] {
    const RevisionDiff diff = DiffOf(*options);
    fmt::print("{}", options->json ? DumpJson(AsJson(diff), 2) + "\n" : AsText(diff));
  });
}

}  // namespace mlac
