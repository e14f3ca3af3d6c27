// mlac help [COMMAND]: the same text as --help, found by those who type it the other way round.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/man_page.h"

namespace mlac {
namespace {

struct HelpOptions {
  std::vector<std::string> words;
  bool man = false;
};

// The command that the words name, from app downwards.
const CLI::App& FindCommand(const CLI::App& app, const std::vector<std::string>& words) {
  const CLI::App* command = &app;
  for (const std::string& word : words) {
    std::vector<std::string> known;
    const CLI::App* next = nullptr;
    for (const CLI::App* candidate : command->get_subcommands(nullptr)) {
      known.push_back(candidate->get_name());
      if (candidate->get_name() == word) next = candidate;
    }
    if (next == nullptr) throw UsageError(fmt::format("help: there is no command '{}'", word), HintForUnknown(word, known));
    command = next;
  }
  return *command;
}

}  // namespace

void AddHelp(CLI::App& app) {
  auto options = std::make_shared<HelpOptions>();
  CLI::App& command = AddCommand(app, "help", "Show what a command takes, with an example", "mlac help env");
  command.add_option("command", options->words, "The command")->type_name("");
  command.add_flag("--man", options->man, "Print the manual page instead, for man(1)");
  command.callback([options, &app] {
    if (options->man) {
      fmt::print("{}", ManPage(app));
      return;
    }
    const CLI::App& found = FindCommand(app, options->words);
    std::string name = "mlac";
    for (const std::string& word : options->words) name += " " + word;
    fmt::print("{}", found.get_formatter()->make_help(&found, name, CLI::AppFormatMode::Normal));
  });
}

}  // namespace mlac
