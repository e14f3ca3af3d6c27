#include "serve/inference_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/find_not_finite.h"
#include "models/inference.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;

// Requests up to this size become tokens on the thread that received them (some 50 us), and answers up to this size become text on
// the thread that computed them: handing them over would cost more. Likewise the answers of tasks to so many tokens.
constexpr size_t kMaxInlineBytes = 4096, kMaxInlineValues = 2048, kMaxInlineTokens = 512;
// Of the answers of a task, about. Long ones of a few tokens (all words for a mask) are no work for the thread that computes either.
constexpr double kMaxAnswerBytes = 64.0 * (1 << 20), kMaxInlineAnswerBytes = 32'768;

// UTF-8's leading bytes.
size_t CountCharacters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

size_t NumBytes(const InferenceInput& input) {
  if (const auto* text = std::get_if<std::string>(&input)) return text->size();
  if (const auto* pair = std::get_if<std::pair<std::string, std::string>>(&input)) return pair->first.size() + pair->second.size();
  return 0;
}

size_t NumCharacters(const InferenceInput& input) {
  if (const auto* text = std::get_if<std::string>(&input)) return CountCharacters(*text);
  if (const auto* pair = std::get_if<std::pair<std::string, std::string>>(&input)) return CountCharacters(pair->first) + CountCharacters(pair->second);
  if (const auto* tokens = std::get_if<QueuedSequence>(&input)) return tokens->token_ids.size();
  return std::get<std::vector<int32_t>>(input).size();
}

// Cuts the texts at their beginnings, each by as many tokens as `cut`, which is cut at their ends, has fewer of it. Returns how many of the
// first text went.
size_t TruncateLeft(Encoding& encoding, const Encoding& cut) {
  std::array<size_t, 2> surplus = {};
  for (const int8_t sequence : encoding.sequence_ids)
    if (sequence >= 0) ++surplus[static_cast<size_t>(sequence)];
  for (const int8_t sequence : cut.sequence_ids)
    if (sequence >= 0) --surplus[static_cast<size_t>(sequence)];
  const size_t num_cut = surplus[0];
  size_t kept = 0;
  for (size_t t = 0; t < encoding.token_ids.size(); ++t) {
    const int8_t sequence = encoding.sequence_ids[t];
    if (sequence >= 0 && surplus[static_cast<size_t>(sequence)] > 0) {
      --surplus[static_cast<size_t>(sequence)];
      continue;
    }
    encoding.token_ids[kept] = encoding.token_ids[t];
    encoding.token_type_ids[kept++] = encoding.token_type_ids[t];
  }
  encoding.token_ids.resize(kept);
  encoding.token_type_ids.resize(kept);
  encoding.truncated = true;
  return num_cut;
}

// Special tokens before the first of a text.
size_t NumLeadingSpecial(const Encoding& encoding) {
  return static_cast<size_t>(
      std::find_if(encoding.sequence_ids.begin(), encoding.sequence_ids.end(), [](int8_t sequence) { return sequence >= 0; }) -
      encoding.sequence_ids.begin());
}

void CheckFinite(std::span<const float> values) {
  if (FindNotFinite(values))
    throw HttpError(500, "the model gave a number that is not finite", "", "its weights are broken");
}

}  // namespace

// What is under way, on its way to an answer.
struct InferenceService::Request {
  Request(Slot held, HttpResponder to, std::shared_ptr<InferenceService> by, bool batch)
      : slot(std::move(held)), responder(std::move(to)), service(std::move(by)), is_batch(batch) {}
  Request(const Request&) = delete;
  virtual ~Request() = default;
  // What is sent. Throws what is wrong with what was computed.
  virtual HttpResponse Answer(std::vector<float> values) = 0;

  Slot slot;
  HttpResponder responder;
  std::shared_ptr<InferenceService> service;
  const bool is_batch;
  const Clock::time_point start = Clock::now();
  size_t num_texts = 0, num_tokens = 0, num_characters = 0, num_truncated = 0;
  double tokenization_ms = 0;
  bool answers_at_once = true;  // on the thread that computed it
};

