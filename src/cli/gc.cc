// mlac gc: removes from the store what nothing needs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/display.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/number_options.h"
#include "cli/store_access.h"
#include "hub/collect.h"
#include "project/apply.h"
#include "project/collect_steps.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

struct GcOptions {
  std::string store;
  CollectOptions collect;
  bool json = false;
};

ordered_json AsJson(const CollectResult& result, const CollectedSteps& collected, bool dry_run) {
  auto revisions = ordered_json::array();
  for (const CollectResult::Removed& removed : result.revisions)
    revisions.push_back({{"revision", removed.revision}, {"names", removed.names}});
  auto steps = ordered_json::array();
  for (const CollectedSteps::Removed& removed : collected.steps)
    steps.push_back({{"key", removed.key}, {"step", removed.step}, {"model", removed.model}, {"num_bytes", removed.num_bytes}});
  return {{"dry_run", dry_run},
          {"removed", revisions},
          {"in_use", result.in_use},
          {"num_revisions_kept", result.num_revisions_kept},
          {"num_blobs_removed", result.num_blobs_removed},
          {"num_leftovers_removed", result.num_leftovers_removed},
          {"num_bytes_freed", result.num_bytes_freed},
          {"removed_steps", steps},
          {"removed_models", collected.models},
          {"num_step_bytes_freed", collected.num_bytes()},
          {"num_data_profiles_removed", collected.profiles.count},
          {"num_data_profile_bytes_freed", collected.profiles.num_bytes}};
}

// "0123456789ab  the step 'train' of topics, 91.2 MB".
std::string StepLine(const CollectedSteps::Removed& removed) {
  const std::string what = removed.step.empty() ? "a step whose record is damaged"
                                                : fmt::format("the step '{}' of {}", Printable(removed.step), Printable(removed.model));
  return fmt::format("{}  {}, {:.1f} MB\n", ShortRevision(removed.key), what, static_cast<double>(removed.num_bytes) / 1e6);
}

std::string AsText(const CollectResult& result, const CollectedSteps& collected, bool dry_run) {
  std::string out;
  for (const CollectResult::Removed& removed : result.revisions)
    out += fmt::format("{}  {}\n", ShortRevision(removed.revision),
                       removed.names.empty() ? "without a name" : fmt::format("{}", fmt::join(removed.names, ", ")));
  for (const std::string& revision : result.in_use) out += fmt::format("{}  kept: a process has it open\n", ShortRevision(revision));
  for (const CollectedSteps::Removed& removed : collected.steps) out += StepLine(removed);
  for (const std::string& model : collected.models) out += fmt::format("{} is no longer in its mlac.yaml\n", Printable(model));
  if (!collected.steps.empty())
    out += fmt::format("{} {} {} of steps, {:.1f} MB\n", dry_run ? "would remove" : "removed", collected.steps.size(),
                       collected.steps.size() == 1 ? "result" : "results", static_cast<double>(collected.num_bytes()) / 1e6);
  if (const RemovedDataProfiles& profiles = collected.profiles; profiles.count > 0)
    out += fmt::format("{} {} {} of data that nothing names any more, {:.1f} MB\n", dry_run ? "would remove" : "removed", profiles.count,
                       profiles.count == 1 ? "profile" : "profiles", static_cast<double>(profiles.num_bytes) / 1e6);
  return out + fmt::format("{} {} {} and {} {}, {:.1f} MB; {} {} kept\n", dry_run ? "would remove" : "removed", result.revisions.size(),
                           result.revisions.size() == 1 ? "revision" : "revisions", result.num_blobs_removed,
                           result.num_blobs_removed == 1 ? "file" : "files", static_cast<double>(result.num_bytes_freed) / 1e6,
                           result.num_revisions_kept, result.num_revisions_kept == 1 ? "revision is" : "revisions are");
}

}  // namespace

void AddGc(Command app) {
  auto options = std::make_shared<GcOptions>();
  const Command command = app.AddCommand("gc", "Remove from the store what no alias, record, recent revision or mlac.yaml needs",
                                         "mlac gc --dry-run\nmlac gc --keep 3");
  const Option keep = command.AddOption("--keep", options->collect.keep_last,
                                        "Newest revisions of each name, and newest moves of each alias, that are kept; 0: none");
  WholeNumber(keep.Type("N").ShowDefault(), 0);
  command.AddFlag("--dry-run", options->collect.dry_run, "Say what would be removed, and remove nothing");
  AddStoreOption(command, options->store);
  AddJsonFlag(command, options->json);
  command.OnRun([options] {
    const Store store = OpenStore(options->store);
    std::optional<ApplyLock> lock;  // before anything is removed: what an apply at work needs is in no record yet
    if (!options->collect.dry_run) lock.emplace(store);
    options->collect.on_wait = [](const std::string& message) { fmt::print(stderr, "waiting: {}\n", message); };
    const bool dry_run = options->collect.dry_run;
    options->collect.keep = BaseRevisionsOfProjects(store);
    const CollectResult result = CollectGarbage(store, options->collect);  // first, as it ends this where something is damaged
    const CollectedSteps collected = CollectSteps(store, dry_run);
    for (const std::string& line : collected.unreadable) fmt::print(stderr, "{}; the results of its models are kept\n", Printable(line));
    fmt::print("{}", options->json ? DumpJson(AsJson(result, collected, dry_run), 2) + "\n"
                                   : AsText(result, collected, dry_run));
  });
}

}  // namespace mlac
