#include "cli/command_line.h"

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "base/build_info.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "cli/bus_error.h"
#include "cli/command.h"
#include "cli/terminal.h"

namespace mlac {
namespace {

constexpr int kFailed = 1, kUsage = 2, kChangesPending = 3;

int Report(std::string_view message, std::string_view hint, int status) {
  std::string text = Colored(Stream::kError, Color::kRed, "mlac:") + fmt::format(" {}\n", message);
  if (!hint.empty()) text += fmt::format("hint: {}\n", hint);
  std::fflush(stdout);
  std::fwrite(text.data(), 1, text.size(), stderr);
  return status;
}

// The command that the user has reached: "mlac train x --y" is at train.
const CLI::App& Innermost(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : Innermost(*parsed.front());
}

std::vector<std::string> CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> FlagNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

// "train text-classification" for that command; "" for mlac itself.
std::string PathOf(const CLI::App& command) {
  if (command.get_parent() == nullptr) return "";
  const std::string before = PathOf(*command.get_parent());
  return before.empty() ? command.get_name() : before + " " + command.get_name();
}

// Two habits of CLI11 would change texts: a value in brackets is read as a list where several values may stand, so that "[CLS]" loses its
// brackets, and behind "--" only as many arguments count as positional as must stand. A NUL, which no argument can hold, hides both: behind
// a closing bracket, and before a dash. Every option takes it off again before anything else sees the value.
std::vector<std::string> HideArguments(int argc, char** argv) {
  std::vector<std::string> hidden;
  bool positional_only = false;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (!positional_only && argument == "--") {
      positional_only = true;
      continue;
    }
    if (argument.ends_with(']')) argument += '\0';
    if (positional_only && argument.starts_with('-')) argument.insert(0, 1, '\0');
    hidden.push_back(std::move(argument));
  }
  return hidden;
}

std::string Reveal(std::string argument) {
  std::erase(argument, '\0');
  return argument;
}

void RevealValues(CLI::App& app) {
  const CLI::Validator reveal(
      [](std::string& value) {
        value = Reveal(value);
        return std::string();
      },
      "");
  for (CLI::Option* option : app.get_options())
    if (option->get_type_size() > 0) option->transform(reveal);
  for (CLI::App* command : app.get_subcommands(nullptr)) RevealValues(*command);
}

// "--port: ..." as "MLAC_PORT: ..." where the value came from the environment: the user typed no such option.
std::string NameTheVariable(const CLI::App& command, std::string message) {
  const std::string name = message.substr(0, message.find(':'));
  const CLI::Option* option = name.starts_with("--") ? command.get_option_no_throw(name) : nullptr;
  if (option == nullptr || option->get_envname().empty()) return message;
  const std::vector<CLI::Option*> typed = command.parse_order();
  if (std::find(typed.begin(), typed.end(), option) != typed.end()) return message;
  return option->get_envname() + message.substr(name.size());
}

int ReportUsage(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = Innermost(app);
  const std::string path = PathOf(command), place = path.empty() ? "" : path + ": ";
  const std::string help = path.empty() ? "'mlac --help' lists what there is" : fmt::format("'mlac help {}' shows what it takes", path);
  std::string option, word;  // the first of each that nothing took
  for (const std::string& argument : app.remaining(/*recurse=*/true)) {
    std::string& first = argument.size() > 1 && argument[0] == '-' ? option : word;
    if (first.empty()) first = Reveal(argument);
  }
  // Whatever else CLI11 then misses, a name that nothing has is the cause: first of a command, then of an option.
  const std::vector<std::string> names = CommandNames(command);
  if (!names.empty()) {
    const char* kind = command.get_subcommands(nullptr).front()->get_group() == "Tasks" ? "task" : "command";
    if (!word.empty()) return Report(fmt::format("{}there is no {} '{}'", place, kind, word), HintForUnknown(word, names), kUsage);
    if (option.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
      return Report(fmt::format("{}which {}?", place, kind), HintForUnknown("", names), kUsage);
  }
  if (!option.empty()) {
    const std::string name = option.substr(0, option.find('='));
    const std::string nearest = NearestName(name, FlagNames(command));
    const std::string hint = !nearest.empty()                        ? fmt::format("did you mean '{}'?", nearest)
                             : name.find(' ') != std::string::npos ? "a text that begins with a dash stands behind '--'"
                                                                     : help;
    return Report(fmt::format("{}there is no option '{}'", place, name), hint, kUsage);
  }
  if (!word.empty()) return Report(fmt::format("{}'{}' is one argument too many", place, word), help, kUsage);
  std::string message = Reveal(error.what());
  // Only numbers can fail to convert: "Could not convert: --seed = x".
  constexpr std::string_view kConversion = "Could not convert: ", kEquals = " = ";
  if (const size_t equals = message.find(kEquals); message.starts_with(kConversion) && equals != std::string::npos)
    message = fmt::format("{}: expected a number, found '{}'", message.substr(kConversion.size(), equals - kConversion.size()),
                          message.substr(equals + kEquals.size()));
  return Report(place + NameTheVariable(command, std::move(message)), help, kUsage);
}

// What was printed must have arrived: a full disk behind a redirection is an error.
int FinishOutput(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  if (errno == EPIPE) return status;
  return Report(fmt::format("standard output: cannot write: {}", std::strerror(errno)), "", kFailed);
}

int ParseAndRun(CLI::App& app, std::vector<std::string> arguments) {
  try {
    app.parse(std::move(arguments));
    if (app.get_subcommands().empty()) fmt::print("{}", app.help());
  } catch (const CLI::CallForVersion&) {
    fmt::print("mlac {}\n", GetBuildInfo().version);
  } catch (const CLI::Success&) {
    fmt::print("{}", app.help());
  } catch (const CLI::ParseError& error) {
    return ReportUsage(app, error);
  } catch (const UsageError& error) {
    return Report(error.message(), error.hint(), kUsage);
  } catch (const ChangesPending&) {
    return kChangesPending;
  } catch (const Error& error) {
    return Report(error.message(), error.hint(), Kind(error.code()).exit_status);
  } catch (const std::bad_alloc&) {
    return Report("out of memory", "'mlac inspect' says what a model needs; 'mlac env' what there is", kFailed);
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::broken_pipe) return 0;
    return Report(error.what(), "", kFailed);
  } catch (const std::exception& error) {
    return Report(fmt::format("a fault of mlac itself: {}", error.what()), "please report it, with what 'mlac env' prints", kFailed);
  }
  return 0;
}

}  // namespace

int RunCommandLine(int argc, char** argv, void (*add_commands)(CLI::App&)) {
  signal(SIGPIPE, SIG_DFL);  // a parent may have had it ignored
  signal(SIGXFSZ, SIG_IGN);  // a file above `ulimit -f` is an error of write, said in one line
  CatchBusErrors();
  CLI::App app("mlac: fine-tune, run and serve Transformers, natively.", "mlac");
  app.set_version_flag("--version", std::string(), "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(0, 1);
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("OPTIONS", "options");
  app.get_formatter()->label("REQUIRED", "(required)");
  app.get_formatter()->label("SUBCOMMAND", "command");
  app.footer("'mlac help COMMAND' shows a command with an example.");
  add_commands(app);
  RevealValues(app);

  std::vector<std::string> arguments = HideArguments(argc, argv);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  return FinishOutput(ParseAndRun(app, std::move(arguments)));
}

}  // namespace mlac
