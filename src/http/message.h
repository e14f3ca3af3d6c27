#pragma once
// Requests and answers as handlers see them, and the error that turns into an answer.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mlac {

struct HttpField {
  std::string name, value;
};

struct HttpRequest {
  std::string id;  // x-request-id: the client's own, if sane, else made by the server
  std::string method;
  std::string path;                     // percent-decoded once, without the query
  std::string query;                    // as sent, without '?'
  std::vector<std::string> parameters;  // what the braces of the route's pattern stood for, decoded, in order
  std::vector<HttpField> fields;
  std::string body;  // chunks are joined

  // The value of the first field of this name (compared without case), "" if there is none.
  std::string_view Field(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = "";
  std::vector<HttpField> fields = {};  // beyond content-type, content-length, date and x-request-id; names in small letters
  // For the access log, passed through as they are: {"tokens", "21"}. Never text of a client, never keys.
  std::vector<HttpField> notes = {};
};

// A request that is refused. Each protocol writes it in its own form (HttpServerOptions::format_error).
class HttpError : public Error {
 public:
  // field: which field of the request is at fault, "" if none.
  HttpError(int status, std::string message, std::string field = "", std::string hint = "");

  int status() const { return status_; }
  const std::string& field() const { return field_; }
  std::vector<HttpField> fields;  // of the answer: {"retry-after", "1"}

  // For the access log, as HttpResponse::notes. reason: one of a few fixed words, "too_long"; it is what the status says unless Because
  // says more.
  std::string_view reason() const { return reason_; }
  std::vector<HttpField> notes;
  // The same error, with this reason: `throw HttpError(...).Because("too_long")`. reason: a literal, never text of a client.
  HttpError Because(std::string_view reason) &&;

 private:
  int status_;
  std::string field_;
  std::string_view reason_;
};

// Whether two names of fields are the same; ASCII letters are compared without case.
bool EqualsIgnoringCase(std::string_view a, std::string_view b);
// text without spaces and tabs at its ends.
std::string_view TrimBlanks(std::string_view text);
// The standard phrase of a status, "Unknown" for one that has none.
std::string_view StatusPhrase(int status);

}  // namespace mlac
