// mlac help [COMMAND]: the same text as --help, found by those who type it the other way round.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <optional>

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
Command FindCommand(Command app, const std::vector<std::string>& words) {
  Command command = app;
  for (const std::string& word : words) {
    std::vector<std::string> known;
    std::optional<Command> next;
    for (const Command candidate : command.commands()) {
      known.push_back(candidate.name());
      if (candidate.name() == word) next = candidate;
    }
    if (!next) throw UsageError(fmt::format("help: there is no command '{}'", word), HintForUnknown(word, known));
    command = *next;
  }
  return command;
}

}  // namespace

void AddHelp(Command app) {
  auto options = std::make_shared<HelpOptions>();
  const Command command = app.AddCommand("help", "Show what a command takes, with an example", "mlac help env");
  command.AddOption("command", options->words, "The command").Type("");
  command.AddFlag("--man", options->man, "Print the manual page instead, for man(1)");
  command.AddFlag("--mlac-yaml", options->reference, "Print the reference of mlac.yaml instead, as Markdown");
  command.AddFlag("--mlac-yaml-schema", options->schema, "Print the JSON schema of mlac.yaml instead, for editors");
  command.AddFlag("--tests-schema", options->tests_schema, "Print the JSON schema of the tests of a model instead");
  command.OnRun([options, app] {
    if (options->reference || options->schema || options->tests_schema) {
      fmt::print("{}", options->reference ? ProjectReferenceMarkdown() : options->schema ? ProjectSchemaJson() : ModelTestsSchemaJson());
      return;
    }
    if (options->man) {
      fmt::print("{}", ManPage(app));
      return;
    }
    std::string name = "mlac";
    for (const std::string& word : options->words) name += " " + word;
    fmt::print("{}", FindCommand(app, options->words).Help(name));
  });
}

}  // namespace mlac
