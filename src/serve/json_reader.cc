#include "serve/json_reader.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/utf8.h"

namespace mlac {

namespace ondemand = simdjson::ondemand;

namespace {

// A step from a value into one inside it: the name of a field, or the index of an item.
struct PathStep {
  std::string_view name = {};  // null: an item
  size_t index = 0;
};

}  // namespace

struct JsonReader::Impl {
  std::string text;  // with simdjson's padding behind size bytes
  size_t size;
  int field_status;
  size_t max_keys;
  ondemand::parser parser;
  ondemand::document document;
  std::vector<PathStep> path;  // made into text where an error needs it: a body of 10^6 numbers has 10^6 places
  size_t depth = 0, num_keys = 0;
  // Strings without their escapes, one behind the other. simdjson 3.0 has room of its own for them (ondemand::parser::allocate), but does not
  // look whether it got it, and writes through a null pointer where memory is short.
  std::unique_ptr<uint8_t[]> strings;
  uint8_t* strings_end = nullptr;

  [[noreturn]] void Invalid(size_t position, std::string_view what) const {
    throw HttpError(400, fmt::format("no valid JSON at byte {}: {}", position, what));
  }
  // The fault that simdjson found in the token at position.
  [[noreturn]] void Invalid(size_t position, simdjson::error_code error) const;
  [[noreturn]] void InvalidEnd() const;
  size_t Position() const;
  size_t PositionOf(const char* place) const { return std::min(static_cast<size_t>(place - text.data()), size); }
  void Check(simdjson::error_code error) {
    if (error) Invalid(Position(), error);
  }
  // The string that begins at position; valid as long as the reader.
  std::string_view Unescape(ondemand::raw_json_string raw, size_t position) {
    std::string_view string;
    if (const auto error = parser.unescape(raw, strings_end).get(string)) Invalid(position, error);
    return string;
  }
  std::string_view Unescape(ondemand::value& value, size_t position) {
    ondemand::raw_json_string raw;
    if (const auto error = value.get_raw_json_string().get(raw)) Invalid(position, error);
    return Unescape(raw, position);
  }

  void ReadFields(ondemand::object object, size_t position, JsonReader& reader, const std::function<void(std::string_view, JsonValue&)>& on_field);
  void ReadItems(ondemand::array array, size_t position, JsonReader& reader, const std::function<void(JsonValue&)>& on_item);
};

// What JsonValue keeps behind its pointer.
struct JsonValue::Access {
  static ondemand::value& Of(JsonValue& value) { return *static_cast<ondemand::value*>(value.value_); }
  static JsonReader::Impl& Reader(const JsonValue& value) { return *value.reader_->impl_; }
  static JsonValue Make(JsonReader& reader, ondemand::value& value);
  static void Skip(JsonValue& value);
};

namespace {

// Counts a level of nesting as long as it lives.
class Level {
 public:
  explicit Level(size_t& depth) : depth_(depth) { ++depth_; }
  ~Level() { --depth_; }

 private:
  size_t& depth_;
};

// Adds to the path of errors as long as it lives.
class PathPart {
 public:
  PathPart(std::vector<PathStep>& path, PathStep step) : path_(path) { path_.push_back(step); }
  ~PathPart() { path_.pop_back(); }

