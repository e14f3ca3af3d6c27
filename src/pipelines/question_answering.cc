// question-answering: the part of a context that answers a question. Contexts that are too long are read through windows that overlap.
// JSON, as transformers' pipeline for a list of questions: {"score", "start", "end", "answer"} for each, or with several answers a list of them; start
// and end are code points. Text: score, start, end and answer a line.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "data/texts.h"
#include "pipelines/answers.h"
#include "pipelines/sequence_task.h"
#include "text/windows.h"

namespace mlac {
namespace {

// transformers' defaults.
constexpr size_t kWindow = 384, kDocStride = 128;

class QuestionAnswering : public SequenceTask {
 public:
  explicit QuestionAnswering(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    if (options.max_answer_length == 0) throw Error(ErrorCode::kInvalidArgument, "question-answering: an answer must be allowed at least one token");
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  TaskBatch Ask(const TextModel& model, std::span<const TextInput> texts) override {
    model.Require("question-answering");
    TaskBatch asked = {.batch = {}, .output = Output::kTokenLabels};
    windows_.clear();
    for (const TextInput& text : texts)
      for (Encoding& window : Windows(model, text)) {
        Append(window, asked.batch);
        asked.num_answer_bytes += MaxAnswerBytes(window, *text.pair);
        windows_.push_back({&text, std::move(window), {}});
      }
    return asked;
  }

  // Answers that several windows have add up, in the order of the windows, so they are looked for at the end.
  void Take(const TextModel&, size_t sequence, std::span<const float> rows) override {
    windows_[sequence].logits.assign(rows.begin(), rows.end());
  }

  void Write(const TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    auto window = windows_.begin();
    for (const TextInput& text : texts) {
      AnswerFinder finder(model.tokenizer(), *text.pair, FinderOptions());
      for (; window != windows_.end() && window->text == &text; ++window) finder.Add(window->encoding, window->logits);
      AppendAnswers(finder.Finish(), text, out);
    }
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  struct Window {
    const TextInput* text;
    Encoding encoding;
    std::vector<float> logits;  // [tokens, 2]
  };

  AnswerOptions FinderOptions() const {
    return {.top_k = std::max<size_t>(1, options_.top_k.value_or(1)),
            .max_answer_length = options_.max_answer_length,
            .handle_impossible_answer = options_.handle_impossible_answer,
            .align_to_words = options_.align_to_words};
  }

  // About, of the answers of a window: those that are looked at are kept until the last window.
  double MaxAnswerBytes(const Encoding& window, const std::string& context) const {
    constexpr double kBytesBesideText = 200;
    const size_t num_tokens = window.token_ids.size(), num_tokens_of_all = std::max(num_tokens, window.num_tokens_before_truncation);
    const double longest = static_cast<double>(std::min(options_.max_answer_length, num_tokens));
    const double bytes_a_token = static_cast<double>(context.size()) / static_cast<double>(num_tokens_of_all);
    const double count = std::min(2.0 * static_cast<double>(FinderOptions().top_k) + 10, static_cast<double>(num_tokens) * longest);
    return count * (kBytesBesideText + 2 * bytes_a_token * longest);
  }

  std::vector<Encoding> Windows(const TextModel& model, const TextInput& text) const {
    if (!text.pair) throw Error(ErrorCode::kInvalidArgument, "question-answering: expected a context beside the question, found none");
    for (const auto& [name, value] : {std::pair<const char*, const std::string&>{"question", text.text}, {"context", *text.pair}})
      if (!options_.takes_blank && IsBlank(value))
        throw Error(ErrorCode::kInvalidInput,
                    fmt::format("{}question-answering: the {} is empty", text.place.empty() ? "" : text.place + ": ", name));
    const size_t length = options_.window.value_or(std::min(model.max_length(), kWindow));
    if (length > model.max_length())
      throw Error(ErrorCode::kInvalidArgument, fmt::format("question-answering: a window of {} tokens; the model takes {}", length, model.max_length()));
    return CutIntoWindows(model.EncodeWhole(text), length, options_.doc_stride.value_or(std::min(length / 2, kDocStride)),
                          options_.max_windows - windows_.size());
  }

  void AppendAnswers(const std::vector<Answer>& answers, const TextInput& text, std::string& out) {
    if (!json_) {
      if (answers.size() != 1) out += Printable(text.text) + '\n';
      for (const Answer& answer : answers)
        out += fmt::format("{:.4f}\t{}-{}\t{}\n", answer.score, answer.begin, answer.end, Printable(answer.text));
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
  std::vector<Window> windows_;
};

}  // namespace

std::unique_ptr<SequenceTask> MakeQuestionAnswering(const TaskOptions& options) { return std::make_unique<QuestionAnswering>(options); }

}  // namespace mlac
