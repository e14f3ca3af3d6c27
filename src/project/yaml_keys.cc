#include "project/yaml_keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/display.h"
#include "base/error.h"
#include "base/nearest_name.h"

namespace mlac {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};
constexpr std::array<Unit, 8> kByteUnits = {
    {{"B", 1}, {"KB", 1e3}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}}};
constexpr std::array<Unit, 3> kTimeUnits = {{{"ms", 1}, {"s", 1e3}, {"us", 1e-3}}};

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<double> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  const size_t end = text.find_last_of("0123456789.");
  if (end == std::string_view::npos) return std::nullopt;
  const std::optional<double> number = ParseNumber(Trimmed(text.substr(0, end + 1)));
  const std::string_view name = Trimmed(text.substr(end + 1));
  for (const Unit& unit : units)
    if (number && *number >= 0 && unit.name == name) return *number * unit.factor;
  return std::nullopt;
}

// What was found, for a message: 'abc', a list, a map, nothing.
std::string Found(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  return Quoted(node.text);
}

std::string PathOf(const std::string& section, const std::string& key) { return section.empty() ? key : section + "." + key; }

}  // namespace

std::string_view NameOf(ValueShape shape) {
  switch (shape) {
    case ValueShape::kText:
      return "a text";
    case ValueShape::kPath:
      return "a file or folder";
    case ValueShape::kInteger:
      return "a whole number";
    case ValueShape::kNumber:
      return "a number";
    case ValueShape::kShare:
      return "a share, as 20% or 0.2";
    case ValueShape::kPoints:
      return "percentage points, as 0.5%";
    case ValueShape::kSize:
      return "a size, as 100 MB";
    case ValueShape::kDuration:
      return "a duration, as 10 ms";
    case ValueShape::kBool:
      return "true or false";
    case ValueShape::kTextOrTexts:
      return "a text or a list of texts";
    case ValueShape::kPathOrPaths:
      return "a file or a list of files";
    case ValueShape::kSection:
      return "a map";
    case ValueShape::kSections:
      return "a list of maps";
    case ValueShape::kNamedSections:
      return "a map of names";
    case ValueShape::kTextOrSections:
      return "a list of texts or maps";
    case ValueShape::kPathOrSection:
      return "a folder or a map";
    case ValueShape::kTextLists:
      return "a list of lists of texts";
    case ValueShape::kTextMap:
      return "a map of texts";
  }
  return "";
}

