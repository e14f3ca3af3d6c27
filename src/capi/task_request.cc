#include "capi/task_request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>

#include "base/display.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "kernels/instruction_set.h"
#include "serve/json_reader.h"

namespace mlac {
namespace {

using Kind = JsonValue::Kind;
using Names = std::span<const std::string_view>;
using OnField = std::function<void(std::string_view name, JsonValue& value)>;

constexpr int kFieldStatus = 422;  // what JsonReader gives for a wrong field, and 400 for what is no JSON
constexpr int64_t kMaxThreads = 1024;

// Calls read for a field of an object that may have these; a null is as if it were not there. path: of the object, "" for the whole text.
void ReadField(std::string_view path, Names names, std::string_view name, JsonValue& value, const OnField& read) {
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::vector<std::string> known(names.begin(), names.end());
    std::string hint = DidYouMean(name, known);
    if (hint.empty()) hint = known.empty() ? "it takes none" : fmt::format("it takes {}", fmt::join(known, ", "));
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}': no field is called {}", path, Quoted(name)), hint);
  }
  if (value.kind() != Kind::kNull) read(name, value);
}

void ReadFields(JsonValue& object, Names names, const OnField& read) {
  const std::string path = object.path();
  object.ForEachField([&](std::string_view name, JsonValue& value) { ReadField(path, names, name, value, read); });
}

// The text that a caller passed as `argument`. Turns JsonReader's errors into those of the C API.
void ReadWhole(std::string_view text, std::string_view argument, Names names, const OnField& read) {
  try {
    // A batch has names for each of its texts; they take memory in proportion to what the caller already has.
    JsonReader(std::string(text), kFieldStatus, /*max_keys=*/SIZE_MAX).ReadObject([&](std::string_view name, JsonValue& value) {
      ReadField(argument, names, name, value, read);
    });
  } catch (const HttpError& error) {
    if (error.status() == kFieldStatus) throw Error(ErrorCode::kInvalidArgument, error.message(), error.hint());
    throw Error(ErrorCode::kInvalidInput, fmt::format("'{}': {}", argument, error.message()), error.hint());
  }
}

size_t Count(JsonValue& value, int64_t min, int64_t max = INT32_MAX) { return static_cast<size_t>(value.Integer(min, max)); }

// The best k; 0 for "all".
size_t TopK(JsonValue& value) {
  if (value.kind() != Kind::kString) return Count(value, 1);
  value.Choice({"all"});
  return 0;
}

std::vector<std::string> Strings(JsonValue& value) {
  std::vector<std::string> strings;
  value.ForEachItem([&](JsonValue& item) { strings.push_back(item.String()); });
  return strings;
}

ScoreFunction Function(JsonValue& value) {
  return std::array{ScoreFunction::kNone, ScoreFunction::kSigmoid, ScoreFunction::kSoftmax}[value.Choice({"none", "sigmoid", "softmax"})];
}

Aggregation Strategy(JsonValue& value) {
  return std::array{Aggregation::kNone, Aggregation::kSimple, Aggregation::kFirst, Aggregation::kAverage,
                    Aggregation::kMax}[value.Choice({"none", "simple", "first", "average", "max"})];
}

struct ParameterInfo {
  std::string_view task, name;
  void (*read)(JsonValue& value, TaskOptions& options);
};

