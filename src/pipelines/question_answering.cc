// question-answering: the part of a context that answers a question. Contexts that are too long are read through windows that overlap.
// JSON, as transformers' pipeline for a list of questions: {"score", "start", "end", "answer"} for each, or with several answers a list of them; start
// and end are code points. Text: score, start, end and answer a line.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/answers.h"
#include "pipelines/task.h"
#include "text/windows.h"

namespace mlac {
namespace {

// transformers' defaults.
constexpr size_t kWindow = 384, kDocStride = 128;

class QuestionAnswering : public Task {
 public:
  explicit QuestionAnswering(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    if (options.max_answer_length == 0) throw Error(ErrorCode::kInvalidArgument, "question-answering: an answer must be allowed at least one token");
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    model.Require("question-answering");
    TokenBatch batch;
    std::vector<std::vector<Encoding>> windows;  // of each question
    for (const TextInput& text : texts) {
      windows.push_back(Windows(model, text));
      for (const Encoding& window : windows.back()) Append(window, batch);
    }
    const std::vector<float> logits = model.TokenLogits(batch);
    const AnswerOptions options = {.top_k = std::max<size_t>(1, options_.top_k.value_or(1)), .max_answer_length = options_.max_answer_length,
                                   .handle_impossible_answer = options_.handle_impossible_answer, .align_to_words = options_.align_to_words};
    size_t sequence = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      AnswerFinder finder(model.tokenizer(), *texts[i].pair, options);
      for (const Encoding& window : windows[i]) {
        const size_t begin = batch.offsets[sequence], end = batch.offsets[++sequence];
        finder.Add(window, std::span(logits).subspan(2 * begin, 2 * (end - begin)));
      }
      AppendAnswers(finder.Finish(), texts[i], out);
    }
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  std::vector<Encoding> Windows(const TextModel& model, const TextInput& text) const {
    if (!text.pair) throw Error(ErrorCode::kInvalidArgument, "question-answering: expected a context beside the question, found none");
    const size_t length = options_.window.value_or(std::min(model.max_length(), kWindow));
    if (length > model.max_length())
      throw Error(ErrorCode::kInvalidArgument, fmt::format("question-answering: a window of {} tokens; the model takes {}", length, model.max_length()));
    return CutIntoWindows(model.EncodeWhole(text), length, options_.doc_stride.value_or(std::min(length / 2, kDocStride)));
  }

  void AppendAnswers(const std::vector<Answer>& answers, const TextInput& text, std::string& out) {
    if (!json_) {
      if (answers.size() != 1) out += text.text + '\n';
      for (const Answer& answer : answers) out += fmt::format("{:.4f}\t{}-{}\t{}\n", answer.score, answer.begin, answer.end, answer.text);
      return;
    }
    if (!first_) out += ", ";
    first_ = false;
    if (answers.size() != 1) out += '[';
    for (size_t i = 0; i < answers.size(); ++i) {
      out += i > 0 ? ", {\"score\": " : "{\"score\": ";
      AppendFloat(out, answers[i].score);
      out += fmt::format(", \"start\": {}, \"end\": {}, \"answer\": ", answers[i].begin, answers[i].end);
      AppendJsonString(out, answers[i].text);
      out += '}';
    }
    if (answers.size() != 1) out += ']';
  }

  TaskOptions options_;
  bool json_, first_ = true;
};

}  // namespace

std::unique_ptr<Task> MakeQuestionAnswering(const TaskOptions& options) { return std::make_unique<QuestionAnswering>(options); }

}  // namespace mlac
