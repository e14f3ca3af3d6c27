#pragma once
// Sentences whose words have tags: names, places and the like.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/texts.h"

namespace mlac {

// A word of a sentence: bytes [begin, end) of its text.
struct TaggedWord {
  size_t begin = 0, end = 0;
  std::string tag;  // "O", "B-PER", "I-PER", ...
};

// The usual keys of .jsonl for a list of words and one of their tags, in the order in which they are looked for.
inline constexpr const char* kWordColumns[] = {"tokens", "words"};
inline constexpr const char* kTagColumns[] = {"tags", "ner_tags", "labels"};

// The keys that hold them, or "" for the first usual one that is there.
struct TagColumns {
  std::string words = {}, tags = {};
};

struct TaggedTexts {
  LabelledTexts texts;                          // no labels
  std::vector<std::vector<TaggedWord>> words;  // of each text
  std::vector<std::string> known_tags = {};     // that belong to the data although perhaps no word has them
  TagColumns columns = {};                      // of lists in .jsonl; else empty

  size_t size() const { return words.size(); }
};

// Reads, by the end of the name:
// - .conll, .iob, .bio, .txt: a word and its tag a line, apart by spaces or tabs (other columns between them are passed over), an empty line
//   behind each sentence; lines that begin with -DOCSTART- are passed over;
// - .jsonl: {"tokens": [...], "tags": [...]} with as many tags as tokens, under the names of `columns`; or, where no column is asked for,
//   texts with spans of characters (entity_texts.h), as the first row has it.
// The text of words is they with a space between.
// Throws kInvalidInput with the line for what is neither and for a file without sentences, kUnsupported for another name.
TaggedTexts ReadTaggedTexts(const std::string& path, const TagColumns& columns = {}, size_t max_row_bytes = size_t{16} << 20);

// The tags that occur or are known, "O" first, then by their bytes.
std::vector<std::string> TagsOf(const TaggedTexts& texts);

// The given rows, in the given order.
TaggedTexts Subset(const TaggedTexts& data, std::span<const size_t> rows);

}  // namespace mlac
