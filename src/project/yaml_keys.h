#pragma once
// The keys that a section of a YAML file may have: one table for reading it, for messages, for the reference page and for the JSON schema.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "project/yaml_document.h"

namespace mlac {

// What a value looks like: said in messages, in the reference and in the schema.
enum class ValueShape {
  kText,  // any scalar
  kPath,  // a scalar that names a file or folder
  kInteger,
  kNumber,
  kShare,     // "20%" or 0.2
  kPoints,    // percentage points: "0.5%" or 0.5
  kSize,      // "100 MB"
  kDuration,  // "10 ms"
  kBool,
  kTextOrTexts,  // a scalar or a list of them
  kPathOrPaths,
  kSection,         // a map with keys of its own
  kSections,        // a list of such maps
  kNamedSections,   // a map from names that the user gives to such maps
  kTextOrSections,  // a list whose items are a scalar or such a map
  kPathOrSection,   // a scalar that names a folder, or a map with keys of its own
  kTextLists,       // a list of lists of scalars
  kTextMap,         // a map of scalars
};
std::string_view NameOf(ValueShape shape);  // "a number", "a file or a folder"

struct KeyInfo {
  std::string_view name;
  ValueShape shape = ValueShape::kText;
  std::string_view description;      // one sentence without a full stop
  std::string_view by_default = "";  // as it is written; "" for none
  bool required = false;
  std::string_view section = "";   // of a shape with keys: the title of its section
  std::string_view only_for = "";  // the tasks that have it, where not all do
  std::span<const std::string_view> values = {};  // of a text that is one of some
};

// A value and where it stands: "models.topics.train.epochs" of "mlac.yaml".
class YamlValue {
 public:
  YamlValue(const YamlDocument& document, const YamlNode& node, size_t line, std::string path)
      : document_(&document), node_(&node), line_(line), path_(std::move(path)) {}

  const YamlNode& node() const { return *node_; }
  const std::string& path() const { return path_; }
  size_t line() const { return line_; }  // of its key

  // Each throws kInvalidInput with file, line, path, expected and found.
  std::string Text() const;         // a scalar that is not empty
  std::string TextOrEmpty() const;  // a scalar; null is ""
  uint64_t Integer(uint64_t low, uint64_t high) const;
  double Number(double low, double high) const;
  double Share() const;  // [0, 1]: "20%" or 0.2
  double ShareBelowOne() const;
  double Points() const;        // [0, 100]: "0.5%" or 0.5
  uint64_t Bytes() const;       // "100 MB"
  double Milliseconds() const;  // "10 ms"
  bool Bool() const;
  std::vector<std::string> Texts() const;  // one scalar, or a list of them that is not empty
  std::string OneOf(std::span<const std::string_view> known) const;
  std::vector<YamlValue> Items() const;                            // of a sequence: path with [0]
  std::vector<std::pair<std::string, YamlValue>> Entries() const;  // of a map
  bool IsNull() const { return node_->kind == YamlNode::Kind::kNull; }

  [[noreturn]] void Throw(const std::string& message, const std::string& hint = "") const;
  [[noreturn]] void ThrowExpected(std::string_view expected) const;  // says what was found

 private:
  const YamlDocument* document_;
  const YamlNode* node_;
  size_t line_;
  std::string path_;
};

// The value of the whole file; `what` names it where a message needs a path.
YamlValue RootOf(const YamlDocument& document);

// One line of a table: what the key is, and how its value gets into a T.
template <typename T>
struct Key {
  KeyInfo info;
  void (*read)(const YamlValue& value, T& target);
};

// The entry number in `keys` of each of the map's entries. Throws for what is no map, a key that is not known and one that is missing.
std::vector<std::pair<size_t, YamlValue>> MatchKeys(const YamlValue& section, std::span<const KeyInfo> keys);

template <typename T, size_t kCount>
void ReadSection(const YamlValue& section, const Key<T> (&keys)[kCount], T& target) {
  std::vector<KeyInfo> infos;
  for (const Key<T>& key : keys) infos.push_back(key.info);
  for (const auto& [number, value] : MatchKeys(section, infos)) keys[number].read(value, target);
}

// For a hint: "did you mean 'x'? There are a, b and c".
std::string KnownNames(std::string_view name, std::span<const std::string> known);

// "100 MB" in bytes, "10 ms" in milliseconds; nothing for what cannot be read. KB, MB, GB are powers of 1000, KiB, MiB, GiB of 1024.
std::optional<double> ParseBytes(std::string_view text);
std::optional<double> ParseMilliseconds(std::string_view text);
// A decimal number that is all of text, finite.
std::optional<double> ParseNumber(std::string_view text);

}  // namespace mlac
