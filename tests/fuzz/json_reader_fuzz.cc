// Any bytes as the JSON body of a request: read and skipped alike, and JSON exactly where nlohmann's parser says so, but for what the
// reader alone refuses.
// Reader: src/serve/json_reader.cc src/serve/json_scanner.cc
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "serve/json_reader.h"

namespace {

using namespace mlac;

template <typename Action>
void RefusesField(Action action) {
  try {
    action();
    abort();
  } catch (const HttpError& error) {
    if (error.status() != 422) abort();
  }
}

// Asks for what the value is not, which leaves it unread.
void ReadWrongly(JsonValue& value) {
  if (value.kind() != JsonValue::Kind::kObject) RefusesField([&] { value.ForEachField([](std::string_view, JsonValue&) {}); });
  if (value.kind() != JsonValue::Kind::kBool) RefusesField([&] { value.Bool(); });
  if (value.kind() != JsonValue::Kind::kNumber) RefusesField([&] { value.Integer(0, 1); });
  if (value.kind() != JsonValue::Kind::kString) RefusesField([&] { value.Choice({"one", "two"}); });
}

// Reads every value in the way of its kind, numbers of lists by AppendIntegers, texts under "choice" as one of three.
void Read(JsonValue& value, bool is_item) {
  if (!is_item) ReadWrongly(value);
  switch (value.kind()) {
    case JsonValue::Kind::kObject: return value.ForEachField([](std::string_view, JsonValue& field) { Read(field, false); });
    case JsonValue::Kind::kArray: return value.ForEachItem([](JsonValue& item) { Read(item, true); });
    case JsonValue::Kind::kString:
      if (value.path() != "choice") {
        value.String();
        return;
      }
      break;
    case JsonValue::Kind::kBool: value.Bool(); return;
    case JsonValue::Kind::kNull: return;
    case JsonValue::Kind::kNumber: break;
  }
  try {
    std::vector<int64_t> integers;
    if (value.kind() == JsonValue::Kind::kString) {
      value.Choice({"one", "two", "three"});
    } else {
      is_item ? value.AppendIntegers(INT64_MIN, INT64_MAX, integers) : void(value.Integer(INT64_MIN, INT64_MAX));
    }
  } catch (const HttpError& error) {  // no integer, or another choice
    if (error.status() == 400) throw;
  }
}

std::string Fault(const std::string& text, bool reads) {
  try {
    if (reads) {
      JsonReader(std::string(text), 422).ReadObject([&](std::string_view, JsonValue& value) { Read(value, false); });
    } else {
      JsonReader(text, 422).ReadObject([&](std::string_view, JsonValue&) {});
    }
    return "";
  } catch (const HttpError& error) {
    if (error.status() != 400 || error.message().find('\n') != std::string::npos) abort();
    return error.message();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size), fault = Fault(text, false);
  if (Fault(text, true) != fault) abort();
  const auto has = [&](const char* what) { return fault.find(what) != std::string::npos; };
  if (has("stands twice") || has("nested deeper") || has("more than") || has("byte order mark") || has("must be a JSON object")) return 0;
  if (text.find('\0') != std::string::npos) return 0;  // for the other a text ends there
  // An integer beyond 64 bits is a double for the other.
  if (has("out of range") && std::count_if(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; }) >= 19) return 0;
  if (nlohmann::json::accept(text) != fault.empty()) abort();
  return 0;
}