// Inputs, and a protocol's form for the rows that they get.
struct InferenceService::Job : Request {
  Job(Slot held, HttpResponder to, std::shared_ptr<InferenceService> by, InferenceRequest what, Format form)
      : Request(std::move(held), std::move(to), std::move(by), what.is_batch),
        request(std::move(what)),
        format(std::move(form)),
        num_inputs(request.inputs.size()) {}
  HttpResponse Answer(std::vector<float> values) override {
    CheckFinite(values);
    if (request.output == Output::kSequence && service->model().is_classifier()) service->answers_->CountLabels(values);
    return format({.values = std::move(values), .num_inputs = num_inputs, .num_tokens = num_tokens, .offsets = std::move(offsets)});
  }

  InferenceRequest request;
  const Format format;
  const size_t num_inputs;
  std::vector<QueuedSequence> sequences;
  Offsets offsets = {0};  // of their tokens
  size_t num_prompt_tokens = 0;  // of the prompt before each text, where they do not count
};

// Texts of a task, which takes the rows as they come.
struct InferenceService::TaskJob : Request {
  TaskJob(Slot held, HttpResponder to, std::shared_ptr<InferenceService> by, TaskRequest what)
      : Request(std::move(held), std::move(to), std::move(by), what.is_batch), request(std::move(what)) {}
  const TextModel& model() const { return *service->model().text_model(); }
  HttpResponse Answer(std::vector<float>) override {
    std::string answers;
    if (is_batch) request.task->Begin(answers);
    request.task->Write(model(), request.texts, answers);
    if (is_batch) request.task->End(answers);
    num_truncated = request.task->num_truncated();
    return {.body = std::move(answers)};
  }

  TaskRequest request;
};

InferenceService::InferenceService(std::string name, std::unique_ptr<ServedModel> model, ModelOrigin origin,
                                   const InferenceServiceOptions& options, ComputeTurns& turns, ServeMetrics& metrics)
    : name_(std::move(name)),
      origin_(std::move(origin)),
      model_(std::move(model)),
      options_(options),
      metrics_(metrics),
      answers_(metrics.OfAnswers(name_, *model_)),
      turns_(turns),
      queue_({.row_sizes = {model_->row_size(Output::kSequence), model_->row_size(Output::kTokens), model_->row_size(Output::kTokenLabels),
                            model_->row_size(Output::kMasks)},
              .max_batch_tokens = options_.turn_tokens(),
              .max_lane_tokens = kRowsPerGroup,
              .min_lane_tokens = kFewestRowsPerGroup,
              .num_workers = model_->joins_batches() ? 1 : turns.num_lanes(),
              .starts_all = options_.starts_all_workers,
              .turns = model_->joins_batches() ? nullptr : &turns,
              .room = model_->row_room() != nullptr ? model_->row_room() : &room_,
              .on_batch = [this](const BatchStats& stats) { metrics_.CountBatch(name_, stats); }},
             [this](const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane) {
               if (model_->joins_batches()) return model_->ComputeInTurn(turns_, batch, wanted, out);
               model_->Compute(batch, wanted, out, lane);
             }) {}

void InferenceService::WarmUp(ComputeTurns& turns) {
  const auto make_batch = [this](size_t num_tokens) {
    const size_t length = model_->max_length() == 0 ? num_tokens : std::min(model_->max_length(), num_tokens);
    TokenBatch batch;
    for (size_t i = 0; i < std::max<size_t>(1, num_tokens / length); ++i) batch.offsets.push_back(batch.offsets.back() + length);
    batch.token_ids.resize(batch.offsets.back());
    batch.token_type_ids.resize(batch.offsets.back());
    return batch;
  };
  const TokenBatch batch = make_batch(options_.turn_tokens()), of_lane = make_batch(std::min(options_.turn_tokens(), kRowsPerGroup));
  for (const Output output : {Output::kSequence, Output::kTokenLabels, Output::kMasks}) {
    if (model_->row_size(output) == 0) continue;
    RowsWanted wanted = {output};
    if (output == Output::kMasks) wanted.tokens = std::span(batch.offsets).first(batch.num_sequences());  // one a sequence
    std::vector<float> out(NumRows(batch, wanted) * model_->row_size(output));
    if (model_->joins_batches()) {
      model_->ComputeInTurn(turns, batch, wanted, out);
      continue;
    }
    ComputeTurns::Party party;
    const ComputeTurns::Turn turn = turns.Take(party);
    model_->Compute(batch, wanted, out, kWholeTeam);
    if (output == Output::kMasks) wanted.tokens = std::span(of_lane.offsets).first(of_lane.num_sequences());
    for (size_t lane = 0; turns.num_lanes() > 1 && lane < turns.num_lanes(); ++lane)
      model_->Compute(of_lane, wanted, std::span(out).first(NumRows(of_lane, wanted) * model_->row_size(output)), lane);
  }
}

