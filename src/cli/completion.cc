// mlac completion bash|zsh|fish: completion scripts, made from the commands and options that this very program has.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/commands.h"

namespace mlac {
namespace {

struct Candidate {
  std::string word, description;
  bool takes_value = false;                   // an option, behind which its value stands
  std::vector<std::string> values = {};       // the only ones that it takes; none: files, or what nobody can guess
  std::vector<std::string> short_names = {};  // "-m" of "--model"
};

// What may follow one command: its subcommands, its options, and the fixed values of its arguments.
struct CommandWords {
  std::string path;  // "" for mlac itself, " run" for "mlac run": each word with a blank before it
  std::vector<Candidate> words;
  bool takes_files;  // any other argument is, or may be, a file
};

// The values that a check for one of a set allows: CLI11 writes them into the type's name, "TEXT:{bash,zsh,fish}".
std::vector<std::string> FixedValues(Option option) {
  const std::string type = option.type();
  const size_t open = type.find('{'), close = type.rfind('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return Split(type.substr(open + 1, close - open - 1), ',');
}

std::vector<Candidate> CommandsOf(Command app) {
  std::vector<Candidate> commands;
  for (const Command command : app.commands()) commands.push_back({.word = command.name(), .description = command.description()});
  return commands;
}

void Collect(Command app, const std::string& path, std::vector<CommandWords>& out) {
  CommandWords found{.path = path, .words = CommandsOf(app), .takes_files = false};
  for (const Option option : app.options()) {
    if (option.is_hidden()) continue;
    const std::vector<std::string> values = FixedValues(option);
    const bool takes_value = !option.is_flag();
    Candidate candidate{.word = "", .description = option.description(), .takes_value = takes_value, .values = values};
    for (const std::string& name : option.short_names()) candidate.short_names.push_back("-" + name);
    for (const std::string& name : option.long_names()) {
      candidate.word = "--" + name;
      found.words.push_back(candidate);
    }
    if (candidate.word.empty())  // an argument by its place
      for (const std::string& value : values) found.words.push_back({.word = value, .description = option.description()});
    if (takes_value && values.empty()) found.takes_files = true;
  }
  if (path == " help")
    for (Candidate& command : CommandsOf(app.parent())) found.words.push_back(std::move(command));
  out.push_back(std::move(found));
  if (path == " help")
    for (const Command command : app.parent().commands())
      if (std::vector<Candidate> tasks = CommandsOf(command); !tasks.empty())
        out.push_back({.path = path + " " + command.name(), .words = std::move(tasks), .takes_files = false});
  for (const Command command : app.commands()) Collect(command, path + " " + command.name(), out);
}

// In single quotes, for a shell's script.
std::string ScriptQuoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// The pattern of a case over "$path $word" that is true where the word goes one command deeper.
std::string DeeperPattern(const std::vector<CommandWords>& commands) {
  std::string pattern;
  for (const CommandWords& command : commands)
    if (!command.path.empty()) pattern += (pattern.empty() ? "" : " | ") + ScriptQuoted(command.path);
  return pattern;
}

// Arms of a case over "$path $option" for the options that a value follows: make gives what is done for one, by its values.
template <typename Make>
std::string ValueArms(const std::vector<CommandWords>& commands, const char* open, const Make& make) {
  std::string arms;
  for (const CommandWords& command : commands)
    for (const Candidate& candidate : command.words) {
      if (!candidate.takes_value) continue;
      std::string pattern = ScriptQuoted(command.path + " " + candidate.word);
      for (const std::string& name : candidate.short_names) pattern += " | " + ScriptQuoted(command.path + " " + name);
      arms += fmt::format("    {}{}) {} ;;\n", open, pattern, make(candidate));
    }
  return arms;
}

std::string BashScript(const std::vector<CommandWords>& commands) {
  std::string out =
      "# bash completion of mlac: source <(mlac completion bash)\n"
      "_mlac() {\n"
      "  local path='' words='' current=${COMP_WORDS[COMP_CWORD]} i\n"
      "  COMPREPLY=()\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    case \"$path ${COMP_WORDS[i]}\" in\n";
  out += fmt::format("      {}) path+=\" ${{COMP_WORDS[i]}}\" ;;\n", DeeperPattern(commands));
  out +=
      "    esac\n"
      "  done\n"
      "  case \"$path\" in\n";
  for (const CommandWords& command : commands) {
    std::string words;
    for (const Candidate& candidate : command.words) words += (words.empty() ? "" : " ") + candidate.word;
    out += fmt::format("    {}) words={} ;;\n", ScriptQuoted(command.path), ScriptQuoted(words));
  }
  out +=
      "  esac\n"
      "  case \"$path ${COMP_WORDS[COMP_CWORD - 1]}\" in\n";  // without words bash goes on to names of files
  out += ValueArms(commands, "", [](const Candidate& option) {
    return fmt::format("words={}", ScriptQuoted(fmt::format("{}", fmt::join(option.values, " "))));
  });
  out +=
      "  esac\n"
      "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "}\n"
      "complete -o default -F _mlac mlac\n";
  return out;
}

std::string ZshScript(const std::vector<CommandWords>& commands) {
  std::string out =
      "#compdef mlac\n"
      "# zsh completion of mlac: source <(mlac completion zsh), or this file as _mlac in a folder of $fpath\n"
      "_mlac() {\n"
      "  local at='' word\n"
      "  local -a candidates\n"
      "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
      "    case \"$at $word\" in\n";
  out += fmt::format("      ({}) at+=\" $word\" ;;\n", DeeperPattern(commands));
  out +=
      "    esac\n"
      "  done\n"
      "  case \"$at\" in\n";
  for (const CommandWords& command : commands) {
    out += fmt::format("    ({}) candidates=(", ScriptQuoted(command.path));
    for (const Candidate& candidate : command.words) {
      // _describe takes "word:description"; a colon in the word would end it.
      std::string word;
      for (const char c : candidate.word) word += c == ':' ? std::string("\\:") : std::string(1, c);
      out += "\n        " + ScriptQuoted(word + ":" + candidate.description);
    }
    out += fmt::format(") ;;\n");
  }
  out +=
      "  esac\n"
      "  case \"$at ${words[CURRENT-1]}\" in\n";
  out += ValueArms(commands, "(", [](const Candidate& option) {
    return option.values.empty() ? std::string("_files; return") : fmt::format("compadd {}; return", fmt::join(option.values, " "));
  });
  out +=
      "  esac\n"
      "  _describe mlac candidates\n"
      "  [[ $PREFIX == -* || -z $at ]] || _files\n"
      "}\n"
      "if [[ $funcstack[1] == _mlac ]]; then _mlac \"$@\"; else compdef _mlac mlac; fi\n";
  return out;
}

std::string FishScript(const std::vector<CommandWords>& commands) {
  std::string out = "# fish completion of mlac: mlac completion fish | source\n";
  for (const CommandWords& command : commands) {
    std::string condition = "__fish_use_subcommand";
    if (!command.path.empty()) {
      condition.clear();
      for (const std::string& word : Split(command.path.substr(1), ' '))
        condition += (condition.empty() ? "" : "; and ") + std::string("__fish_seen_subcommand_from ") + word;
    }
    for (const Candidate& candidate : command.words) {
      const bool is_option = candidate.word.starts_with("--");
      if (candidate.takes_value) {
        std::string names = "-l " + candidate.word.substr(2);
        for (const std::string& name : candidate.short_names) names += " -s " + name.substr(1);
        if (!candidate.values.empty()) names += " -f -a " + ScriptQuoted(fmt::format("{}", fmt::join(candidate.values, " ")));
        out += fmt::format("complete -c mlac -n {} {} -r -d {}\n", ScriptQuoted(condition), names, ScriptQuoted(candidate.description));
        continue;
      }
      out += fmt::format("complete -c mlac -n {} {} {} -d {}{}\n", ScriptQuoted(condition), is_option ? "-l" : "-a",
                         is_option ? candidate.word.substr(2) : candidate.word, ScriptQuoted(candidate.description),
                         command.takes_files ? "" : " -f");
    }
  }
  return out;
}

}  // namespace

void AddCompletion(Command app) {
  auto shell = std::make_shared<std::string>();
  const Command command = app.AddCommand("completion", "Print a script that completes commands and options in a shell",
                                         "source <(mlac completion bash)       # also zsh; for good: add the line to ~/.bashrc\n"
                                         "mlac completion fish | source");
  command.AddOption("shell", *shell, "The shell").Required().OneOf({"bash", "zsh", "fish"}).Type("");
  command.OnRun([shell, app] {
    std::vector<CommandWords> commands;
    Collect(app, "", commands);
    fmt::print("{}", *shell == "bash" ? BashScript(commands) : *shell == "zsh" ? ZshScript(commands) : FishScript(commands));
  });
}

}  // namespace mlac
