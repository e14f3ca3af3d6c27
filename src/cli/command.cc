#include "cli/command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/nearest_name.h"
#include "base/thread_team.h"
#include "cli/number_options.h"
#include "kernels/instruction_set.h"

namespace mlac {

Option Option::Required() const { return Option(option_->required()); }

Option Option::Type(const std::string& name) const { return Option(option_->type_name(name)); }

Option Option::ShowDefault() const { return Option(option_->capture_default_str()); }

Option Option::DefaultText(const std::string& text) const { return Option(option_->default_str(text)); }

Option Option::Variable(const std::string& name) const { return Option(option_->envname(name)); }

Option Option::OneOf(const std::vector<std::string>& values) const { return Option(option_->check(CLI::IsMember(values))); }

Option Option::OneOfDescribed(const std::vector<std::string>& values) const {
  return Option(option_->check(CLI::IsMember(values).description("")));
}

Option Option::Check(std::function<std::string(std::string&)> check) const {
  return Option(option_->transform(CLI::Validator(std::move(check), "")));
}

Option Option::Needs(Option other) const { return Option(option_->needs(other.option_)); }

Option Option::Excludes(Option other) const { return Option(option_->excludes(other.option_)); }

Option Option::Delimiter(char delimiter) const { return Option(option_->delimiter(delimiter)); }

Option Option::TakeAll() const { return Option(option_->take_all()); }

Option Option::OneValueEach() const { return Option(option_->allow_extra_args(false)); }

std::string Option::name() const { return option_->get_single_name(); }

const std::vector<std::string>& Option::long_names() const { return option_->get_lnames(); }

const std::vector<std::string>& Option::short_names() const { return option_->get_snames(); }

std::string Option::argument_name() const { return option_->get_name(/*positional=*/true); }

const std::string& Option::description() const { return option_->get_description(); }

std::string Option::type() const { return option_->get_type_name(); }

std::string Option::default_text() const { return option_->get_default_str(); }

bool Option::is_flag() const { return option_->get_items_expected_max() == 0; }

bool Option::is_hidden() const { return option_->get_group().empty(); }

bool Option::given() const { return !option_->empty(); }

bool Option::is_on() const { return option_->as<bool>(); }

std::string Option::value() const { return option_->as<std::string>(); }

Command Command::AddCommand(const std::string& name, const std::string& description, const std::string& example) const {
  CLI::App* command = app_->add_subcommand(name, description);
  command->group("Commands");
  std::string footer = "Example:";
  for (const std::string& line : Split(example, '\n')) footer += "\n  " + line;
  command->footer(footer);
  return Command(command);
}

template <typename Value>
Option Command::AddOption(const std::string& names, Value& value, const std::string& description) const {
  return Option(app_->add_option(names, value, description));
}

template Option Command::AddOption(const std::string&, std::string&, const std::string&) const;
template Option Command::AddOption(const std::string&, std::optional<std::string>&, const std::string&) const;
template Option Command::AddOption(const std::string&, std::vector<std::string>&, const std::string&) const;
template Option Command::AddOption(const std::string&, size_t&, const std::string&) const;  // and uint64_t, which is the same type
template Option Command::AddOption(const std::string&, std::optional<size_t>&, const std::string&) const;
template Option Command::AddOption(const std::string&, std::vector<size_t>&, const std::string&) const;
template Option Command::AddOption(const std::string&, int&, const std::string&) const;
template Option Command::AddOption(const std::string&, double&, const std::string&) const;
template Option Command::AddOption(const std::string&, std::optional<double>&, const std::string&) const;

Option Command::AddTextOption(const std::string& names, std::optional<std::string>& text, const std::string& description) const {
  return Option(app_->add_option_function<std::string>(names, [&text](const std::string& given) { text = given; }, description));
}

void Command::AddTexts(std::vector<std::string>& texts, const std::string& description) const {
  // The raw results: CLI11's conversion to a vector takes the text "{}" for an empty list.
  const auto take = [&texts](const CLI::results_t& results) {
    texts = results;
    return true;
  };
  app_->add_option("text", take, description)
      ->type_name("TEXT")
      ->type_size(1)
      ->expected(0, CLI::detail::expected_max_vector_size)
      ->allow_extra_args()
      ->take_all();
}

Option Command::AddFlag(const std::string& names, bool& value, const std::string& description) const {
  return Option(app_->add_flag(names, value, description));
}

void Command::Group(const std::string& heading) const { app_->group(heading); }

void Command::RequireSubcommand() const { app_->require_subcommand(1); }

void Command::OnRun(std::function<void()> run) const { app_->callback(std::move(run)); }

const std::string& Command::name() const { return app_->get_name(); }

std::string Command::description() const { return app_->get_description(); }

std::vector<std::string> Command::example() const {
  std::vector<std::string> lines = Split(app_->get_footer(), '\n');
  if (!lines.empty()) lines.erase(lines.begin());  // "Example:"
  return lines;
}

Command Command::parent() const { return Command(app_->get_parent()); }

std::vector<Command> Command::commands() const {
  std::vector<Command> commands;
  for (CLI::App* command : app_->get_subcommands(nullptr)) commands.emplace_back(command);
  return commands;
}

std::vector<Option> Command::options() const {
  std::vector<Option> options;
  for (CLI::Option* option : app_->get_options()) options.emplace_back(option);
  return options;
}

std::string Command::Help(const std::string& path) const {
  return app_->get_formatter()->make_help(app_, path, CLI::AppFormatMode::Normal);
}

Option Command::FindOption(const std::string& name) const { return Option(app_->get_option(name)); }

bool Command::Given(const std::string& name) const {
  const CLI::Option* option = app_->get_option_no_throw(name);
  return option != nullptr && !option->empty();
}

std::vector<Option> Command::typed() const {
  std::vector<Option> options;
  for (CLI::Option* option : app_->parse_order()) options.emplace_back(option);
  return options;
}

std::string HintForUnknown(const std::string& name, const std::vector<std::string>& known) {
  const std::string nearest = NearestName(name, known);
  return nearest.empty() ? fmt::format("there are {}", fmt::join(known, ", ")) : fmt::format("did you mean '{}'?", nearest);
}

std::vector<std::string> Split(const std::string& list, char delimiter) {
  std::vector<std::string> parts;
  std::istringstream rest(list);
  for (std::string part; std::getline(rest, part, delimiter);) parts.push_back(part);
  return parts;
}

void AddModelOption(Command command, std::string& model) {
  command.AddOption("-m,--model", model, kModelHelp).Required().Type("DIR");
}

void AddAdapterOption(Command command, std::string& adapter) {
  command.AddOption("--adapter", adapter, "An adapter over the model: a folder as 'mlac train --lora' or PEFT writes it").Type("DIR");
}

void AddThreadsOption(Command command, size_t& num_threads) {
  static const size_t default_num_threads = DefaultNumThreads();  // it reads files of the system, and each command has this option
  num_threads = default_num_threads;
  const Option threads =
      command.AddOption("--threads", num_threads, "Threads to compute with; else OMP_NUM_THREADS, else the cores that may be used");
  WholeNumber(threads.Type("N"), 1, 1024);
}

void AddJsonFlag(Command command, bool& json) { command.AddFlag("--json", json, "Print the result as JSON"); }

DType DtypeOptions::Checked() const {
  if (dtype == "f32") return DType::kF32;
  if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone && !allow_slow)
    throw Error(ErrorCode::kUnsupported, "--dtype bf16: this processor multiplies no bf16 (AMX or AVX512-BF16), so it would not be faster",
                "--allow-slow computes it all the same, rounded to bf16 and multiplied in f32");
  return DType::kBF16;
}

void AddDtypeOptions(Command command, DtypeOptions& options) {
  command.AddOption("--dtype", options.dtype, "What matrix products are computed in; bf16 is faster and less exact")
      .OneOf({"f32", "bf16"})
      .ShowDefault();
  command.AddFlag("--allow-slow", options.allow_slow, "Compute bf16 where the processor has no instructions for it");
}

}  // namespace mlac