void InferenceService::Stop() {
  worker_.Stop();  // which gives work to the queue
  queue_.Stop();   // which gives work to the worker, dropped now
}

InferenceService::Slot InferenceService::Admit() {
  if (num_in_flight_->fetch_add(1) >= options_.max_concurrent_requests) {
    num_in_flight_->fetch_sub(1);
    return nullptr;
  }
  return Slot(num_in_flight_.get(), [count = num_in_flight_](void*) { count->fetch_sub(1); });
}

HttpError InferenceService::Overloaded() {
  HttpError error(429, "the model is overloaded", "", "try again in a moment");
  error.fields = {{"retry-after", "1"}};
  return error;
}

void InferenceService::Infer(Slot slot, InferenceRequest request, HttpResponder responder, Format format) {
  size_t num_bytes = 0;
  for (const InferenceInput& input : request.inputs) num_bytes += NumBytes(input) + request.prompt.size() + request.query.size();
  const auto job = std::make_shared<Job>(std::move(slot), std::move(responder), shared_from_this(), std::move(request), std::move(format));
  if (num_bytes <= kMaxInlineBytes) return Start(job);
  InBackground(job->responder, [this, job] { Start(job); });
}

void InferenceService::InBackground(HttpResponder responder, std::function<void()> work) {
  worker_.Post([responder = std::move(responder), work = std::move(work)] {
    if (responder.cancelled()) return;
    try {
      work();
    } catch (...) {
      responder.SendError(std::current_exception());
    }
  });
}

void InferenceService::Answer(Slot slot, TaskRequest request, HttpResponder responder) {
  const auto job = std::make_shared<TaskJob>(std::move(slot), std::move(responder), shared_from_this(), std::move(request));
  InBackground(job->responder, [this, job] { StartTask(job); });  // a task may make many sequences of a short text
}

// Throws HttpError for an input that cannot be computed.
void InferenceService::Encode(Job& job) const {
  const Clock::time_point start = Clock::now();
  job.sequences.resize(job.num_inputs);
  job.num_texts = job.num_inputs;
  job.num_characters = job.num_inputs * CountCharacters(job.request.query);
  if (!model_->pools_prompt() && job.request.output == Output::kSequence)
    job.num_prompt_tokens = NumPromptTokens(model_->tokenizer(), job.request.prompt, model_->max_length());
  for (size_t i = 0; i < job.num_inputs; ++i) {
    QueuedSequence& sequence = job.sequences[i];
    job.num_characters += NumCharacters(job.request.inputs[i]);
    EncodeText(job, i, sequence);
    job.num_tokens += sequence.token_ids.size();
    job.offsets.push_back(job.num_tokens);
    metrics_.CountInput(sequence.token_ids.size());
  }
  job.request.inputs.clear();
  const size_t num_values =
      (job.request.output == Output::kTokens ? job.num_tokens : job.num_inputs) * model_->row_size(job.request.output);
  if (num_values > options_.max_answer_values)
    throw HttpError(
        413, fmt::format("the answer to '{}' would hold {} numbers; at most {} are given at a time", job.request.field, num_values, options_.max_answer_values),
        std::string(job.request.field), "send the inputs in several requests");
  job.answers_at_once = num_values <= kMaxInlineValues;
  job.tokenization_ms = MillisecondsSince(start);
}

