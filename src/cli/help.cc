// mlac help [COMMAND]: the same text as --help, found by those who type it the other way round.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/commands.h"
#include "cli/man_page.h"
#include "project/reference.h"

namespace mlac {
namespace {

struct HelpOptions {
  std::vector<std::string> words;
  bool man = false, reference = false, schema = false, tests_schema = false;
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
  command.add_flag("--mlac-yaml", options->reference, "Print the reference of mlac.yaml instead, as Markdown");
  command.add_flag("--mlac-yaml-schema", options->schema, "Print the JSON schema of mlac.yaml instead, for editors");
  command.add_flag("--tests-schema", options->tests_schema, "Print the JSON schema of the tests of a model instead");
  command.callback([options, &app] {
    if (options->reference || options->schema || options->tests_schema) {
      fmt::print("{}", options->reference ? ProjectReferenceMarkdown() : options->schema ? ProjectSchemaJson() : ModelTestsSchemaJson());
      return;
    }
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
