#pragma once
// Texts in the order of their scores: what text-ranking and a search among vectors print.
#include <cstddef>
#include <string>
#include <vector>

#include "pipelines/task.h"

namespace mlac {

class RankedTexts {
 public:
  // limit: how many of the best are kept, so that memory does not grow with the number of texts; 0: all.
  RankedTexts(size_t limit, OutputFormat format) : limit_(limit), json_(format == OutputFormat::kJson) {}

  // index: its number among the texts, from 0. score: a finite number.
  void Add(size_t index, float score, const std::string& text);
  // Best first; of equals the one with the lower index. JSON: [{"index", "score"}, ...] and a line end. Text: index, score and text a line.
  void Write(std::string& out);

 private:
  struct Ranked {
    size_t index;
    float score;
    std::string text;  // where it is to be shown
    bool operator<(const Ranked& other) const { return score != other.score ? score > other.score : index < other.index; }
  };

  size_t limit_;
  bool json_;
  std::vector<Ranked> ranked_;  // with a limit a heap, the worst on top
};

}  // namespace mlac
