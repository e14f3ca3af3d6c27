#pragma once
// Texts with their entities as spans of characters, as tools for annotation write them.
#include <cstddef>
#include <string>

#include "train/tagged_texts.h"

namespace mlac {

// Whether the first row of a .jsonl file has a "text" and no words with tags under their usual names (kWordColumns, kTagColumns). Not of
// what is no JSON, which its reader refuses.
bool HoldsEntitySpans(const std::string& path, size_t max_row_bytes);

// Rows of {"text", "entities": [{"start", "end", "label"}, ...]}, code points [start, end) of the text. The list may be called "spans"
// (Prodigy), "label" or "labels" (Doccano), too, and its items may be triples [start, end, label]; a row without it has no entities. Words
// are what white space and punctuation part, and where an entity begins or ends; they are tagged O, B-label and I-label, and both tags of
// each label count as known. Throws kInvalidInput with the line for rows that are something else, for spans that are empty, of white space
// alone or beyond the text, and for two that overlap (the same one twice is one).
TaggedTexts ReadEntityTexts(const std::string& path, size_t max_row_bytes);

}  // namespace mlac
