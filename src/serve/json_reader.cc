#include "serve/json_reader.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <deque>
#include <span>
#include <unordered_set>
#include <vector>

#include "base/utf8.h"
#include "serve/json_scanner.h"

namespace mlac {

namespace {

using Kind = JsonValue::Kind;

// A step from a value into one inside it: the name of a field, or the index of an item.
struct PathStep {
  std::string_view name = {};  // null: an item
  size_t index = 0;
};

// By its first character, the kind of a value; kNone where none begins so.
constexpr uint8_t kNone = 0xff;
constexpr std::array<uint8_t, 256> kKinds = [] {
  std::array<uint8_t, 256> kinds;
  kinds.fill(kNone);
  const auto begins = [&](Kind kind, std::string_view characters) {
    for (const char c : characters) kinds[static_cast<unsigned char>(c)] = static_cast<uint8_t>(kind);
  };
  begins(Kind::kObject, "{");
  begins(Kind::kArray, "[");
  begins(Kind::kString, "\"");
  begins(Kind::kNumber, "-0123456789");
  begins(Kind::kBool, "tf");
  begins(Kind::kNull, "n");
  return kinds;
}();
uint8_t KindOf(char c) { return kKinds[static_cast<unsigned char>(c)]; }

}  // namespace

struct JsonReader::Impl {
  explicit Impl(std::string&& owned) : text(std::move(owned)), scanner(text) {}
  explicit Impl(const std::string& borrowed) : scanner(borrowed) {}

  const std::string text = {};  // that it owns, else ""
  JsonScanner scanner;
  int field_status = 0;
  size_t max_keys = 0;
  std::vector<PathStep> path;  // made into text where an error needs it: a body of 10^6 numbers has 10^6 places
  size_t depth = 0, num_keys = 0;
  std::vector<std::string_view> names;    // of the objects that are being read, each behind those that it stands in
  std::deque<std::string> escaped_names;  // without their escapes; the others are parts of the text
  std::string unescaped;

  template <typename OnField>
  void ReadFields(const OnField& on_field);
  template <typename OnItem>
  void ReadItems(const OnItem& on_item);
  void Skip();
};

// What JsonValue keeps behind its pointer.
struct JsonValue::Access {
  static JsonReader::Impl& Reader(const JsonValue& value) { return *value.reader_->impl_; }
  // Gives the value that stands at the cursor to the callback, and reads over it if that does not. reader: has impl as its own.
  template <typename OnValue>
  static void Give(JsonReader& reader, const OnValue& on_value);
};

namespace {

// Counts a level of nesting as long as it lives.
class Level {
 public:
  Level(size_t& depth, const JsonScanner& scanner) : depth_(depth) {
    if (depth == JsonReader::kMaxDepth)
      scanner.Invalid(scanner.position(), fmt::format("nested deeper than {} levels", JsonReader::kMaxDepth));
    ++depth_;
  }
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

// The names of one object: compared one by one while they are few, which is fastest, and looked up once they are many.
class NamesOfObject {
 public:
  explicit NamesOfObject(std::vector<std::string_view>& names) : names_(names), begin_(names.size()) {}
  ~NamesOfObject() { names_.resize(begin_); }

  // Whether it is new.
  bool Add(std::string_view name) {
    const auto begin = names_.begin() + static_cast<ptrdiff_t>(begin_);
    if (names_.size() - begin_ < kFew) {
      if (std::find(begin, names_.end(), name) != names_.end()) return false;
    } else {
      if (many_.empty()) many_.insert(begin, names_.end());
      if (!many_.insert(name).second) return false;
    }
    names_.push_back(name);
    return true;
  }