// The parameters of each task, by the names that transformers gives them.
constexpr ParameterInfo kParameters[] = {
    {"feature-extraction", "prompt", [](JsonValue& value, TaskOptions& options) { options.prompt = value.String(); }},
    {"feature-extraction", "prompt_name", [](JsonValue& value, TaskOptions& options) { options.prompt_name = value.String(); }},
    {"feature-extraction", "tokens", [](JsonValue& value, TaskOptions& options) { options.tokens = value.Bool(); }},
    {"fill-mask", "top_k", [](JsonValue& value, TaskOptions& options) { options.top_k = TopK(value); }},
    {"fill-mask", "targets", [](JsonValue& value, TaskOptions& options) { options.targets = Strings(value); }},
    {"question-answering", "top_k", [](JsonValue& value, TaskOptions& options) { options.top_k = Count(value, 1); }},
    {"question-answering", "max_answer_len", [](JsonValue& value, TaskOptions& options) { options.max_answer_length = Count(value, 1); }},
    {"question-answering", "max_seq_len", [](JsonValue& value, TaskOptions& options) { options.window = Count(value, 1); }},
    {"question-answering", "doc_stride", [](JsonValue& value, TaskOptions& options) { options.doc_stride = Count(value, 0); }},
    {"question-answering", "handle_impossible_answer",
     [](JsonValue& value, TaskOptions& options) { options.handle_impossible_answer = value.Bool(); }},
    {"question-answering", "align_to_words", [](JsonValue& value, TaskOptions& options) { options.align_to_words = value.Bool(); }},
    {"sentence-similarity", "prompt", [](JsonValue& value, TaskOptions& options) { options.prompt = value.String(); }},
    {"sentence-similarity", "prompt_name", [](JsonValue& value, TaskOptions& options) { options.prompt_name = value.String(); }},
    {"text-classification", "top_k", [](JsonValue& value, TaskOptions& options) { options.top_k = TopK(value); }},
    {"text-classification", "function_to_apply",
     [](JsonValue& value, TaskOptions& options) { options.function_to_apply = Function(value); }},
    {"text-ranking", "top_k", [](JsonValue& value, TaskOptions& options) { options.top_k = TopK(value); }},
    {"text-ranking", "raw_scores", [](JsonValue& value, TaskOptions& options) { options.raw_scores = value.Bool(); }},
    {"token-classification", "aggregation_strategy", [](JsonValue& value, TaskOptions& options) { options.aggregation = Strategy(value); }},
    {"token-classification", "stride", [](JsonValue& value, TaskOptions& options) { options.stride = Count(value, 0); }},
    {"token-classification", "ignore_labels", [](JsonValue& value, TaskOptions& options) { options.ignore_labels = Strings(value); }},
    {"zero-shot-classification", "candidate_labels",
     [](JsonValue& value, TaskOptions& options) { options.candidate_labels = Strings(value); }},
    {"zero-shot-classification", "hypothesis_template",
     [](JsonValue& value, TaskOptions& options) { options.hypothesis_template = value.String(); }},
    {"zero-shot-classification", "multi_label", [](JsonValue& value, TaskOptions& options) { options.multi_label = value.Bool(); }},
};

void ReadParameters(JsonValue& object, std::string_view task, TaskOptions& options) {
  std::vector<std::string_view> names;
  for (const ParameterInfo& parameter : kParameters)
    if (parameter.task == task) names.push_back(parameter.name);
  ReadFields(object, names, [&](std::string_view name, JsonValue& value) {
    for (const ParameterInfo& parameter : kParameters)
      if (parameter.task == task && parameter.name == name) parameter.read(value, options);
  });
}

// Two texts by their names, which both have to be there.
TextInput ReadPair(JsonValue& object, std::string_view first, std::string_view second) {
  const std::array names = {first, second};
  std::optional<std::string> text;
  TextInput pair = {.text = {}, .pair = std::nullopt, .place = object.path()};
  ReadFields(object, names, [&](std::string_view name, JsonValue& value) { (name == first ? text : pair.pair) = value.String(); });
  if (!text || !pair.pair) throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}.{}' is missing", pair.place, text ? second : first));
  pair.text = std::move(*text);
  return pair;
}

// A text; where the task reads pairs {"text", "text_pair"} too; for question answering {"question", "context"}.
TextInput ReadText(JsonValue& value, TaskInput input) {
  if (input == TaskInput::kQuestionsWithContexts) {
    if (value.kind() != Kind::kObject) throw value.Error(R"({"question", "context"} or a list of those)");
    return ReadPair(value, "question", "context");
  }
  if (input == TaskInput::kTextsOrPairs && value.kind() == Kind::kObject) return ReadPair(value, "text", "text_pair");
  if (value.kind() != Kind::kString)
    throw value.Error(input == TaskInput::kTexts ? "a text or a list of texts" : R"(a text, {"text", "text_pair"}, or a list of those)");
  return {.text = value.String(), .pair = std::nullopt, .place = value.path()};
}

void ReadTexts(JsonValue& value, TaskInput input, TaskRequest& request) {
  request.is_batch = value.kind() == Kind::kArray;
  if (!request.is_batch) return request.texts.push_back(ReadText(value, input));
  value.ForEachItem([&](JsonValue& item) { request.texts.push_back(ReadText(item, input)); });
}

