#include "http/message.h"

namespace mlac {
namespace {

ErrorCode CodeOf(int status) {
  switch (status) {
    case 404: return ErrorCode::kNotFound;
    case 413: return ErrorCode::kTooLarge;
    case 422: return ErrorCode::kUnsupported;
    case 429:
    case 503: return ErrorCode::kResourceExhausted;
    default: return status < 500 ? ErrorCode::kInvalidInput : ErrorCode::kInternal;
  }
}

std::string_view ReasonOf(int status) {
  switch (status) {
    case 400: return "bad_request";
    case 401: return "no_valid_key";
    case 403: return "wrong_host";
    case 404: return "not_found";
    case 405: return "wrong_method";
    case 408: return "too_slow";
    case 409: return "conflict";
    case 413: return "too_large";
    case 415: return "wrong_content_type";
    case 422: return "bad_field";
    case 429: return "overloaded";
    case 431: return "head_too_large";
    case 501: return "unknown_method";
    case 503: return "unavailable";
    case 507: return "no_memory_for_model";
    default: return status < 500 ? "refused" : "internal";
  }
}

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

}  // namespace

HttpError::HttpError(int status, std::string message, std::string field, std::string hint)
    : Error(CodeOf(status), std::move(message), std::move(hint)), status_(status), field_(std::move(field)), reason_(ReasonOf(status)) {}

HttpError HttpError::Because(std::string_view reason) && {
  reason_ = reason;
  return std::move(*this);
}

std::string_view HttpRequest::Field(std::string_view name) const {
  for (const HttpField& field : fields)
    if (EqualsIgnoringCase(field.name, name)) return field.value;
  return {};
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (ToLower(a[i]) != ToLower(b[i])) return false;
  return true;
}

std::string_view TrimBlanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::string_view StatusPhrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 424: return "Failed Dependency";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
  }
}

}  // namespace mlac
