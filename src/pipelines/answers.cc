#include "pipelines/answers.h"

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "text/lower_case.h"

namespace mlac {
namespace {

constexpr float kImpossible = -10000.0f;  // the logit of tokens that are not the context's

// softmax over the tokens that an answer may have: those of the context, and the first, which stands for no answer.
std::vector<float> WindowProbabilities(const Encoding& window, int32_t cls, std::span<const float> logits, size_t column) {
  std::vector<float> values(window.token_ids.size());
  for (size_t t = 0; t < values.size(); ++t)
    values[t] = window.sequence_ids[t] == 1 || window.token_ids[t] == cls ? logits[2 * t + column] : kImpossible;
  kernels::Softmax(values.data(), 1, values.size(), values.data());
  return values;
}

// The first and last token of the word that token t belongs to, as far as it is in the window.
size_t WordBegin(const Tokenizer& tokenizer, const Encoding& window, size_t t) {
  while (t > 0 && window.sequence_ids[t - 1] == 1 && tokenizer.ContinuesWord(window.token_ids[t])) --t;
  return t;
}

size_t WordEnd(const Tokenizer& tokenizer, const Encoding& window, size_t t) {
  while (t + 1 < window.token_ids.size() && window.sequence_ids[t + 1] == 1 && tokenizer.ContinuesWord(window.token_ids[t + 1])) ++t;
  return t;
}

}  // namespace

AnswerFinder::AnswerFinder(const Tokenizer& tokenizer, std::string_view context, const AnswerOptions& options)
    : tokenizer_(tokenizer), context_(context), options_(options) {}

std::vector<AnswerFinder::Candidate> AnswerFinder::Best(const std::vector<float>& starts, const std::vector<float>& ends) const {
  // Some answers become one when they are drawn out to whole words.
  const size_t wanted = options_.align_to_words ? 2 * options_.top_k + 10 : options_.top_k;
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.start != b.start ? a.start < b.start : a.end < b.end;
  };
  std::vector<Candidate> best;  // a heap with the worst on top
  for (size_t start = 0; start < starts.size(); ++start)
    for (size_t end = start; end < std::min(ends.size(), start + options_.max_answer_length); ++end) {
      const Candidate candidate = {start, end, starts[start] * ends[end]};
      if (best.size() == wanted && !better(candidate, best.front())) continue;
      best.push_back(candidate);
      std::push_heap(best.begin(), best.end(), better);
      if (best.size() <= wanted) continue;
      std::pop_heap(best.begin(), best.end(), better);
      best.pop_back();
    }
  std::sort(best.begin(), best.end(), better);
  return best;
}

void AnswerFinder::Add(const Encoding& window, std::span<const float> logits) {
  const int32_t cls = tokenizer_.special_ids().cls;
  std::vector<float> starts = WindowProbabilities(window, cls, logits, 0), ends = WindowProbabilities(window, cls, logits, 1);
  if (options_.handle_impossible_answer) null_score_ = std::min(null_score_, starts[0] * ends[0]);
  starts[0] = ends[0] = 0;
  std::vector<TextSpan> spans = CodePointOffsets(window, {}, context_);
  for (const Candidate& candidate : Best(starts, ends)) {
    if (window.sequence_ids[candidate.start] != 1 || window.sequence_ids[candidate.end] != 1) continue;
    const size_t first = options_.align_to_words ? WordBegin(tokenizer_, window, candidate.start) : candidate.start;
    const size_t last = options_.align_to_words ? WordEnd(tokenizer_, window, candidate.end) : candidate.end;
    const size_t begin = window.offsets[first].begin, end = window.offsets[last].end;
    std::string text(context_.substr(begin, end - begin));
    const auto [place, is_new] = places_.try_emplace(LowerCase(text), answers_.size());
    if (is_new) {
      answers_.push_back({candidate.score, spans[first].begin, spans[last].end, std::move(text)});
    } else {
      answers_[place->second].score += candidate.score;
    }
  }
}

std::vector<Answer> AnswerFinder::Finish() {
  if (options_.handle_impossible_answer) answers_.push_back({null_score_, 0, 0, ""});
  std::stable_sort(answers_.begin(), answers_.end(), [](const Answer& a, const Answer& b) { return a.score > b.score; });
  if (answers_.size() > options_.top_k) answers_.resize(options_.top_k);
  return std::move(answers_);
}

}  // namespace mlac
