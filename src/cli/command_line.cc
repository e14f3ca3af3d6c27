#include "cli/command_line.h"

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <string_view>
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

// What people call a task or an option who come from elsewhere, and what it is called here.
struct OtherName {
  std::string_view name, here;
};

constexpr OtherName kOtherTasks[] = {
    {"search", "sentence-similarity"},
    {"semantic-search", "sentence-similarity"},
    {"similarity", "sentence-similarity"},
    {"compare", "sentence-similarity"},
    {"embed", "feature-extraction"},
    {"embedding", "feature-extraction"},
    {"embeddings", "feature-extraction"},
    {"encode", "feature-extraction"},
    {"classify", "text-classification"},
    {"classification", "text-classification"},
    {"sentiment", "text-classification"},
    {"sentiment-analysis", "text-classification"},
    {"rerank", "text-ranking"},
    {"reranking", "text-ranking"},
    {"rank", "text-ranking"},
    {"ner", "token-classification"},
    {"entities", "token-classification"},
    {"qa", "question-answering"},
    {"answer", "question-answering"},
    {"mlm", "fill-mask"},
    {"mask", "fill-mask"},
    {"zero-shot", "zero-shot-classification"},
};

constexpr OtherName kOtherOptions[] = {
    {"--learning-rate", "--lr"},
    {"--learning_rate", "--lr"},
    {"--num-epochs", "--epochs"},
    {"--num-train-epochs", "--epochs"},
    {"--num_train_epochs", "--epochs"},
    {"--per_device_train_batch_size", "--batch-size"},
    {"--output", "--out"},
    {"--output-dir", "--out"},
    {"--output_dir", "--out"},
    {"--train", "--data"},
    {"--train-file", "--data"},
    {"--train_file", "--data"},
    {"--model-name-or-path", "--model"},
    {"--model_name_or_path", "--model"},
    {"--input", "--file"},
    {"--input-file", "--file"},
    {"--fp16", "--dtype"},
    {"--bf16", "--dtype"},
    {"--label-column", "--target-column"},
};

// The name here of what a user called so, if it is one of `known`; else "".
std::string NameHere(std::string_view name, std::span<const OtherName> others, const std::vector<std::string>& known) {
  for (const OtherName& other : others)
    if (other.name == name && std::find(known.begin(), known.end(), other.here) != known.end()) return std::string(other.here);
  return "";
}

std::string HintForTask(const std::string& word, const std::vector<std::string>& tasks) {
  const std::string here = NameHere(word, kOtherTasks, tasks);
  if (here.empty()) return HintForUnknown(word, tasks);
  return fmt::format("did you mean '{}'{}?", here, word.ends_with("search") ? " with --query" : "");
}

// A command that is none: the task of `mlac run` where the word means one.
std::string HintForCommand(const CLI::App& app, const std::string& word, const std::vector<std::string>& commands) {
  const CLI::App* run = nullptr;
  for (const CLI::App* command : app.get_subcommands(nullptr))
    if (app.get_parent() == nullptr && command->get_name() == "run") run = command;
  if (run != nullptr && NearestName(word, commands).empty()) {
    const std::vector<std::string> tasks = CommandNames(*run);
    const bool is_task = std::find(tasks.begin(), tasks.end(), word) != tasks.end();
    const std::string here = is_task ? word : NameHere(word, kOtherTasks, tasks);
    if (!here.empty()) return fmt::format("did you mean 'mlac run {}'?", here);
  }
  return HintForUnknown(word, commands);
}

std::string HintForOption(const CLI::App& command, const std::string& name, const std::string& usual) {
  const std::vector<std::string> flags = FlagNames(command);
  const std::string here = NameHere(name, kOtherOptions, flags);
  if (!here.empty()) return fmt::format("did you mean '{}'?", here);
  if (name == "--device" || name == "--gpu" || name == "--cuda" || name == "--no-cuda")
    return "mlac computes on the processor; there is no device to choose";
  if (const std::string nearest = NearestName(name, flags); !nearest.empty()) return fmt::format("did you mean '{}'?", nearest);
  return name.find(' ') != std::string::npos ? "a text that begins with a dash stands behind '--'" : usual;
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
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  for (const std::string& argument : rest) {
    std::string& first = argument.size() > 1 && argument[0] == '-' ? option : word;
    if (first.empty()) first = Reveal(argument);
  }
  // Whatever else CLI11 then misses, a name that nothing has is the cause: first of a command, then of an option.
  const std::vector<std::string> names = CommandNames(command);
  if (!names.empty()) {
    const bool is_task = command.get_subcommands(nullptr).front()->get_group() == "Tasks";
    const char* kind = is_task ? "task" : "command";
    // "mlac run -m minilm": what stands behind an option is no name of a task.
    const bool begins_with_option =
        is_task && !option.empty() && Reveal(rest.front()) == option && NearestName(option, FlagNames(command)).empty();
    if (begins_with_option && NameHere(word, kOtherTasks, names).empty())
      return Report(fmt::format("{}which task?", place), "it stands first; " + HintForUnknown("", names), kUsage);
    if (!word.empty())
      return Report(fmt::format("{}there is no {} '{}'", place, kind, word),
                    is_task ? HintForTask(word, names) : HintForCommand(command, word, names), kUsage);
    if (option.empty() && dynamic_cast<const CLI::RequiredError*>(&error) != nullptr)
      return Report(fmt::format("{}which {}?", place, kind), HintForUnknown("", names), kUsage);
  }
  // CLI11 gives what stands before a task to the command above it: "mlac run -m minilm sentence-similarity".
  if (const CLI::App* above = command.get_parent();
      above != nullptr && command.get_group() == "Tasks" && !option.empty() && above->remaining_size() > 0)
    return Report(fmt::format("{}: '{}' stands before the task", PathOf(*above), option), fmt::format("'mlac {} {} ...'", path, option),
                  kUsage);
  if (!option.empty()) {
    const std::string name = option.substr(0, option.find('='));
    return Report(fmt::format("{}there is no option '{}'", place, name), HintForOption(command, name, help), kUsage);
  }
  if (!word.empty()) return Report(fmt::format("{}'{}' is one argument too many", place, word), help, kUsage);
  std::string message = Reveal(error.what());
  // Only numbers can fail to convert: "Could not convert: --seed = x".
  constexpr std::string_view kConversion = "Could not convert: ", kEquals = " = ";
  if (const size_t equals = message.find(kEquals); message.starts_with(kConversion) && equals != std::string::npos)
    message = fmt::format("{}: expected a number, found '{}'", message.substr(kConversion.size(), equals - kConversion.size()),
                          message.substr(equals + kEquals.size()));
  // "--epochs: At Most 1 required but received 2".
  constexpr std::string_view kTwice = ": At Most 1 required but received ";
  if (const size_t twice = message.find(kTwice); twice != std::string::npos)
    message = fmt::format("{} was given {} times; expected once", message.substr(0, twice), message.substr(twice + kTwice.size()));
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
  } catch (const Refusal& refusal) {
    return Report("refused: " + refusal.message(), refusal.hint(), kFailed);
  } catch (const ChangesPending&) {
    return kChangesPending;
  } catch (const Error& error) {
    return Report(error.message(), error.hint(), KindOf(error.code()).exit_status);
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

int RunCommandLine(int argc, char** argv, void (*add_commands)(Command)) {
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
  add_commands(Command(&app));
  RevealValues(app);

  std::vector<std::string> arguments = HideArguments(argc, argv);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
  return FinishOutput(ParseAndRun(app, std::move(arguments)));
}

}  // namespace mlac
