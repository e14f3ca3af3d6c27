#pragma once
// Questions about contexts, with the parts of the context that answer them: the data of question answering.
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "data/check.h"
#include "data/texts.h"

namespace mlac {

// How an answer's text and its answer_start agree with the context.
enum class AnswerPlace {
  kExact,    // it stands there
  kMoved,    // it stands elsewhere: at most 20 code points away, or once in the whole context
  kNowhere,  // neither: it cannot be learnt
};

// An answer that a person gave.
struct GoldAnswer {
  std::string text;
  size_t begin = 0, end = 0;  // bytes of the context; where it stands, if anywhere
  AnswerPlace place = AnswerPlace::kExact;
};

struct Questions {
  LabelledTexts texts;                           // texts: the questions, pairs: the context of each; no labels. files: of .json the ids
  std::vector<std::vector<GoldAnswer>> answers;  // of each question; none: the context does not answer it

  size_t size() const { return answers.size(); }
  // The first answer of a question that stands in its context, or nullptr.
  const GoldAnswer* AnswerOf(size_t question) const;
  bool HasUnanswerable() const;
};

// Reads, by the end of the name:
// - .json: SQuAD's format, 1.1 or 2.0: data[].paragraphs[] with context and qas[] of id, question, answers[] of text and answer_start,
// is_impossible;
// - .jsonl: rows of {question, context, answers: {text: [...], answer_start: [...]}} as the Hub has SQuAD, id if there is one; the same in
//   a list, or under "data", of a .json file.
// answer_start counts code points. Throws kInvalidInput with the place for what is neither and for a file without questions, kUnsupported
// for another name.
Questions ReadQuestions(const std::string& path, size_t max_row_bytes = size_t{16} << 20);

// The given rows, in the given order.
Questions Subset(const Questions& data, std::span<const size_t> rows);

// What is to be said of answers that do not stand where answer_start says. name: "train"; trained: whether it is learnt from.
std::vector<Finding> CheckAnswers(const Questions& data, const std::string& name, bool trained);

}  // namespace mlac