void InferenceService::EncodeText(Job& job, size_t index, QueuedSequence& sequence) const {
  InferenceInput& input = job.request.inputs[index];
  const size_t max_length = model_->max_length();
  if (auto* tokens = std::get_if<QueuedSequence>(&input)) {
    sequence = std::move(*tokens);
    return;
  }
  const std::string field = job.request.name_input ? job.request.name_input(index)
                            : job.request.is_batch ? fmt::format("{}[{}]", job.request.field, index)
                                                   : std::string(job.request.field);
  const auto too_long = [&](size_t num_tokens) {
    return HttpError(job.request.field_status, fmt::format("'{}' has {} tokens; the model takes at most {}", field, num_tokens, max_length),
                     field,
                     job.request.takes_truncate ? "shorten it, or set \"truncate\": true"
                                                : "shorten it, or start the server with --auto-truncate, which cuts longer texts")
        .Because("too_long");
  };
  if (auto* ids = std::get_if<std::vector<int32_t>>(&input)) {
    const size_t vocab_size = model_->vocab_size();
    for (const int32_t id : *ids)
      if (id < 0 || static_cast<size_t>(id) >= vocab_size)
        throw HttpError(job.request.field_status,
                        fmt::format("'{}' has the token id {}; those of the model are 0 to {}", field, id, vocab_size - 1), field);
    if (max_length != 0 && ids->size() > max_length) {
      if (!job.request.truncate) throw too_long(ids->size());
      const ptrdiff_t surplus = static_cast<ptrdiff_t>(ids->size() - max_length);
      const auto begin = job.request.truncate_left ? ids->begin() : ids->end() - surplus;
      ids->erase(begin, begin + surplus);
      ++job.num_truncated;
    }
    sequence.token_type_ids.resize(ids->size());
    sequence.token_ids = std::move(*ids);
    return;
  }

  const auto encode = [&](const EncodeOptions& options) {
    const Tokenizer& tokenizer = model_->tokenizer();
    const std::string &prompt = job.request.prompt, &query = job.request.query;
    const auto* text = std::get_if<std::string>(&input);
    if (text != nullptr && query.empty()) return tokenizer.Encode(prompt.empty() ? *text : prompt + *text, options);
    const auto* pair = std::get_if<std::pair<std::string, std::string>>(&input);
    const std::string &first = pair != nullptr ? pair->first : query, &second = pair != nullptr ? pair->second : *text;
    return tokenizer.EncodePair(prompt.empty() ? first : prompt + first, second, options);
  };
  Encoding encoding;
  const bool left = job.request.truncate && job.request.truncate_left;
  const EncodeOptions at_end = {.max_length = max_length, .truncate = true};
  size_t num_prompt_tokens = job.num_prompt_tokens;
  try {
    encoding = encode(job.request.truncate && !left ? at_end : EncodeOptions());
    if (left && max_length != 0 && encoding.token_ids.size() > max_length) {
      const size_t num_cut = TruncateLeft(encoding, encode(at_end)), begin = NumLeadingSpecial(encoding);
      num_prompt_tokens = std::max(num_prompt_tokens, begin + num_cut) - num_cut;
    }
  } catch (const Error& error) {
    throw HttpError(job.request.field_status, fmt::format("'{}': {}", field, error.message()), field, error.hint());
  }
  if (max_length != 0 && encoding.token_ids.size() > max_length) throw too_long(encoding.token_ids.size());
  if (encoding.token_ids.empty()) throw HttpError(job.request.field_status, fmt::format("'{}' has no tokens", field), field);
  job.num_truncated += encoding.truncated;
  // A token is left, even where the text went on with the prompt's last word.
  if (job.num_prompt_tokens > 0) sequence.tokens = {std::min(num_prompt_tokens, encoding.token_ids.size() - 1)};
  sequence.token_ids = std::move(encoding.token_ids);
  sequence.token_type_ids = std::move(encoding.token_type_ids);
}

void InferenceService::Start(const std::shared_ptr<Job>& job) {
  Encode(*job);
  Enqueue(job, std::move(job->sequences), job->request.output);
}

// What has to be computed for the task. Throws HttpError for what it refuses.
std::vector<QueuedSequence> InferenceService::Ask(TaskJob& job, Output& output) const {
  const Clock::time_point start = Clock::now();
  TaskBatch asked;
  try {
    asked = job.request.task->Ask(job.model(), job.request.texts);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kIo) throw;
    throw HttpError(job.request.field_status, error.message(), "inputs");  // its hint is about the command line
  }
  if (asked.num_answer_bytes > kMaxAnswerBytes)
    throw HttpError(413,
                    fmt::format("the answer would have some {:.0f} MiB; at most {:.0f} are given at a time",
                                asked.num_answer_bytes / (1 << 20), kMaxAnswerBytes / (1 << 20)),
                    "parameters.top_k", "ask for fewer answers, or send the inputs in several requests");
  const TokenBatch& batch = asked.batch;
  const auto part = [](const auto& values, size_t begin, size_t end) {
    return std::vector(values.begin() + static_cast<ptrdiff_t>(begin), values.begin() + static_cast<ptrdiff_t>(end));
  };
  std::vector<QueuedSequence> sequences;
  for (size_t s = 0; s < batch.num_sequences(); ++s) {
    const size_t begin = batch.offsets[s], end = batch.offsets[s + 1];
    sequences.push_back(
        {part(batch.token_ids, begin, end), part(batch.token_type_ids, begin, end), TokensWithin(asked.wanted(), begin, end)});
    metrics_.CountInput(end - begin);
  }
  for (const TextInput& text : job.request.texts)
    job.num_characters += CountCharacters(text.text) + (text.pair ? CountCharacters(*text.pair) : 0);
  job.num_texts = job.request.texts.size();
  job.num_tokens = batch.num_tokens();
  job.answers_at_once = job.num_tokens <= kMaxInlineTokens && asked.num_answer_bytes <= kMaxInlineAnswerBytes;
  job.tokenization_ms = MillisecondsSince(start);
  output = asked.output;
  return sequences;
}

