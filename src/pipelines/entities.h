#pragma once
// From probabilities of tokens to entities, as transformers 4.57 joins them (pipelines/token_classification.py).
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "pipelines/task.h"
#include "text/tokenizer.h"

namespace mlac {

struct Entity {
  std::string label;     // of a token "B-PER"; of a group "PER"
  float score = 0;       // the mean of its tokens'
  size_t index = 0;      // of a token by itself: its place in the sequence, special tokens counted
  std::string word;      // the token, or those of the group joined
  size_t begin = 0, end = 0;  // in code points of the text
};

// The entities of one window. probabilities: [tokens, labels]. text: what the encoding's offsets are in.
std::vector<Entity> FindEntities(const Tokenizer& tokenizer, const Encoding& encoding, std::string_view text, std::span<const float> probabilities,
                                 std::span<const std::string> label_names, Aggregation aggregation);

// Entities of windows that overlap: of two that begin within each other the longer one stays, of equally long ones the more probable.
std::vector<Entity> JoinWindows(std::vector<Entity> entities);

}  // namespace mlac
