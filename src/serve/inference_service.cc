#include "serve/inference_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace mlac {
namespace {

using Clock = std::chrono::steady_clock;

// Requests up to this size become tokens on the thread that received them (some 50 us), and answers up to this size become text on
// the thread that computed them: handing them over would cost more.
constexpr size_t kMaxInlineBytes = 4096, kMaxInlineValues = 2048;
// Of a task that answers by itself: other models wait for no more of it.
constexpr size_t kTextsPerTurn = 8;

double MillisecondsSince(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

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

// Cuts tokens at the beginning of the text, behind the special ones, until max_length are left.
void TruncateLeft(Encoding& encoding, size_t max_length) {
  const size_t surplus = encoding.token_ids.size() - max_length;
  size_t begin = 0;
  while (begin < encoding.token_ids.size() && encoding.special_tokens_mask[begin] != 0) ++begin;
  const auto cut = [&](auto& values) {
    values.erase(values.begin() + static_cast<ptrdiff_t>(begin), values.begin() + static_cast<ptrdiff_t>(begin + surplus));
  };
  cut(encoding.token_ids);
  cut(encoding.token_type_ids);
  encoding.truncated = true;
}

}  // namespace

struct InferenceService::Job {
  Slot slot;
  InferenceRequest request;
  HttpResponder responder;
  Format format;
  Clock::time_point start = Clock::now();
  std::shared_ptr<InferenceService> service;
  size_t num_inputs, num_tokens = 0, num_characters = 0, num_truncated = 0;
  double tokenization_ms = 0;
  std::vector<QueuedSequence> sequences;
  Offsets offsets = {0};  // of their tokens
};

InferenceService::InferenceService(std::string name, std::unique_ptr<ServedModel> model, ModelOrigin origin, const InferenceServiceOptions& options,
                                   ComputeTurns& turns, ServeMetrics& metrics)
    : name_(std::move(name)),
      origin_(std::move(origin)),
      model_(std::move(model)),
      options_(options),
      metrics_(metrics),
      turns_(turns),
      queue_({.output_size = model_->output_size(),
              .token_output_size = model_->token_output_size(),
              .max_batch_tokens = options_.max_batch_tokens,
              .max_request_tokens = options_.max_request_tokens,
              .turns = model_->joins_batches() ? nullptr : &turns,
              .on_batch = [this](const BatchStats& stats) { metrics_.CountBatch(name_, stats); }},
             [this](const TokenBatch& batch, Output output, std::span<float> out) {
               if (model_->joins_batches()) return model_->ComputeInTurn(turns_, batch, output, out);
               model_->Compute(batch, output, out);
             }) {}

void InferenceService::WarmUp(ComputeTurns& turns) {
  const size_t num_tokens = std::min(options_.max_request_tokens, options_.max_batch_tokens);
  const size_t length = model_->max_length() == 0 ? num_tokens : std::min(model_->max_length(), num_tokens);
  TokenBatch batch;
  for (size_t i = 0; i < std::max<size_t>(1, num_tokens / length); ++i) batch.offsets.push_back(batch.offsets.back() + length);
  batch.token_ids.resize(batch.offsets.back());
  batch.token_type_ids.resize(batch.offsets.back());
  std::vector<float> out(batch.num_sequences() * model_->output_size());
  if (model_->joins_batches()) return model_->ComputeInTurn(turns, batch, Output::kSequence, out);
  ComputeTurns::Party party;
  const ComputeTurns::Turn turn = turns.Take(party);
  model_->Compute(batch, Output::kSequence, out);
}

void InferenceService::Stop() {
  worker_.Stop();  // which gives work to the queue
  queue_.Stop();   // which gives work to the worker, dropped now
}

InferenceService::Slot InferenceService::Admit() {
  if (num_in_flight_->fetch_add(1) >= options_.max_concurrent_requests) {
    num_in_flight_->fetch_sub(1);
    HttpError error(429, "the model is overloaded", "", "try again in a moment");
    error.fields = {{"retry-after", "1"}};
    throw error;
  }
  return Slot(nullptr, [count = num_in_flight_](void*) { count->fetch_sub(1); });
}

void InferenceService::Infer(Slot slot, InferenceRequest request, HttpResponder responder, Format format) {
  size_t num_bytes = 0;
  for (const InferenceInput& input : request.inputs) num_bytes += NumBytes(input) + request.prompt.size();
  const size_t num_inputs = request.inputs.size();
  const auto job = std::make_shared<Job>(Job{.slot = std::move(slot),
                                             .request = std::move(request),
                                             .responder = std::move(responder),
                                             .format = std::move(format),
                                             .service = shared_from_this(),
                                             .num_inputs = num_inputs,
                                             .sequences = {}});
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

// Throws HttpError for what the task refuses.
std::string InferenceService::RunTask(TaskRequest& request, const HttpResponder& responder) {
  std::string answers;
  try {
    if (request.is_batch) request.task->Begin(answers);
    for (size_t begin = 0; begin < request.texts.size() && !responder.cancelled(); begin += kTextsPerTurn) {
      const ComputeTurns::Turn turn = turns_.Take(task_party_);
      model_->Answer(*request.task, std::span(request.texts).subspan(begin, std::min(kTextsPerTurn, request.texts.size() - begin)), answers);
    }
    if (request.is_batch) request.task->End(answers);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.code() == ErrorCode::kIo) throw;
    throw HttpError(request.field_status, error.message(), "inputs");  // its hint is about the command line
  }
  return request.finish ? request.finish(std::move(answers)) : answers;
}

void InferenceService::Answer(Slot slot, TaskRequest request, HttpResponder responder) {
  const auto shared = std::make_shared<TaskRequest>(std::move(request));
  InBackground(responder, [service = shared_from_this(), slot = std::move(slot), shared, responder]() mutable {
    const Clock::time_point start = Clock::now();
    HttpResponse response = {.body = service->RunTask(*shared, responder)};
    response.fields = {{"x-compute-type", "cpu"}, {"x-compute-time", fmt::format("{:.0f}", MillisecondsSince(start))}};
    response.notes = {{"model", service->name_}, {"compute_ms", fmt::format("{:.3f}", MillisecondsSince(start))}};
    slot.reset();
    responder.Send(std::move(response));
  });
}

// Throws HttpError for an input that cannot be computed.
void InferenceService::Encode(Job& job) const {
  const Clock::time_point start = Clock::now();
  job.sequences.resize(job.num_inputs);
  for (size_t i = 0; i < job.num_inputs; ++i) {
    QueuedSequence& sequence = job.sequences[i];
    job.num_characters += NumCharacters(job.request.inputs[i]);
    EncodeText(job, i, sequence);
    job.num_tokens += sequence.token_ids.size();
    job.offsets.push_back(job.num_tokens);
    metrics_.CountInput(sequence.token_ids.size());
  }
  job.request.inputs.clear();
  const bool per_token = job.request.output == Output::kTokens;
  const size_t num_values = per_token ? job.num_tokens * model_->token_output_size() : job.num_inputs * model_->output_size();
  if (num_values > options_.max_answer_values)
    throw HttpError(
        413, fmt::format("the answer to '{}' would hold {} numbers; at most {} are given at a time", job.request.field, num_values, options_.max_answer_values),
        std::string(job.request.field), "send the inputs in several requests");
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
    return HttpError(job.request.field_status, fmt::format("'{}' has {} tokens; the model takes at most {}", field, num_tokens, max_length), field,
                     "shorten it, or set \"truncate\": true where the protocol has that");
  };
  if (auto* ids = std::get_if<std::vector<int32_t>>(&input)) {
    for (const int32_t id : *ids)
      if (id < 0 || static_cast<size_t>(id) >= model_->vocab_size())
        throw HttpError(job.request.field_status,
                        fmt::format("'{}' has the token id {}; those of the model are 0 to {}", field, id, model_->vocab_size() - 1), field);
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

  Encoding encoding;
  const bool left = job.request.truncate && job.request.truncate_left;
  const EncodeOptions options = {.max_length = job.request.truncate && !left ? max_length : 0, .truncate = true};
  try {
    if (const auto* text = std::get_if<std::string>(&input)) {
      encoding = model_->tokenizer().Encode(job.request.prompt.empty() ? *text : job.request.prompt + *text, options);
    } else {
      const auto& pair = std::get<std::pair<std::string, std::string>>(input);
      if (left) throw HttpError(job.request.field_status, fmt::format("'{}' is a pair, which is not cut at its beginning", field), field);
      encoding = model_->tokenizer().EncodePair(pair.first, pair.second, options);
    }
  } catch (const HttpError&) {
    throw;
  } catch (const Error& error) {
    throw HttpError(job.request.field_status, fmt::format("'{}': {}", field, error.message()), field, error.hint());
  }
  if (max_length != 0 && encoding.token_ids.size() > max_length) {
    if (!left) throw too_long(encoding.token_ids.size());
    TruncateLeft(encoding, max_length);
  }
  if (encoding.token_ids.empty()) throw HttpError(job.request.field_status, fmt::format("'{}' has no tokens", field), field);
  job.num_truncated += encoding.truncated;
  sequence.token_ids = std::move(encoding.token_ids);
  sequence.token_type_ids = std::move(encoding.token_type_ids);
}

void InferenceService::Start(const std::shared_ptr<Job>& job) {
  Encode(*job);
  const Output output = job->request.output;
  const auto done = [this, job](BatchResult result) {
    if (result.values.size() <= kMaxInlineValues) return Finish(job, std::move(result));
    const auto shared = std::make_shared<BatchResult>(std::move(result));
    worker_.Post([this, job, shared] { Finish(job, std::move(*shared)); });
  };
  const BatchQueue::Ticket ticket = queue_.Submit(std::move(job->sequences), done, output);
  // A ticket does no harm when its request has gone; the service may have gone with it.
  job->responder.OnCancel([service = weak_from_this(), ticket] {
    if (const auto held = service.lock()) held->queue_.Cancel(ticket);
  });
}

void InferenceService::Finish(const std::shared_ptr<Job>& job, BatchResult result) {
  if (job->responder.cancelled()) return;
  try {
    if (result.error) std::rethrow_exception(result.error);
    if (!std::all_of(result.values.begin(), result.values.end(), [](float value) { return std::isfinite(value); }))
      throw HttpError(500, "the model gave a number that is not finite", "", "its weights are broken");
    const InferenceAnswer answer = {.values = std::move(result.values),
                                    .num_inputs = job->num_inputs,
                                    .num_tokens = job->num_tokens,
                                    .offsets = std::move(job->offsets)};
    HttpResponse response = job->format(answer);
    const double total_ms = MillisecondsSince(job->start);
    const auto whole = [](double milliseconds) { return fmt::format("{:.0f}", milliseconds); };
    response.fields.insert(response.fields.end(), {{"x-compute-type", "cpu"},
                                                   {"x-compute-time", whole(total_ms)},
                                                   {"x-compute-characters", fmt::to_string(job->num_characters)},
                                                   {"x-compute-tokens", fmt::to_string(job->num_tokens)},
                                                   {"x-total-time", whole(total_ms)},
                                                   {"x-tokenization-time", whole(job->tokenization_ms)},
                                                   {"x-queue-time", whole(result.queue_ms)},
                                                   {"x-inference-time", whole(result.compute_ms)}});
    if (job->num_truncated > 0) response.fields.push_back({"x-truncated-inputs", fmt::to_string(job->num_truncated)});
    response.notes = {{"model", name_},
                      {"tokens", fmt::to_string(job->num_tokens)},
                      {"queue_ms", fmt::format("{:.3f}", result.queue_ms)},
                      {"compute_ms", fmt::format("{:.3f}", result.compute_ms)}};
    if (job->num_truncated > 0) response.notes.push_back({"truncated", fmt::to_string(job->num_truncated)});
    metrics_.CountInference({.is_batch = job->request.is_batch,
                             .num_tokens = job->num_tokens,
                             .total_ms = total_ms,
                             .tokenization_ms = job->tokenization_ms,
                             .queue_ms = result.queue_ms,
                             .compute_ms = result.compute_ms});
    job->slot.reset();  // before the client knows, who may come again at once
    job->responder.Send(std::move(response));
  } catch (...) {
    job->slot.reset();
    job->responder.SendError(std::current_exception());
  }
}

}  // namespace mlac
