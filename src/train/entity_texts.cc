#include "train/entity_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/byte_stream.h"
#include "text/unicode.h"

namespace mlac {
namespace {

using nlohmann::json;

constexpr const char* kLists[] = {"entities", "spans", "label", "labels"};

// Code points [start, end) of a text, and then bytes.
struct Entity {
  size_t start = 0, end = 0;
  std::string label;
  size_t begin_byte = 0, end_byte = 0;
};

[[noreturn]] void Refuse(const std::string& where, const std::string& what, const std::string& hint = "") {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", where, what), hint);
}

size_t Place(const json& value, const std::string& where, size_t number) {
  if (!value.is_number_integer() || value < 0)
    Refuse(where, fmt::format("entity {}: expected a whole number from 0 as start and end, found {}", number, Printable(DumpJson(value), 40)));
  return value.get<size_t>();
}

Entity ReadEntity(const json& item, const std::string& where, size_t number) {
  const bool triple = item.is_array() && item.size() == 3;
  if (!triple && !(item.is_object() && item.contains("start") && item.contains("end") && item.contains("label")))
    Refuse(where, fmt::format("entity {}: expected {{\"start\", \"end\", \"label\"}} or [start, end, label], found {}", number,
                              Printable(DumpJson(item), 60)));
  const json& label = triple ? item[2] : item["label"];
  if (!label.is_string() || label.get_ref<const std::string&>().empty())
    Refuse(where, fmt::format("entity {}: expected a name as label, found {}", number, Printable(DumpJson(label), 40)));
  return {.start = Place(triple ? item[0] : item["start"], where, number),
          .end = Place(triple ? item[1] : item["end"], where, number),
          .label = label.get<std::string>()};
}

// Sorted by their place; bytes are filled in.
std::vector<Entity> ReadEntities(const json& list, std::string_view text, const std::string& where) {
  std::vector<size_t> bytes;  // where each code point begins, and the end of the last
  for (size_t position = 0; position < text.size(); DecodeUtf8(text, position)) bytes.push_back(position);
  bytes.push_back(text.size());
  std::vector<Entity> entities;
  for (size_t i = 0; i < list.size(); ++i) {
    Entity entity = ReadEntity(list[i], where, i + 1);
    if (entity.end <= entity.start)
      Refuse(where, fmt::format("entity {}: [{}, {}) is empty", i + 1, entity.start, entity.end),
             "end is the place behind the last character");
    if (entity.end >= bytes.size())
      Refuse(
          where,
          fmt::format("entity {}: [{}, {}) is beyond the text, which has {} characters", i + 1, entity.start, entity.end, bytes.size() - 1),
          "start and end count code points, not bytes");
    entity.begin_byte = bytes[entity.start];
    entity.end_byte = bytes[entity.end];
    entities.push_back(std::move(entity));
  }
  std::stable_sort(entities.begin(), entities.end(),
                   [](const Entity& a, const Entity& b) { return a.start != b.start ? a.start < b.start : a.end < b.end; });
  const auto same = [](const Entity& a, const Entity& b) { return a.start == b.start && a.end == b.end && a.label == b.label; };
  entities.erase(std::unique(entities.begin(), entities.end(), same), entities.end());
  for (size_t i = 1; i < entities.size(); ++i)
    if (const Entity& before = entities[i - 1], &entity = entities[i]; entity.start < before.end)
      Refuse(where,
             fmt::format("entities [{}, {}) {} and [{}, {}) {} overlap", before.start, before.end, Quoted(before.label), entity.start,
                         entity.end, Quoted(entity.label)),
             "a word has one tag: keep one of the two");
  return entities;
}

// The words of the text, cut where an entity begins and ends.
std::vector<TaggedWord> WordsOf(std::string_view text, const std::vector<Entity>& entities, const std::string& where) {
  std::vector<TaggedWord> words;
  bool in_word = false;
  size_t next = 0;  // the entity that the place is in or before
  for (size_t position = 0; position < text.size();) {
    const size_t begin = position;
    const uint8_t flags = PropertiesOf(DecodeUtf8(text, position)).flags;
    while (next < entities.size() && entities[next].end_byte <= begin) ++next;
    const bool inside = next < entities.size() && entities[next].begin_byte <= begin;
    const bool border = inside && entities[next].begin_byte == begin, behind = next > 0 && entities[next - 1].end_byte == begin;
    if (flags & kWhiteSpace) {
      in_word = false;
      continue;
    }
    const bool single = (flags & (kPunctuation | kChinese)) != 0;
    if (!in_word || single || border || behind) {
      const bool goes_on = inside && !words.empty() && words.back().begin >= entities[next].begin_byte;
      words.push_back({begin, position, inside ? (goes_on ? "I-" : "B-") + entities[next].label : "O"});
    } else {
      words.back().end = position;
    }
    in_word = !single;
  }
  for (const Entity& entity : entities)
    if (std::none_of(words.begin(), words.end(),
                     [&](const TaggedWord& word) { return word.begin >= entity.begin_byte && word.end <= entity.end_byte; }))
      Refuse(where, fmt::format("entity [{}, {}) {} is of white space alone", entity.start, entity.end, Quoted(entity.label)));
  return words;
}

const json* ListOf(const json& row, const std::string& where) {
  const json* list = nullptr;
  for (const char* name : kLists) {
    const auto field = row.find(name);
    if (field == row.end() || field->is_null()) continue;
    if (!field->is_array()) Refuse(where, fmt::format("expected a list under '{}', found {}", name, field->type_name()));
    if (list != nullptr && !list->empty() && !field->empty())
      Refuse(where, fmt::format("has two lists of entities, one of them under '{}'", name));
    if (list == nullptr || list->empty()) list = &*field;
  }
  return list;
}

}  // namespace

bool HoldsEntitySpans(const std::string& path, size_t max_row_bytes) {
  ByteStream stream(path);
  std::string line;
  while (ReadLine(stream, max_row_bytes, line))
    if (line.find_first_not_of(" \t") != std::string::npos) {
      const json row = ParseJsonOrDiscard(line);
      const auto has = [&](const char* name) { return row.contains(name); };
      // "labels" may be a list of either.
      const auto has_tags = [&](const char* name) {
        const auto list = row.find(name);
        return list != row.end() && !(list->is_array() && !list->empty() && list->front().is_structured());
      };
      return row.is_object() && has("text") &&
             !(std::any_of(std::begin(kWordColumns), std::end(kWordColumns), has) &&
               std::any_of(std::begin(kTagColumns), std::end(kTagColumns), has_tags));
    }
  return false;
}

TaggedTexts ReadEntityTexts(const std::string& path, size_t max_row_bytes) {
  TaggedTexts data;
  data.texts.source = std::filesystem::path(path).filename().string();
  data.texts.label_names = {""};
  std::set<std::string> labels;
  ByteStream stream(path);
  std::string line;
  for (size_t number = stream.line(); ReadLine(stream, max_row_bytes, line); number = stream.line()) {
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const std::string where = fmt::format("{}: line {}", path, number);
    const json row = ParseJson(line, where);
    if (!row.is_object() || !row.contains("text") || !row["text"].is_string())
      Refuse(where, "expected an object with a string under 'text'");
    std::string text = row["text"].get<std::string>();
    const json* list = ListOf(row, where);
    const std::vector<Entity> entities = list == nullptr ? std::vector<Entity>() : ReadEntities(*list, text, where);
    std::vector<TaggedWord> words = WordsOf(text, entities, where);
    if (words.empty()) continue;
    std::string tags;
    for (const TaggedWord& word : words) tags += word.tag + kListSeparator;
    for (const Entity& entity : entities) labels.insert(entity.label);
    data.texts.texts.push_back(std::move(text));
    data.texts.labels.push_back(0);
    data.texts.lines.push_back(number);
    data.texts.targets.push_back(std::move(tags));
    data.words.push_back(std::move(words));
  }
  if (data.words.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected texts with entities, found none", path));
  for (const std::string& label : labels) data.known_tags.insert(data.known_tags.end(), {"B-" + label, "I-" + label});
  if (!labels.empty()) data.known_tags.emplace_back("O");
  return data;
}

}  // namespace mlac
