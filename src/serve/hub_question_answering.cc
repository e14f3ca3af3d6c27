// question-answering in Hugging Face's form.
#include <fmt/format.h>

#include "serve/hub_form.h"
#include "serve/hub_task_reader.h"
#include "serve/text_options.h"

namespace mlac {
namespace {

using Kind = JsonValue::Kind;

// Each window of a context keeps as many candidates, and compares them.
constexpr int64_t kMaxAnswers = 100;

std::pair<std::string, std::string> ReadQuestion(JsonValue& value) {
  std::pair<std::string, std::string> question;
  const std::string path = value.path();
  const auto read = [](JsonValue& field, std::string& into) {
    into = field.String();
    if (into.empty()) throw HttpError(400, fmt::format("'{}' cannot be empty", field.path()), field.path());
  };
  value.ForEachField([&](std::string_view name, JsonValue& field) {
    if (name == "question") read(field, question.first);
    if (name == "context") read(field, question.second);
  });
  if (question.first.empty()) throw MissingField(path + ".question");
  if (question.second.empty()) throw MissingField(path + ".context");
  return question;
}

// {"question", "context"}, or a list of those.
Inputs ReadQuestions(JsonValue& value, const InputLimits& limits) {
  Inputs inputs;
  if (value.kind() == Kind::kObject) {
    inputs.inputs.emplace_back(ReadQuestion(value));
    return inputs;
  }
  if (value.kind() != Kind::kArray) throw value.Error("{question, context}, or a list of those");
  inputs.is_batch = true;
  value.ForEachItem([&](JsonValue& item) {
    if (inputs.inputs.size() == limits.max_inputs)
      throw HttpError(limits.too_many_status, fmt::format("'{}' has more than {} inputs", value.path(), limits.max_inputs), value.path());
    inputs.inputs.emplace_back(ReadQuestion(item));
  });
  if (inputs.inputs.empty()) throw HttpError(400, fmt::format("'{}' cannot be empty", value.path()), value.path());
  return inputs;
}

void ReadParameter(std::string_view name, JsonValue& value, TaskOptions& options) {
  const auto count = [&](int64_t min) { return static_cast<size_t>(value.Integer(min, INT32_MAX)); };
  if (name == "top_k" || name == "topk") options.top_k = static_cast<size_t>(value.Integer(1, kMaxAnswers));
  if (name == "max_answer_len") options.max_answer_length = count(1);
  if (name == "max_seq_len") options.window = count(1);
  if (name == "doc_stride") options.doc_stride = count(0);
  if (name == "handle_impossible_answer") options.handle_impossible_answer = value.Bool();
  if (name == "align_to_words" || name == "align_to_word_boundaries") options.align_to_words = value.Bool();
}

}  // namespace

void HubQuestionAnswering(ModelCall call, HttpResponder responder) {
  HubTaskBody body = ReadHubTask(std::move(call.http.body), *call.service, ReadQuestions, ReadParameter);
  AnswerHubTask(std::move(call), std::move(body), MakeQuestionAnswering, std::move(responder));
}

}  // namespace mlac
