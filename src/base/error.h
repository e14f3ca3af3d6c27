#pragma once
// The one exception type of mlac. It is thrown where the fault is seen and caught in cli/ and http/ only.
#include <exception>
#include <string>
#include <string_view>

namespace mlac {

enum class ErrorCode {
  kInvalidArgument,    // the caller asked for something that cannot be: an option's value, a field of a request
  kInvalidInput,       // a file or a body is broken or says something impossible
  kNotFound,           // a file, model, column or route does not exist
  kAlreadyExists,      // the output is there already
  kUnsupported,        // well formed, but nothing that mlac can do
  kTooLarge,           // above a limit that was set
  kResourceExhausted,  // no room now: queue full, out of memory, disk full
  kIo,                 // the system refused to read or write
  kCancelled,          // interrupted by the user
  kInternal,           // our own mistake
};

struct ErrorKind {
  std::string_view name;  // as in JSON: "invalid_argument"
  int exit_status;
  int http_status;
};

// The one table from code to exit status and HTTP status.
const ErrorKind& KindOf(ErrorCode code);

// message: where, expected and found, one line. hint: what to do about it, may be empty.
class Error : public std::exception {
 public:
  explicit Error(ErrorCode code, std::string message, std::string hint = "");

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  // Message and hint in one line: "message (hint)".
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_, hint_, what_;
};

}  // namespace mlac
