#include "train/tagged_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <span>
#include <string_view>

#include "base/display.h"
#include "base/error.h"
#include "data/byte_stream.h"
#include "data/table.h"
#include "train/entity_texts.h"
#include "train/text_targets.h"

namespace mlac {
namespace {

std::string OwnName(const std::string& path) { return std::filesystem::path(path).filename().string(); }

std::vector<std::string_view> Split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of(separators, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

class TaggedTextsBuilder {
 public:
  explicit TaggedTextsBuilder(const std::string& path) {
    data_.texts.source = OwnName(path);
    data_.texts.label_names = {""};
  }

  void AddWord(std::string_view word, std::string_view tag) {
    if (!text_.empty()) text_ += ' ';
    words_.push_back({text_.size(), text_.size() + word.size(), std::string(tag)});
    text_ += word;
  }

  void EndSentence(size_t line) {
    if (words_.empty()) return;
    data_.texts.texts.push_back(std::move(text_));
    data_.texts.labels.push_back(0);
    data_.texts.lines.push_back(line);
    data_.texts.targets.push_back(TagsOfWords());
    data_.words.push_back(std::move(words_));
    text_.clear();
    words_.clear();
  }

  TaggedTexts Finish(const std::string& path) {
    if (data_.words.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected sentences of words with tags, found none", path));
    return std::move(data_);
  }

 private:
  // What the hash of the data and the search for repetitions see besides the text.
  std::string TagsOfWords() const {
    std::string tags;
    for (const TaggedWord& word : words_) tags += word.tag + kListSeparator;
    return tags;
  }

  TaggedTexts data_;
  std::string text_;
  std::vector<TaggedWord> words_;
};

TaggedTexts ReadConll(const std::string& path, size_t max_row_bytes) {
  TaggedTextsBuilder builder(path);
  ByteStream stream(path);
  std::string line;
  size_t first_line = 1;
  for (size_t number = stream.line(); ReadLine(stream, max_row_bytes, line); number = stream.line()) {
    const std::vector<std::string_view> columns = Split(line, " \t");
    if (columns.empty()) {
      builder.EndSentence(first_line);
      first_line = stream.line();
    } else if (columns.front() == "-DOCSTART-" || line.starts_with("# ")) {
      first_line = stream.line();
    } else if (columns.size() == 1) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: expected a word and its tag, found '{}' alone", path, number, Printable(line, 40)));
    } else {
      builder.AddWord(columns.front(), columns.back());
    }
  }
  builder.EndSentence(first_line);
  return builder.Finish(path);
}

// The first of the usual names that is there, else the first of all, which what reads the file then misses.
std::string Recognise(const std::vector<std::string>& there, std::span<const char* const> usual) {
  for (const char* name : usual)
    if (std::find(there.begin(), there.end(), name) != there.end()) return name;
  return usual.front();
}

TaggedTexts ReadTagLists(const std::string& path, TagColumns columns, size_t max_row_bytes) {
  if (columns.words.empty() || columns.tags.empty()) {
    const std::vector<std::string> there = ColumnNames(path);
    if (columns.words.empty()) columns.words = Recognise(there, kWordColumns);
    if (columns.tags.empty()) columns.tags = Recognise(there, kTagColumns);
  }
  if (columns.words == columns.tags)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: expected different columns for words and tags, found {} twice", path, Quoted(columns.words)));
  TaggedTextsBuilder builder(path);
  const std::unique_ptr<TableReader> table =
      OpenTable(path, {.columns = {columns.words, columns.tags},
                       .max_row_bytes = max_row_bytes,
                       .list_separator = kListSeparator,
                       .column_hint = "--text-column and --target-column name the lists of words and of tags"});
  std::vector<std::string> cells;
  while (table->Next(cells)) {
    if (cells[0].empty()) continue;
    const std::vector<std::string> tokens = ItemsOf(cells[0]), tags = ItemsOf(cells[1]);
    if (tokens.size() != tags.size())
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: {} tokens have {} tags", path, table->line(), tokens.size(), tags.size()));
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tags[i].empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: the tag of token {} is empty", path, table->line(), i + 1));
      builder.AddWord(tokens[i], tags[i]);
    }
    builder.EndSentence(table->line());
  }
  TaggedTexts data = builder.Finish(path);
  data.columns = std::move(columns);
  return data;
}

}  // namespace

TaggedTexts ReadTaggedTexts(const std::string& path, const TagColumns& columns, size_t max_row_bytes) {
  const std::string extension = std::filesystem::path(path).extension().string();
  for (const char* conll : {".conll", ".iob", ".iob2", ".bio", ".txt"})
    if (extension == conll) return ReadConll(path, max_row_bytes);
  if (extension == ".jsonl" || extension == ".ndjson") {
    const bool spans = columns.words.empty() && columns.tags.empty() && HoldsEntitySpans(path, max_row_bytes);
    return spans ? ReadEntityTexts(path, max_row_bytes) : ReadTagLists(path, columns, max_row_bytes);
  }
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: expected words with tags in a file that ends in .conll, .iob, .bio, .txt or .jsonl", path),
              "a line of .conll is a word and its tag, a line of .jsonl {\"tokens\": [...], \"tags\": [...]} or {\"text\": ..., \"entities\": [...]}");
}

std::vector<std::string> TagsOf(const TaggedTexts& texts) {
  std::set<std::string> tags(texts.known_tags.begin(), texts.known_tags.end());
  for (const std::vector<TaggedWord>& words : texts.words)
    for (const TaggedWord& word : words) tags.insert(word.tag);
  std::vector<std::string> sorted;
  if (tags.erase("O") > 0) sorted.emplace_back("O");
  sorted.insert(sorted.end(), tags.begin(), tags.end());
  return sorted;
}

TaggedTexts Subset(const TaggedTexts& data, std::span<const size_t> rows) {
  TaggedTexts subset = {Subset(data.texts, rows), {}, data.known_tags, data.columns};
  for (const size_t row : rows) subset.words.push_back(data.words[row]);
  return subset;
}

}  // namespace mlac
