#pragma once
// Reads the JSON body of a request once, from front to back: strictly, within limits, and saying where it is wrong.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"

namespace mlac {

// One value, valid until the callback that was given it returns. What is read of it is read once; what is not is checked and skipped.
class JsonValue {
 public:
  enum class Kind { kObject, kArray, kString, kNumber, kBool, kNull };

  Kind kind() const { return kind_; }
  std::string_view text_of_kind() const;  // "a string"
  size_t position() const { return position_; }  // in the body, in bytes
  // Where it stands: "inputs[3]".
  std::string path() const;

  // Each throws the error of the field if the value is of another kind.
  std::string String();
  bool Bool();
  int64_t Integer(int64_t min, int64_t max);
  // Appends it, as Integer gives it, and of an item of a list those behind it as far as they are such integers, too: the callback gets the
  // first that is not. So a list of 10^6 takes a fraction of the time. Integers: std::vector<int32_t> or <int64_t>.
  template <typename Integers>
  void AppendIntegers(int64_t min, int64_t max, Integers& out);
  // The index of the string in choices.
  size_t Choice(std::initializer_list<std::string_view> choices);
  void ForEachField(const std::function<void(std::string_view name, JsonValue& value)>& on_field);
  void ForEachItem(const std::function<void(JsonValue& item)>& on_item);

  // The error of this field: "'inputs[3]' must be a string, is null (byte 17)".
  HttpError Error(std::string_view must_be) const;

 private:
  friend class JsonReader;
  JsonValue() = default;
  struct Access;
  void Use(Kind kind, std::string_view must_be);
  class JsonReader* reader_ = nullptr;
  Kind kind_ = Kind::kNull;
  size_t position_ = 0, path_size_ = 0;  // path_size_: how many steps of the reader's path are its own
  bool used_ = false;
};

class JsonReader {
 public:
  // Nesting beyond kMaxDepth and more than max_keys names are refused.
  static constexpr size_t kMaxDepth = 32, kMaxKeys = 1000;

  // field_status: of errors about a field of valid JSON (400 for OpenAI's protocol, 422 for TEI's); invalid JSON is 400. The second form
  // reads the caller's text, which outlives the reader.
  JsonReader(std::string&& text, int field_status, size_t max_keys = kMaxKeys);
  JsonReader(const std::string& text, int field_status, size_t max_keys = kMaxKeys);
  ~JsonReader();

  // The text has to be one object; on_field gets each of its fields, in order. Fields that it leaves alone are checked all the same.
  // Throws HttpError: for invalid JSON with the position in bytes. Bytes that are no UTF-8 are told first, then whatever comes first: what
  // stands behind a fault, of the JSON or of a field, is not read. Only once.
  void ReadObject(const std::function<void(std::string_view name, JsonValue& value)>& on_field);

 private:
  friend class JsonValue;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mlac
