// mlac verify: reads the whole store and names what is damaged.
#include "hub/verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/long_progress.h"
#include "cli/store_access.h"
#include "cli/terminal.h"
#include "project/data_profile.h"
#include "project/step_store.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

struct VerifyOptions {
  std::string store;
  bool json = false;
};

ordered_json AsJson(const VerifyResult& result) {
  auto damages = ordered_json::array();
  for (const Damage& damage : result.damages)
    damages.push_back({{"path", damage.path}, {"message", damage.message}, {"needed_by", damage.needed_by}});
  return {{"damages", damages},
          {"num_revisions", result.num_revisions},
          {"num_blobs", result.num_blobs},
          {"num_bytes", result.num_bytes},
          {"num_unneeded", result.num_unneeded}};
}

std::string AsText(const VerifyResult& result) {
  std::string out;
  for (const Damage& damage : result.damages) {
    out += fmt::format("{} {}\n", Colored(Stream::kOut, Color::kRed, Printable(damage.path) + ":"), Printable(damage.message));
    for (const std::string& user : damage.needed_by) out += fmt::format("  needed by {}\n", Printable(user));
  }
  return out + fmt::format("{} revisions, {} files of {:.1f} MB: {}\n", result.num_revisions, result.num_blobs,
                           static_cast<double>(result.num_bytes) / 1e6,
                           result.damages.empty() ? "all as they were written" : fmt::format("{} damaged", result.damages.size()));
}

void Execute(const VerifyOptions& options) {
  const Store store = OpenStore(options.store);
  VerifyResult result;
  {
    LongProgress progress("MB");
    uint64_t shown = 0;
    result = Verify(store, [&](uint64_t done, uint64_t total) {
      if (done / 1'000'000 == shown) return;
      shown = done / 1'000'000;
      progress.Update(shown, total / 1'000'000, "read");
    });
  }
  {
    LongProgress progress("results of steps");
    std::vector<Damage> damages = StepStore(store).FindDamages([&](size_t done, size_t total) { progress.Update(done, total, "read"); });
    result.damages.insert(result.damages.end(), std::make_move_iterator(damages.begin()), std::make_move_iterator(damages.end()));
    damages = FindDamagedProfiles(store);
    result.damages.insert(result.damages.end(), std::make_move_iterator(damages.begin()), std::make_move_iterator(damages.end()));
    std::sort(result.damages.begin(), result.damages.end(), [](const Damage& a, const Damage& b) { return a.path < b.path; });
  }
  fmt::print("{}", options.json ? DumpJson(AsJson(result), 2) + "\n" : AsText(result));
  if (!result.damages.empty())
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("{}: {} {} damaged", store.folder(), result.damages.size(), result.damages.size() == 1 ? "file is" : "files are"),
        "delete a damaged file of blobs/ and add what it belongs to again; results of steps are made anew when they are needed; take "
        "others from a backup");
}

}  // namespace

void AddVerify(Command app) {
  auto options = std::make_shared<VerifyOptions>();
  const Command command =
      app.AddCommand("verify", "Read the whole store and name every file that is damaged or missing", "mlac verify\nmlac verify --json");
  AddStoreOption(command, options->store);
  AddJsonFlag(command, options->json);
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