 private:
  std::vector<PathStep>& path_;
};

// Where a string begins that has no end, or holds a control character: what simdjson says without a position.
size_t FindBrokenString(std::string_view text) {
  for (size_t start = text.find('"'); start != std::string_view::npos; start = text.find('"', start + 1)) {
    size_t i = start + 1;
    for (; i < text.size() && text[i] != '"'; ++i) {
      if (static_cast<unsigned char>(text[i]) < 0x20) return i;
      i += text[i] == '\\';
    }
    if (i >= text.size()) return start;
    start = i;
  }
  return text.size();
}

}  // namespace

void JsonReader::Impl::Invalid(size_t position, simdjson::error_code error) const {
  if (position >= size) Invalid(size, "it ends too early");
  switch (error) {
    case simdjson::NUMBER_ERROR: Invalid(position, "a number that is malformed or out of range");
    case simdjson::STRING_ERROR: Invalid(position, "a string with a wrong escape");
    case simdjson::MEMALLOC: throw std::bad_alloc();
    default: Invalid(position, "not what may stand here");
  }
}

// The fault of text that begins an object and does not end in a brace; its strings are whole.
void JsonReader::Impl::InvalidEnd() const {
  bool inside = false;
  size_t level = 0;
  for (size_t i = 0; i < size; ++i) {
    const char c = text[i];
    if (c == '"') {
      inside = !inside;
    } else if (inside) {
      i += c == '\\';
    } else if (c == '{' || c == '[') {
      if (++level > kMaxDepth) Invalid(i, fmt::format("nested deeper than {} levels", kMaxDepth));
    } else if ((c == '}' || c == ']') && --level == 0) {
      const size_t more = text.find_first_not_of(" \t\r\n", i + 1);
      Invalid(std::min(more, size), "more behind the object");
    }
  }
  Invalid(size, "it ends too early");
}

size_t JsonReader::Impl::Position() const {
  const char* place = nullptr;
  // simdjson's method is not const, though it only looks.
  if (const_cast<ondemand::document&>(document).current_location().get(place) != simdjson::SUCCESS) return size;
  return PositionOf(place);
}

void JsonReader::Impl::ReadFields(ondemand::object object, size_t position, JsonReader& reader,
                                  const std::function<void(std::string_view, JsonValue&)>& on_field) {
  const Level level(depth);
  if (depth > kMaxDepth) Invalid(position, fmt::format("nested deeper than {} levels", kMaxDepth));
  std::unordered_set<std::string_view> names;
  for (auto field : object) {
    ondemand::raw_json_string raw_name;
    Check(field.key().get(raw_name));
    const size_t name_position = PositionOf(raw_name.raw()) - 1;  // of its quote
    const std::string_view name = Unescape(raw_name, name_position);
    if (++num_keys > max_keys) Invalid(name_position, fmt::format("more than {} names", max_keys));
    if (!names.insert(name).second) Invalid(name_position, "a name that stands twice in its object");
    ondemand::value value;
    Check(field.value().get(value));
    const PathPart part(path, {.name = name});
    JsonValue json = JsonValue::Access::Make(reader, value);
    on_field(name, json);
    JsonValue::Access::Skip(json);
  }
}

void JsonReader::Impl::ReadItems(ondemand::array array, size_t position, JsonReader& reader, const std::function<void(JsonValue&)>& on_item) {
  const Level level(depth);
  if (depth > kMaxDepth) Invalid(position, fmt::format("nested deeper than {} levels", kMaxDepth));
  const PathPart part(path, {});
  for (auto item : array) {
    ondemand::value value;
    Check(std::move(item).get(value));
    JsonValue json = JsonValue::Access::Make(reader, value);
    on_item(json);
    JsonValue::Access::Skip(json);
    ++path.back().index;
  }
}

JsonValue JsonValue::Access::Make(JsonReader& reader, ondemand::value& value) {
  JsonReader::Impl& impl = *reader.impl_;
  JsonValue json;
  json.reader_ = &reader;
  json.value_ = &value;
  json.path_size_ = impl.path.size();
  json.position_ = impl.PositionOf(value.raw_json_token().data());
  ondemand::json_type type;
  impl.Check(value.type().get(type));
  switch (type) {
    case ondemand::json_type::object: json.kind_ = Kind::kObject; break;
    case ondemand::json_type::array: json.kind_ = Kind::kArray; break;
    case ondemand::json_type::string: json.kind_ = Kind::kString; break;
    case ondemand::json_type::number: json.kind_ = Kind::kNumber; break;
    case ondemand::json_type::boolean: json.kind_ = Kind::kBool; break;
    case ondemand::json_type::null: json.kind_ = Kind::kNull; break;
  }
  return json;
}

// Checks what the callback has not read.
void JsonValue::Access::Skip(JsonValue& json) {
  if (json.used_) return;
  json.used_ = true;
  JsonReader::Impl& impl = Reader(json);
  ondemand::value& value = Of(json);
  switch (json.kind_) {
    case Kind::kObject: {
      ondemand::object object;
      impl.Check(value.get_object().get(object));
      return impl.ReadFields(object, json.position_, *json.reader_, [](std::string_view, JsonValue&) {});
    }
    case Kind::kArray: {
      ondemand::array array;
      impl.Check(value.get_array().get(array));
      return impl.ReadItems(array, json.position_, *json.reader_, [](JsonValue&) {});
    }
    case Kind::kString: {
      impl.Unescape(value, json.position_);
      return;
    }
    case Kind::kNumber: {
      ondemand::number number;
      if (const auto error = value.get_number().get(number)) impl.Invalid(json.position_, error);
      return;
    }
    case Kind::kBool: {
      bool truth;
      if (const auto error = value.get_bool().get(truth)) impl.Invalid(json.position_, error);
      return;
    }
    case Kind::kNull: {
      bool null;
      if (const auto error = value.is_null().get(null)) impl.Invalid(json.position_, error);
      return;
    }
  }
}

std::string_view JsonValue::text_of_kind() const {
  switch (kind_) {
    case Kind::kObject: return "an object";
    case Kind::kArray: return "an array";
    case Kind::kString: return "a string";
    case Kind::kNumber: return "a number";
    case Kind::kBool: return "true or false";
    case Kind::kNull: return "null";
  }
  return "";
}

std::string JsonValue::path() const {
  std::string text;
  for (const PathStep& step : std::span(Access::Reader(*this).path).first(path_size_)) {
    if (step.name.data() == nullptr) {
      text += fmt::format("[{}]", step.index);
    } else {
      if (!text.empty()) text += '.';
      text += step.name;
    }
  }
  return text;
}

HttpError JsonValue::Error(std::string_view must_be) const {
  const JsonReader::Impl& impl = Access::Reader(*this);
  return HttpError(impl.field_status, fmt::format("'{}' must be {}, is {} (byte {})", path(), must_be, text_of_kind(), position_), path());
}

std::string JsonValue::String() {
  if (kind_ != Kind::kString) throw Error("a string");
  used_ = true;
  return std::string(Access::Reader(*this).Unescape(Access::Of(*this), position_));
}

bool JsonValue::Bool() {
  if (kind_ != Kind::kBool) throw Error("true or false");
  used_ = true;
  bool truth;
  if (const auto error = Access::Of(*this).get_bool().get(truth)) Access::Reader(*this).Invalid(position_, error);
  return truth;
}

int64_t JsonValue::Integer(int64_t min, int64_t max) {
  const auto refuse = [&](std::string_view found) {
    JsonReader::Impl& impl = Access::Reader(*this);
    return HttpError(impl.field_status,
                     fmt::format("'{}' must be an integer from {} to {}, is {} (byte {})", path(), min, max, found, position_), path());
  };
  if (kind_ != Kind::kNumber) throw refuse(text_of_kind());
  used_ = true;
  ondemand::number number;
  if (const auto error = Access::Of(*this).get_number().get(number)) Access::Reader(*this).Invalid(position_, error);
  if (number.is_double()) throw refuse("no integer");
  if (number.is_uint64()) {
    if (max < 0 || number.get_uint64() > static_cast<uint64_t>(max)) throw refuse(fmt::to_string(number.get_uint64()));
    if (min > 0 && number.get_uint64() < static_cast<uint64_t>(min)) throw refuse(fmt::to_string(number.get_uint64()));
    return static_cast<int64_t>(number.get_uint64());
  }
  if (number.get_int64() < min || number.get_int64() > max) throw refuse(fmt::to_string(number.get_int64()));
  return number.get_int64();
}

size_t JsonValue::Choice(std::initializer_list<std::string_view> choices) {
  const std::string text = kind_ == Kind::kString ? String() : "";
  for (size_t i = 0; i < choices.size(); ++i)
    if (kind_ == Kind::kString && choices.begin()[i] == text) return i;
  JsonReader::Impl& impl = Access::Reader(*this);
  throw HttpError(impl.field_status, fmt::format("'{}' must be one of '{}' (byte {})", path(), fmt::join(choices, "', '"), position_), path());
}

void JsonValue::ForEachField(const std::function<void(std::string_view name, JsonValue& value)>& on_field) {
  if (kind_ != Kind::kObject) throw Error("an object");
  used_ = true;
  ondemand::object object;
  Access::Reader(*this).Check(Access::Of(*this).get_object().get(object));
  Access::Reader(*this).ReadFields(object, position_, *reader_, on_field);
}

void JsonValue::ForEachItem(const std::function<void(JsonValue& item)>& on_item) {
  if (kind_ != Kind::kArray) throw Error("an array");
  used_ = true;
  ondemand::array array;
  Access::Reader(*this).Check(Access::Of(*this).get_array().get(array));
  Access::Reader(*this).ReadItems(array, position_, *reader_, on_item);
}

JsonReader::JsonReader(std::string text, int field_status, size_t max_keys) : impl_(std::make_unique<Impl>()) {
  impl_->size = text.size();
  impl_->text = std::move(text);
  impl_->text.append(simdjson::SIMDJSON_PADDING, '\0');
  impl_->field_status = field_status;
  impl_->max_keys = max_keys;
}

JsonReader::~JsonReader() = default;

void JsonReader::ReadObject(const std::function<void(std::string_view name, JsonValue& value)>& on_field) {
  Impl& impl = *impl_;
  const std::string_view text(impl.text.data(), impl.size);
  if (text.starts_with("\xef\xbb\xbf")) impl.Invalid(0, "a byte order mark");
  switch (const auto error = impl.parser.iterate(impl.text.data(), impl.size, impl.text.size()).get(impl.document)) {
    case simdjson::SUCCESS: break;
    case simdjson::EMPTY: impl.Invalid(0, "the body is empty");
    case simdjson::UTF8_ERROR: impl.Invalid(FindInvalidUtf8(text), "bytes that are no UTF-8");
    case simdjson::UNCLOSED_STRING: impl.Invalid(FindBrokenString(text), "a string without an end");
    case simdjson::UNESCAPED_CHARS: impl.Invalid(FindBrokenString(text), "a control character in a string");
    case simdjson::MEMALLOC: throw std::bad_alloc();
    default: impl.Invalid(0, error);
  }
  ondemand::json_type type;
  impl.Check(impl.document.type().get(type));
  if (type != ondemand::json_type::object) {
    const size_t start = text.find_first_not_of(" \t\r\n");
    throw HttpError(400, fmt::format("the body must be a JSON object (byte {})", std::min(start, text.size())));
  }
  impl.strings = std::make_unique_for_overwrite<uint8_t[]>(impl.text.size());  // no string is longer without its escapes
  impl.strings_end = impl.strings.get();
  ondemand::object object;
  const auto error = impl.document.get_object().get(object);
  if (error == simdjson::INCOMPLETE_ARRAY_OR_OBJECT || error == simdjson::TAPE_ERROR) impl.InvalidEnd();
  impl.Check(error);
  impl.ReadFields(object, text.find('{'), *this, on_field);
  if (impl.Position() < impl.size) impl.Invalid(impl.Position(), "more behind the object");
}

}  // namespace mlac
