// mlac env: everything that a bug report needs, and nothing that is secret.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/build_info.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/thread_team.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "kernels/instruction_set.h"

extern char** environ;

namespace mlac {
namespace {

using nlohmann::ordered_json;

struct EnvOptions {
  bool json = false;
};

std::string CacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') return std::string(cache) + "/mlac";
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : std::string(home) + "/.cache/mlac";
}

// The variables that change what mlac does. Of those that are not on this list of harmless ones only the name is shown: a variable
// MLAC_API_KEY of today or tomorrow must not end up in a bug report.
ordered_json Variables() {
  static const std::vector<std::string> kShown = {"MLAC_ISA", "MLAC_FIXTURES", "MLAC_MINILM", "OMP_NUM_THREADS", "NO_COLOR", "LANG", "LC_ALL", "TERM"};
  ordered_json variables = ordered_json::object();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry, name = text.substr(0, text.find('='));
    if (std::find(kShown.begin(), kShown.end(), name) != kShown.end())
      variables[name] = text.substr(std::min(text.size(), name.size() + 1));
    else if (name.starts_with("MLAC_"))
      variables[name] = "(set, not shown)";
  }
  return variables;
}

std::string Gibibytes(uint64_t bytes) { return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30)); }

ordered_json Describe() {
  const BuildInfo build = GetBuildInfo();
  const Machine machine = DescribeMachine();
  ordered_json libraries;
  for (const auto& [name, version] : build.libraries) libraries[name] = version;
  ordered_json cores = machine.cgroup.cores ? ordered_json(*machine.cgroup.cores) : ordered_json();
  ordered_json memory = machine.cgroup.memory_bytes ? ordered_json(*machine.cgroup.memory_bytes) : ordered_json();
  return {{"version", build.version},
          {"build_type", build.build_type},
          {"compiler", build.compiler},
          {"sanitizers", build.sanitizers},
          {"operating_system", machine.operating_system},
          {"kernel", machine.kernel},
          {"architecture", machine.architecture},
          {"processor", machine.processor},
          {"cpu_features", machine.cpu_features},
          {"instruction_sets", kernels::AvailableInstructionSets()},
          {"instruction_set_in_use", kernels::InstructionSetInUse()},
          {"int8_path", kernels::Name(kernels::Int8PathInUse())},
          {"bf16_path", kernels::Name(kernels::Bf16PathInUse())},
          {"cores", machine.num_cores},
          {"usable_cores", machine.num_usable_cores},
          {"threads", DefaultNumThreads()},
          {"memory_bytes", machine.memory_bytes},
          {"available_memory_bytes", machine.available_memory_bytes},
          {"cgroup_cores", cores},
          {"cgroup_memory_bytes", memory},
          {"cache", CacheFolder()},
          {"libraries", libraries},
          {"variables", Variables()}};
}

std::string Joined(const ordered_json& object) {
  std::string out;
  for (const auto& [name, value] : object.items()) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", name, value.get<std::string>());
  return out;
}

std::string EnvironmentAsText(const ordered_json& env) {
  const auto text = [&](const char* name) { return env.at(name).get<std::string>(); };
  const auto number = [&](const char* name) { return env.at(name).get<uint64_t>(); };
  const auto words = [&](const char* name) { return fmt::format("{}", fmt::join(env.at(name).get<std::vector<std::string>>(), " ")); };
  const std::string sanitizers = text("sanitizers").empty() ? "" : ", sanitizers: " + text("sanitizers");
  std::string out;
  const auto line = [&](const char* name, const std::string& value) { out += fmt::format("{:<14}{}\n", name, value.empty() ? "none" : value); };
  line("mlac", fmt::format("{} ({}, {}{})", text("version"), text("build_type"), text("compiler"), sanitizers));
  line("system", fmt::format("{}, {}, {}", text("operating_system"), text("kernel"), text("architecture")));
  line("processor", text("processor"));
  line("features", words("cpu_features"));
  line("instructions", fmt::format("{} in use, of {}", text("instruction_set_in_use"), words("instruction_sets")));
  line("products", fmt::format("int8 by {}, bf16 by {}", text("int8_path"), text("bf16_path")));
  line("cores", fmt::format("{}, usable {}, threads by default {}", number("cores"), number("usable_cores"), number("threads")));
  line("memory", fmt::format("{}, available {}", Gibibytes(number("memory_bytes")), Gibibytes(number("available_memory_bytes"))));
  line("cgroup", fmt::format("cores {}, memory {}", env.at("cgroup_cores").is_null() ? "no limit" : DumpJson(env.at("cgroup_cores")),
                             env.at("cgroup_memory_bytes").is_null() ? "no limit" : Gibibytes(number("cgroup_memory_bytes"))));
  line("cache", text("cache"));
  line("libraries", Joined(env.at("libraries")));
  std::string variables;
  for (const auto& [name, value] : env.at("variables").items())
    variables += fmt::format("{}{}={}", variables.empty() ? "" : " ", name, value.get<std::string>());
  line("variables", variables);
  return out;
}

}  // namespace

void AddEnv(Command app) {
  auto options = std::make_shared<EnvOptions>();
  const Command command = app.AddCommand("env", "Print what a bug report needs: versions, processor, limits", "mlac env\nmlac env --json");
  AddJsonFlag(command, options->json);
  command.OnRun([options] {
    const ordered_json env = Describe();
    fmt::print("{}", options->json ? DumpJson(env, 2) + "\n" : EnvironmentAsText(env));
  });
}

}  // namespace mlac