std::optional<double> ParseNumber(std::string_view text) {
  double value = 0;
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<double> ParseBytes(std::string_view text) { return ParseWithUnit(text, kByteUnits); }
std::optional<double> ParseMilliseconds(std::string_view text) { return ParseWithUnit(text, kTimeUnits); }

std::string KnownNames(std::string_view name, std::span<const std::string> known) {
  const std::string nearest = DidYouMean(name, known);
  std::vector<std::string> shown;
  for (const std::string& each : known) {
    if (shown.size() == 40) break;
    shown.push_back(Printable(each, 100));
  }
  return fmt::format("{}{}there {}: {}{}", nearest, nearest.empty() ? "" : " ", known.size() == 1 ? "is" : "are", fmt::join(shown, ", "),
                     known.size() > shown.size() ? fmt::format(" and {} more", known.size() - shown.size()) : "");
}

YamlValue RootOf(const YamlDocument& document) { return YamlValue(document, document.root(), document.root().line, ""); }

void YamlValue::Throw(const std::string& message, const std::string& hint) const {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{} line {}: {}{}{}", document_->name(), line_, Printable(path_, 200), path_.empty() ? "" : ": ", message), hint);
}

void YamlValue::ThrowExpected(std::string_view expected) const { Throw(fmt::format("expected {}, found {}", expected, Found(*node_))); }

std::string YamlValue::TextOrEmpty() const {
  if (IsNull()) return "";
  if (node_->kind != YamlNode::Kind::kScalar) ThrowExpected("a text");
  return node_->text;
}

std::string YamlValue::Text() const {
  if (node_->kind != YamlNode::Kind::kScalar || node_->text.empty()) ThrowExpected("a text");
  return node_->text;
}

uint64_t YamlValue::Integer(uint64_t low, uint64_t high) const {
  uint64_t value = 0;
  const std::string& text = node_->text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (node_->kind != YamlNode::Kind::kScalar || error != std::errc() || end != text.data() + text.size() || value < low || value > high)
    ThrowExpected(high == UINT64_MAX ? fmt::format("a whole number from {}", low) : fmt::format("a whole number from {} to {}", low, high));
  return value;
}

double YamlValue::ShareBelowOne() const {
  const double share = Share();
  if (share >= 1) ThrowExpected("a share below 1, as 20% or 0.2");
  return share;
}

double YamlValue::Number(double low, double high) const {
  const std::optional<double> value = node_->kind == YamlNode::Kind::kScalar ? ParseNumber(node_->text) : std::nullopt;
  if (!value || *value < low || *value > high) ThrowExpected(fmt::format("a number from {} to {}", low, high));
  return *value;
}

double YamlValue::Share() const {
  const std::string& text = node_->text;
  const bool percent = text.ends_with('%');
  const std::optional<double> value = node_->kind == YamlNode::Kind::kScalar
                                          ? ParseNumber(percent ? Trimmed(std::string_view(text).substr(0, text.size() - 1)) : text)
                                          : std::nullopt;
  const double share = value ? (percent ? *value / 100 : *value) : -1;
  if (!(share >= 0 && share <= 1)) ThrowExpected("a share from 0 to 1, as 20% or 0.2");
  return share;
}

double YamlValue::Points() const {
  const std::string& text = node_->text;
  const bool percent = text.ends_with('%');
  const std::optional<double> value = node_->kind == YamlNode::Kind::kScalar
                                          ? ParseNumber(percent ? Trimmed(std::string_view(text).substr(0, text.size() - 1)) : text)
                                          : std::nullopt;
  if (!value || *value < 0 || *value > 100) ThrowExpected("percentage points from 0 to 100, as 0.5%");
  return *value;
}

uint64_t YamlValue::Bytes() const {
  const std::optional<double> value = node_->kind == YamlNode::Kind::kScalar ? ParseBytes(node_->text) : std::nullopt;
  if (!value || *value > 1e18) ThrowExpected("a size, as 100 MB or 64 MiB");
  return static_cast<uint64_t>(*value);
}

double YamlValue::Milliseconds() const {
  const std::optional<double> value = node_->kind == YamlNode::Kind::kScalar ? ParseMilliseconds(node_->text) : std::nullopt;
  if (!value) ThrowExpected("a duration, as 10 ms or 0.5 s");
  return *value;
}

bool YamlValue::Bool() const {
  if (node_->kind == YamlNode::Kind::kScalar && (node_->text == "true" || node_->text == "false")) return node_->text == "true";
  ThrowExpected("true or false");
}

std::vector<std::string> YamlValue::Texts() const {
  if (node_->kind == YamlNode::Kind::kScalar) return {Text()};
  std::vector<std::string> texts;
  if (node_->kind == YamlNode::Kind::kSequence)
    for (const YamlValue& item : Items()) texts.push_back(item.Text());
  if (texts.empty()) ThrowExpected("a text or a list of texts");
  return texts;
}

std::string YamlValue::OneOf(std::span<const std::string_view> known) const {
  const std::string text = Text();
  if (std::find(known.begin(), known.end(), text) != known.end()) return text;
  const std::vector<std::string> names(known.begin(), known.end());
  Throw(fmt::format("there is no {}", Quoted(text)), KnownNames(text, names));
}

std::vector<YamlValue> YamlValue::Items() const {
  if (node_->kind != YamlNode::Kind::kSequence) ThrowExpected("a list");
  std::vector<YamlValue> items;
  for (size_t i = 0; i < node_->items.size(); ++i)
    items.emplace_back(*document_, *node_->items[i], node_->items[i]->line, fmt::format("{}[{}]", path_, i));
  return items;
}

std::vector<std::pair<std::string, YamlValue>> YamlValue::Entries() const {
  if (node_->kind != YamlNode::Kind::kMap) ThrowExpected("a map of keys and values");
  std::vector<std::pair<std::string, YamlValue>> entries;
  for (const YamlEntry& entry : node_->entries)
    entries.emplace_back(entry.key, YamlValue(*document_, *entry.value, entry.line, PathOf(path_, entry.key)));
  return entries;
}

std::vector<std::pair<size_t, YamlValue>> MatchKeys(const YamlValue& section, std::span<const KeyInfo> keys) {
  std::vector<std::string> names;
  for (const KeyInfo& key : keys) names.emplace_back(key.name);
  std::vector<std::pair<size_t, YamlValue>> matched;
  std::vector<bool> seen(keys.size());
  for (auto& [name, value] : section.Entries()) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) value.Throw("there is no such key", KnownNames(name, names));
    const auto number = static_cast<size_t>(found - names.begin());
    seen[number] = true;
    matched.emplace_back(number, std::move(value));
  }
  for (size_t i = 0; i < keys.size(); ++i)
    if (keys[i].required && !seen[i])
      section.Throw(fmt::format("the key '{}' is missing ({})", keys[i].name, NameOf(keys[i].shape)), std::string(keys[i].description));
  return matched;
}

}  // namespace mlac
