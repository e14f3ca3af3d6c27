#include "cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string_view>

#include "base/error.h"
#include "base/nearest_name.h"
#include "base/thread_team.h"
#include "cli/number_options.h"
#include "kernels/instruction_set.h"

namespace mlac {

CLI::App& AddCommand(CLI::App& parent, const std::string& name, const std::string& description, const std::string& example) {
  CLI::App& command = *parent.add_subcommand(name, description);
  command.group("Commands");
  std::string footer = "Example:";
  for (const std::string& line : CLI::detail::split(example, '\n')) footer += "\n  " + line;
  command.footer(footer);
  return command;
}

std::string HintForUnknown(const std::string& name, const std::vector<std::string>& known) {
  const std::string nearest = NearestName(name, known);
  return nearest.empty() ? fmt::format("there are {}", fmt::join(known, ", ")) : fmt::format("did you mean '{}'?", nearest);
}

void AddModelOption(CLI::App& command, std::string& model) {
  command.add_option("-m,--model", model, kModelHelp)->required()->type_name("DIR");
}

void AddAdapterOption(CLI::App& command, std::string& adapter) {
  command.add_option("--adapter", adapter, "An adapter over the model: a folder as 'mlac train --lora' or PEFT writes it")->type_name("DIR");
}

void AddThreadsOption(CLI::App& command, size_t& num_threads) {
  static const size_t default_num_threads = DefaultNumThreads();  // it reads files of the system, and each command has this option
  num_threads = default_num_threads;
  WholeNumber(
      command.add_option("--threads", num_threads, "Threads to compute with; else OMP_NUM_THREADS, else the cores that may be used")
          ->type_name("N"),
      1, 1024);
}

void AddJsonFlag(CLI::App& command, bool& json) { command.add_flag("--json", json, "Print the result as JSON"); }

DType DtypeOptions::Checked() const {
  if (dtype == "f32") return DType::kF32;
  if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone && !allow_slow)
    throw Error(ErrorCode::kUnsupported, "--dtype bf16: this processor multiplies no bf16 (AMX or AVX512-BF16), so it would not be faster",
                "--allow-slow computes it all the same, rounded to bf16 and multiplied in f32");
  return DType::kBF16;
}

void AddDtypeOptions(CLI::App& command, DtypeOptions& options) {
  command.add_option("--dtype", options.dtype, "What matrix products are computed in; bf16 is faster and less exact")
      ->check(CLI::IsMember({"f32", "bf16"}).description("{f32,bf16}"))
      ->capture_default_str();
  command.add_flag("--allow-slow", options.allow_slow, "Compute bf16 where the processor has no instructions for it");
}

void AddTexts(CLI::App& command, std::vector<std::string>& texts, const std::string& description) {
  // The raw results: CLI11's conversion to a vector takes the text "{}" for an empty list.
  command
      .add_option(
          "text",
          [&texts](const CLI::results_t& results) {
            texts = results;
            return true;
          },
          description)
      ->type_name("TEXT")
      ->type_size(1)
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

}  // namespace mlac
