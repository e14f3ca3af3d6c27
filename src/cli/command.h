#pragma once
// What the commands share: how one is declared, and the options that are spelt the same everywhere. Only command.cc and command_line.cc include
// CLI11 itself, whose headers and templates take seconds to compile.
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace mlac {

// A command line that asks for something that cannot be, found after parsing (two options that exclude each other): exit status 2.
class UsageError : public std::exception {
 public:
  explicit UsageError(std::string message, std::string hint = "") : message_(std::move(message)), hint_(std::move(hint)) {}
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_, hint_;
};

// There is something to do, and the user asked for a status that says so: exit status 3.
class ChangesPending : public std::exception {
 public:
  const char* what() const noexcept override { return "changes are pending"; }
};

// All went as it should, and what came of it is not good enough for the bounds that were set: exit status 1, as for an error. The line says
// "refused: " before the message.
class Refusal : public std::exception {
 public:
  explicit Refusal(std::string message, std::string hint = "") : message_(std::move(message)), hint_(std::move(hint)) {}
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_, hint_;
};

// An option, a flag or an argument of a command. Like a pointer: a copy stands for the same one, which is there until the program ends.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  // How it is declared. Each returns the option itself.
  Option Required() const;
  Option Type(const std::string& name) const;         // of its value, for the help: "DIR"
  Option ShowDefault() const;                         // the help shows the value that it has now
  Option DefaultText(const std::string& text) const;  // the help shows this instead
  Option Variable(const std::string& name) const;     // of the environment, where the option is not given
  Option OneOf(const std::vector<std::string>& values) const;           // nothing else; the help lists them
  Option OneOfDescribed(const std::vector<std::string>& values) const;  // likewise, where the description has them
  // check: says what is wrong with a value, "" for nothing, and may write the value anew. Runs before the checks that are there already.
  Option Check(std::function<std::string(std::string&)> check) const;
  Option Needs(Option other) const;
  Option Excludes(Option other) const;
  // Of a list: what stands between its values in one argument; that it may be given again; that it takes one value each time.
  Option Delimiter(char delimiter) const;
  Option TakeAll() const;
  Option OneValueEach() const;

  // What was declared. Names are without dashes.
  std::string name() const;  // the first long one, else that of an argument
  const std::vector<std::string>& long_names() const;
  const std::vector<std::string>& short_names() const;
  std::string argument_name() const;  // "" for what is given by an option's name alone
  const std::string& description() const;
  std::string type() const;  // with the values of OneOf behind it: "TEXT:{f32,bf16}"
  std::string default_text() const;
  bool is_flag() const;  // has no value to take
  bool is_hidden() const;

  // What the command line says.
  bool given() const;
  bool is_on() const;         // of a flag that was given
  std::string value() const;  // of an option for one value that was given

 private:
  CLI::Option* option_;
};

// A command, with its options and the commands under it. Like a pointer, too.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  // A command under this one. description: one line without a full stop. example: lines as a user types them.
  Command AddCommand(const std::string& name, const std::string& description, const std::string& example) const;
  // names: "-m,--model", or "model" of an argument by its place, or all of them. value: where the value goes; it outlives the parsing. Of the types
  // that command.cc lists.
  template <typename Value>
  Option AddOption(const std::string& names, Value& value, const std::string& description) const;
  // The same where "" is a value: AddOption leaves an optional without one.
  Option AddTextOption(const std::string& names, std::optional<std::string>& text, const std::string& description) const;
  // Texts as arguments, exactly as given: "[a, b]", "{}" and "" are texts like any other.
  void AddTexts(std::vector<std::string>& texts, const std::string& description) const;
  Option AddFlag(const std::string& names, bool& value, const std::string& description) const;
  // The heading of the help above it that it stands under; else "Commands".
  void Group(const std::string& heading) const;
  void RequireSubcommand() const;
  // What it does.
  void OnRun(std::function<void()> run) const;

  const std::string& name() const;
  std::string description() const;
  std::vector<std::string> example() const;  // its lines
  Command parent() const;                    // of one that has one
  std::vector<Command> commands() const;     // in the order of their declaration, as options()
  std::vector<Option> options() const;
  // path: how the user calls it, "mlac store add".
  std::string Help(const std::string& path) const;

  // name: with its dashes. The first throws for one that the command does not have.
  Option FindOption(const std::string& name) const;
  bool Given(const std::string& name) const;  // also false of one that it does not have
  std::vector<Option> typed() const;          // in that order; one that was typed twice stands twice

 private:
  CLI::App* app_;
};

// What to say of a name that is none of `known`: "did you mean 'x'?" or, if none is near, what there is.
std::string HintForUnknown(const std::string& name, const std::vector<std::string>& known);

// The parts of a list; of nothing none. A delimiter at the end is no part.
std::vector<std::string> Split(const std::string& list, char delimiter);

// What a model argument may be, for its help: FindModel (store_access.h) reads it.
constexpr const char* kModelHelp = "The model: a folder in the Hugging Face layout, or NAME@ALIAS of the store";
void AddModelOption(Command command, std::string& model);      // -m, --model: required
void AddAdapterOption(Command command, std::string& adapter);  // --adapter
void AddThreadsOption(Command command, size_t& num_threads);   // --threads: the number given, or else DefaultNumThreads()
void AddJsonFlag(Command command, bool& json);                 // --json

constexpr const char* kOverwriteHelp = "Replace --out, a model, with all that is in it";

// --dtype and --allow-slow.
struct DtypeOptions {
  std::string dtype = "f32";
  bool allow_slow = false;
  // Throws kUnsupported for bf16 on a processor without bf16 products, unless allow_slow.
  DType Checked() const;
};
void AddDtypeOptions(Command command, DtypeOptions& options);

}  // namespace mlac
