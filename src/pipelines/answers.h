#pragma once
// From logits of where an answer starts and ends to answers, as transformers 4.57 finds them (pipelines/question_answering.py).
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace mlac {

struct Answer {
  float score = 0;
  size_t begin = 0, end = 0;  // in code points of the context
  std::string text;
};

struct AnswerOptions {
  size_t top_k = 1;
  size_t max_answer_length = 15;  // in tokens
  bool handle_impossible_answer = false;
  bool align_to_words = true;
};

// Collects the answers of the windows of one context.
class AnswerFinder {
 public:
  // tokenizer, context: must outlive the finder.
  AnswerFinder(const Tokenizer& tokenizer, std::string_view context, const AnswerOptions& options);

  // A window of question and context. logits: [tokens, 2], starts and ends.
  void Add(const Encoding& window, std::span<const float> logits);
  // The best answers, most probable first; the empty one among them where options allow it.
  std::vector<Answer> Finish();

 private:
  struct Candidate {
    size_t start, end;
    float score;
  };
  std::vector<Candidate> Best(const std::vector<float>& starts, const std::vector<float>& ends) const;

  const Tokenizer& tokenizer_;
  std::string_view context_;
  AnswerOptions options_;
  std::vector<Answer> answers_;
  std::unordered_map<std::string, size_t> places_;  // in answers_, by the text without regard to case
  float null_score_ = 1e6f;
};

}  // namespace mlac