void InferenceService::StartTask(const std::shared_ptr<TaskJob>& job) {
  Output output = Output::kSequence;
  std::vector<QueuedSequence> sequences = Ask(*job, output);
  Enqueue(job, std::move(sequences), output, [job](size_t index, std::span<const float> rows) {
    CheckFinite(rows);
    job->request.task->Take(job->model(), index, rows);
  });
}

// take: as BatchQueue::Submit's.
void InferenceService::Enqueue(const std::shared_ptr<Request>& request, std::vector<QueuedSequence> sequences, Output output,
                               BatchQueue::Take take) {
  const auto done = [this, request](BatchResult result) {
    if (request->answers_at_once || result.error) return Finish(*request, std::move(result));
    try {
      const auto shared = std::make_shared<BatchResult>(std::move(result));
      worker_.Post([this, request, shared] { Finish(*request, std::move(*shared)); });
    } catch (...) {  // no memory to hand it over
      request->slot.reset();
      request->responder.SendError(std::current_exception());
    }
  };
  const BatchQueue::Ticket ticket = queue_.Submit(std::move(sequences), done, output, std::move(take));
  // A ticket does no harm when its request has gone; the service may have gone with it.
  request->responder.OnCancel([service = weak_from_this(), ticket] {
    if (const auto held = service.lock()) held->queue_.Cancel(ticket);
  });
}

void InferenceService::Finish(Request& request, BatchResult result) {
  if (request.responder.cancelled()) return;
  try {
    if (result.error) std::rethrow_exception(result.error);
    HttpResponse response = request.Answer(std::move(result.values));
    const double total_ms = MillisecondsSince(request.start);
    const auto whole = [](double milliseconds) { return fmt::format("{:.0f}", milliseconds); };
    response.fields.insert(response.fields.end(), {{"x-compute-type", "cpu"},
                                                   {"x-compute-time", whole(total_ms)},
                                                   {"x-compute-characters", fmt::to_string(request.num_characters)},
                                                   {"x-compute-tokens", fmt::to_string(request.num_tokens)},
                                                   {"x-total-time", whole(total_ms)},
                                                   {"x-tokenization-time", whole(request.tokenization_ms)},
                                                   {"x-queue-time", whole(result.queue_ms)},
                                                   {"x-inference-time", whole(result.compute_ms)}});
    if (request.num_truncated > 0) response.fields.push_back({"x-truncated-inputs", fmt::to_string(request.num_truncated)});
    response.notes = {{"tokens", fmt::to_string(request.num_tokens)},
                      {"queue_ms", fmt::format("{:.3f}", result.queue_ms)},
                      {"compute_ms", fmt::format("{:.3f}", result.compute_ms)}};
    if (request.num_truncated > 0) response.notes.push_back({"truncated", fmt::to_string(request.num_truncated)});
    answers_->CountTexts(request.num_texts, request.num_truncated);
    metrics_.CountInference({.is_batch = request.is_batch,
                             .num_tokens = request.num_tokens,
                             .total_ms = total_ms,
                             .tokenization_ms = request.tokenization_ms,
                             .queue_ms = result.queue_ms,
                             .compute_ms = result.compute_ms});
    request.slot.reset();  // before the client knows, who may come again at once
    request.responder.Send(std::move(response));
  } catch (...) {
    request.slot.reset();
    request.responder.SendError(std::current_exception());
  }
}

}  // namespace mlac