void ReadListOfTexts(JsonValue& value, TaskRequest& request) {
  if (value.kind() != Kind::kArray) throw value.Error("a list of texts");
  ReadTexts(value, TaskInput::kTexts, request);
}

// {"source_sentence", "sentences"}: the source first.
void ReadSentences(JsonValue& object, TaskRequest& request) {
  static constexpr std::array<std::string_view, 2> kNames = {"source_sentence", "sentences"};
  std::optional<TextInput> source;
  ReadFields(object, kNames, [&](std::string_view name, JsonValue& value) {
    if (name == "sentences") return ReadListOfTexts(value, request);
    source = ReadText(value, TaskInput::kTexts);
  });
  if (!source) throw Error(ErrorCode::kInvalidArgument, "'inputs.source_sentence' is missing");
  if (request.texts.empty()) throw Error(ErrorCode::kInvalidArgument, "'inputs.sentences' is missing or empty");
  request.texts.insert(request.texts.begin(), std::move(*source));
}

// {"query", "texts"}, with raw_scores beside them as text-embeddings-inference has it, or in "parameters".
TaskRequest ReadRanking(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kNames = {"query", "texts", "raw_scores", "parameters"};
  TaskRequest request;
  ReadWhole(text, "request", kNames, [&](std::string_view name, JsonValue& value) {
    if (name == "query") request.options.query = value.String();
    if (name == "texts") ReadListOfTexts(value, request);
    if (name == "raw_scores") request.options.raw_scores = value.Bool();
    if (name == "parameters") ReadParameters(value, "text-ranking", request.options);
  });
  if (request.options.query.empty()) throw Error(ErrorCode::kInvalidArgument, "'query' is missing or empty");
  if (request.texts.empty()) throw Error(ErrorCode::kInvalidArgument, "'texts' is missing or empty");
  return request;
}

}  // namespace

const TaskInfo& FindTask(std::string_view name) {
  std::vector<std::string> names;
  for (const TaskInfo& info : AllTasks()) {
    if (info.name == name) return info;
    names.emplace_back(info.name);
  }
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) hint = fmt::format("there are {}", fmt::join(names, ", "));
  throw Error(ErrorCode::kNotFound, fmt::format("there is no task {}", Quoted(name)), hint);
}

TaskRequest ReadTaskRequest(std::string_view text, const TaskInfo& info) {
  if (info.name == "text-ranking") return ReadRanking(text);
  static constexpr std::array<std::string_view, 2> kNames = {"inputs", "parameters"};
  TaskRequest request;
  ReadWhole(text, "request", kNames, [&](std::string_view name, JsonValue& value) {
    if (name == "parameters") return ReadParameters(value, info.name, request.options);
    if (info.name == "sentence-similarity") return ReadSentences(value, request);
    ReadTexts(value, info.input, request);
  });
  if (request.texts.empty()) throw Error(ErrorCode::kInvalidArgument, "'inputs' is missing or empty");
  return request;
}

TextModelOptions ReadOpenOptions(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kNames = {"threads", "max_length", "truncate", "dtype", "allow_slow", "adapter"};
  TextModelOptions options;
  bool allow_slow = false;
  ReadWhole(text, "options", kNames, [&](std::string_view name, JsonValue& value) {
    if (name == "threads") options.num_threads = Count(value, 1, kMaxThreads);
    if (name == "max_length") options.max_length = Count(value, 1);
    if (name == "truncate") options.truncate = value.Bool();
    if (name == "dtype") options.dtype = std::array{DType::kF32, DType::kBF16}[value.Choice({"f32", "bf16"})];
    if (name == "allow_slow") allow_slow = value.Bool();
    if (name == "adapter") options.adapter = value.String();
  });
  if (options.dtype == DType::kBF16 && !allow_slow && kernels::Bf16PathInUse() == kernels::Bf16Path::kNone)
    throw Error(ErrorCode::kUnsupported,
                "'dtype' is 'bf16': this processor multiplies no bf16 (AMX or AVX512-BF16), so it would not be faster",
                "\"allow_slow\": true computes it all the same, rounded to bf16 and multiplied in f32");
  return options;
}

}  // namespace mlac