 private:
  static constexpr size_t kFew = 16;
  std::vector<std::string_view>& names_;
  const size_t begin_;
  std::unordered_set<std::string_view> many_;
};

}  // namespace

// An object that begins at the cursor. on_field(name) reads the value at the cursor.
template <typename OnField>
void JsonReader::Impl::ReadFields(const OnField& on_field) {
  const Level level(depth, scanner);
  scanner.Take('{');
  scanner.SkipBlanks();
  if (scanner.Take('}')) return;
  NamesOfObject names_of_object(names);
  do {
    scanner.SkipBlanks();
    const size_t position = scanner.position();
    if (scanner.Peek() != '"') scanner.Unexpected();
    std::string_view name = scanner.String(unescaped);
    if (name.data() == unescaped.data()) name = escaped_names.emplace_back(name);
    if (++num_keys > max_keys) scanner.Invalid(position, fmt::format("more than {} names", max_keys));
    if (!names_of_object.Add(name)) scanner.Invalid(position, "a name that stands twice in its object");
    scanner.SkipBlanks();
    if (!scanner.Take(':')) scanner.Unexpected();
    scanner.SkipBlanks();
    on_field(name);
    scanner.SkipBlanks();
  } while (scanner.Take(','));
  if (!scanner.Take('}')) scanner.Unexpected();
}

// An array that begins at the cursor. on_item() reads the value at the cursor.
template <typename OnItem>
void JsonReader::Impl::ReadItems(const OnItem& on_item) {
  const Level level(depth, scanner);
  scanner.Take('[');
  scanner.SkipBlanks();
  if (scanner.Take(']')) return;
  do {
    scanner.SkipBlanks();
    on_item();
    scanner.SkipBlanks();
  } while (scanner.Take(','));
  if (!scanner.Take(']')) scanner.Unexpected();
}

// Checks the value at the cursor and moves behind it.
void JsonReader::Impl::Skip() {
  switch (scanner.Peek()) {
    case '{': return ReadFields([this](std::string_view) { Skip(); });
    case '[':
      return ReadItems([this] {
        Skip();
        scanner.SkipMoreItems();
      });
    case '"': return static_cast<void>(scanner.String(unescaped));
    case 't': return scanner.Word("true");
    case 'f': return scanner.Word("false");
    case 'n': return scanner.Word("null");
    default: break;
  }
  if (KindOf(scanner.Peek()) != static_cast<uint8_t>(Kind::kNumber)) scanner.Unexpected();
  scanner.Number();
}

template <typename OnValue>
void JsonValue::Access::Give(JsonReader& reader, const OnValue& on_value) {
  JsonReader::Impl& impl = *reader.impl_;
  const uint8_t kind = KindOf(impl.scanner.Peek());
  if (kind == kNone) impl.scanner.Unexpected();
  JsonValue value;
  value.reader_ = &reader;
  value.kind_ = static_cast<Kind>(kind);
  value.position_ = impl.scanner.position();
  value.path_size_ = impl.path.size();
  on_value(value);
  if (!value.used_) impl.Skip();
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

// Of the value, which is read now and has the kind.
void JsonValue::Use(Kind kind, std::string_view must_be) {
  if (kind_ != kind) throw Error(must_be);
  assert(!used_);
  used_ = true;
}

std::string JsonValue::String() {
  Use(Kind::kString, "a string");
  std::string unescaped;
  const std::string_view text = Access::Reader(*this).scanner.String(unescaped);
  return text.data() == unescaped.data() ? unescaped : std::string(text);
}

bool JsonValue::Bool() {
  Use(Kind::kBool, "true or false");
  JsonScanner& scanner = Access::Reader(*this).scanner;
  const bool truth = scanner.Peek() == 't';
  scanner.Word(truth ? "true" : "false");
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
  const JsonNumber number = Access::Reader(*this).scanner.Number();
  if (!number.is_integer) throw refuse("no integer");
  if (!number.is_negative && number.magnitude > INT64_MAX) throw refuse(fmt::to_string(number.magnitude));
  const int64_t value = static_cast<int64_t>(number.is_negative ? -number.magnitude : number.magnitude);
  if (value < min || value > max) throw refuse(fmt::to_string(value));
  return value;
}

template <typename Integers>
void JsonValue::AppendIntegers(int64_t min, int64_t max, Integers& out) {
  out.push_back(static_cast<typename Integers::value_type>(Integer(min, max)));
  JsonReader::Impl& impl = Access::Reader(*this);
  if (path_size_ == 0 || impl.path[path_size_ - 1].name.data() != nullptr) return;  // no item
  impl.path[path_size_ - 1].index += impl.scanner.MoreIntegers(min, max, out);
}

template void JsonValue::AppendIntegers(int64_t min, int64_t max, std::vector<int32_t>& out);
template void JsonValue::AppendIntegers(int64_t min, int64_t max, std::vector<int64_t>& out);

size_t JsonValue::Choice(std::initializer_list<std::string_view> choices) {
  const std::string text = kind_ == Kind::kString ? String() : "";
  for (size_t i = 0; i < choices.size(); ++i)
    if (kind_ == Kind::kString && choices.begin()[i] == text) return i;
  JsonReader::Impl& impl = Access::Reader(*this);
  throw HttpError(impl.field_status, fmt::format("'{}' must be one of '{}' (byte {})", path(), fmt::join(choices, "', '"), position_), path());
}

void JsonValue::ForEachField(const std::function<void(std::string_view name, JsonValue& value)>& on_field) {
  Use(Kind::kObject, "an object");
  JsonReader::Impl& impl = Access::Reader(*this);
  impl.ReadFields([&](std::string_view name) {
    const PathPart part(impl.path, {.name = name});
    Access::Give(*reader_, [&](JsonValue& value) { on_field(name, value); });
  });
}

void JsonValue::ForEachItem(const std::function<void(JsonValue& item)>& on_item) {
  Use(Kind::kArray, "an array");
  JsonReader::Impl& impl = Access::Reader(*this);
  const PathPart part(impl.path, {});
  impl.ReadItems([&] {
    Access::Give(*reader_, on_item);
    ++impl.path.back().index;
  });
}

JsonReader::JsonReader(std::string&& text, int field_status, size_t max_keys) : impl_(std::make_unique<Impl>(std::move(text))) {
  impl_->field_status = field_status;
  impl_->max_keys = max_keys;
}

JsonReader::JsonReader(const std::string& text, int field_status, size_t max_keys) : impl_(std::make_unique<Impl>(text)) {
  impl_->field_status = field_status;
  impl_->max_keys = max_keys;
}

JsonReader::~JsonReader() = default;

void JsonReader::ReadObject(const std::function<void(std::string_view name, JsonValue& value)>& on_field) {
  Impl& impl = *impl_;
  JsonScanner& scanner = impl.scanner;
  const std::string_view text = scanner.rest();
  if (!simdjson::validate_utf8(text)) scanner.Invalid(FindInvalidUtf8(text), "bytes that are no UTF-8");
  if (text.starts_with("\xef\xbb\xbf")) scanner.Invalid(0, "a byte order mark");
  scanner.SkipBlanks();
  if (scanner.at_end()) scanner.Invalid(0, "the body is empty");
  JsonValue::Access::Give(*this, [&](JsonValue& body) {
    if (body.kind() != Kind::kObject) throw HttpError(400, fmt::format("the body must be a JSON object (byte {})", body.position()));
    body.ForEachField(on_field);
  });
  scanner.SkipBlanks();
  if (!scanner.at_end()) scanner.Invalid(scanner.position(), "more behind the object");
}

}  // namespace mlac
