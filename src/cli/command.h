#pragma once
// What the commands share: how one is declared, and the options that are spelt the same everywhere.
#include <cstddef>
#include <exception>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace CLI {
class App;
}

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

// Adds the command `name` under `parent`. description: one line without a full stop. example: lines as a user types them.
CLI::App& AddCommand(CLI::App& parent, const std::string& name, const std::string& description, const std::string& example);

// What to say of a name that is none of `known`: "did you mean 'x'?" or, if none is near, what there is.
std::string HintForUnknown(const std::string& name, const std::vector<std::string>& known);

// What a model argument may be, for its help: FindModel (store_access.h) reads it.
constexpr const char* kModelHelp = "The model: a folder in the Hugging Face layout, or NAME@ALIAS of the store";
void AddModelOption(CLI::App& command, std::string& model);    // -m, --model: required
void AddAdapterOption(CLI::App& command, std::string& adapter);  // --adapter
void AddThreadsOption(CLI::App& command, size_t& num_threads);  // --threads: the number given, or else DefaultNumThreads()
void AddJsonFlag(CLI::App& command, bool& json);                // --json

constexpr const char* kOverwriteHelp = "Replace --out, a model, with all that is in it";

// --dtype and --allow-slow.
struct DtypeOptions {
  std::string dtype = "f32";
  bool allow_slow = false;
  // Throws kUnsupported for bf16 on a processor without bf16 products, unless allow_slow.
  DType Checked() const;
};
void AddDtypeOptions(CLI::App& command, DtypeOptions& options);

// Texts as positional arguments, exactly as given: "[a, b]", "{}" and "" are texts like any other.
void AddTexts(CLI::App& command, std::vector<std::string>& texts, const std::string& description);

}  // namespace mlac
