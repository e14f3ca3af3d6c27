#pragma once
// From texts of a request to the model's answer: admission, tokens, the queue, and the answer's headers. Protocols sit on top.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "http/router.h"
#include "pipelines/sequence_task.h"
#include "serve/batch_queue.h"
#include "serve/compute_turns.h"
#include "serve/metrics.h"
#include "serve/model_origin.h"
#include "serve/row_room.h"
#include "serve/served_model.h"
#include "serve/worker_thread.h"

namespace mlac {

// A text, a pair of texts, token ids as they are to be computed, or tokens with their segments that a task has made.
using InferenceInput = std::variant<std::string, std::pair<std::string, std::string>, std::vector<int32_t>, QueuedSequence>;

struct InferenceRequest {
  std::vector<InferenceInput> inputs;  // at least one
  bool is_batch = false;               // whether the client sent a list
  std::string prompt = "";             // put before each text, before the first of a pair; not before tokens
  std::string query = "";              // not empty: each text is the second of a pair with it, kept once however many there are
  bool truncate = false;               // cut what is longer than the model's limit; else it is an error
  bool truncate_left = false;          // cut at the beginning
  bool takes_truncate = false;         // whether the client could have said so, for the error
  Output output = Output::kSequence;   // kSequence or kTokens, if the model has such rows
  // For errors: what the protocol calls the inputs, and the status that a faulty one gets.
  std::string_view field = "inputs";
  int field_status = 422;
  std::function<std::string(size_t index)> name_input = {};  // of one of the inputs; without it "field[index]" of a list, else field
};

// A request to a task of pipelines/, which says what is computed for it and makes the answers of that.
struct TaskRequest {
  std::unique_ptr<SequenceTask> task;  // its format is JSON
  std::vector<TextInput> texts;   // at least one
  bool is_batch = false;          // whether the answer is a list of one for each text, or that of the one text
  int field_status = 422;
};

struct InferenceAnswer {
  std::vector<float> values;  // [inputs, size of a row] or [tokens, size of a row]
  size_t num_inputs = 0, num_tokens = 0;
  Offsets offsets;  // of the tokens of each input
  // Row i of values, of Output::kSequence.
  std::span<const float> Row(size_t i) const { return std::span(values).subspan(i * values.size() / num_inputs, values.size() / num_inputs); }
};

struct InferenceServiceOptions {
  size_t max_batch_tokens = 16'384;
  // Of a turn of all threads, what a worker takes at a time if max_batch_tokens is not less. Larger ones would give no more tokens a second (nothing is
  // padded, and products go by some 128 rows a thread), but what comes while one is computed waits for all of it.
  size_t max_turn_tokens = 512;
  size_t num_lanes = 1;  // threads of the team that the models share, if each may compute a batch of its own; 1: none does
  bool starts_all_workers = false;  // BatchQueueOptions::starts_all
  size_t max_concurrent_requests = 512;
  size_t max_client_batch_size = 2'048;
  bool auto_truncate = false;  // what `truncate` is where the client does not say
  size_t max_answer_values = size_t{1} << 24;  // numbers in one answer; more are refused before they are computed

  size_t turn_tokens() const { return std::min(max_batch_tokens, max_turn_tokens); }
};

// One model as it is served. A request holds it until it is answered, so a model that another one has replaced ends with its last request.
class InferenceService : public std::enable_shared_from_this<InferenceService> {
 public:
  // One of max_concurrent_requests, as long as it is held.
  using Slot = std::shared_ptr<void>;
  using Format = std::function<HttpResponse(const InferenceAnswer& answer)>;

  // name: what clients call the model. turns: with whom it shares the threads that compute; outlives it, as metrics does.
  InferenceService(std::string name, std::unique_ptr<ServedModel> model, ModelOrigin origin, const InferenceServiceOptions& options, ComputeTurns& turns,
                   ServeMetrics& metrics);
  ~InferenceService() { Stop(); }
  InferenceService(const InferenceService&) = delete;
  InferenceService& operator=(const InferenceService&) = delete;

  const std::string& name() const { return name_; }
  const ServedModel& model() const { return *model_; }
  const ModelOrigin& origin() const { return origin_; }
  const InferenceServiceOptions& options() const { return options_; }

  // Null if all slots are taken; the request is then answered with Overloaded. Taken before a request is looked at, so that overload is
  // cheap.
  Slot Admit();
  static HttpError Overloaded();  // 429 with Retry-After
  // Encodes, computes and answers; returns at once. format may be called on any thread. What goes wrong is sent as an error.
  void Infer(Slot slot, InferenceRequest request, HttpResponder responder, Format format);
  // The same of a task, whose sequences join those of other requests.
  void Answer(Slot slot, TaskRequest request, HttpResponder responder);
  // Runs work that is too long for a thread of the HTTP server and is no computation of the model; it answers by itself.
  void InBackground(HttpResponder responder, std::function<void()> work);

  // As ModelSet::WarmUp.
  void WarmUp(ComputeTurns& turns);
  // Drops what is not computed yet. Nothing may be asked any more. Not from a thread of its own; once is enough.
  void Stop();

  size_t num_in_flight() const { return num_in_flight_->load(); }
  size_t num_waiting() const { return queue_.num_waiting(); }

 private:
  struct Request;
  struct Job;
  struct TaskJob;
  void Encode(Job& job) const;
  void EncodeText(Job& job, size_t index, QueuedSequence& sequence) const;
  void Start(const std::shared_ptr<Job>& job);
  std::vector<QueuedSequence> Ask(TaskJob& job, Output& output) const;
  void StartTask(const std::shared_ptr<TaskJob>& job);
  void Enqueue(const std::shared_ptr<Request>& request, std::vector<QueuedSequence> sequences, Output output, BatchQueue::Take take = nullptr);
  void Finish(Request& request, BatchResult result);

  const std::string name_;
  const ModelOrigin origin_;  // goes after the model, whose files it keeps
  const std::unique_ptr<ServedModel> model_;
  const InferenceServiceOptions options_;
  ServeMetrics& metrics_;
  const std::unique_ptr<AnswerMetrics> answers_;
  ComputeTurns& turns_;
  std::shared_ptr<std::atomic<size_t>> num_in_flight_ = std::make_shared<std::atomic<size_t>>(0);
  RowRoom room_;  // for rows of several lanes, where the model brings none
  WorkerThread worker_;  // makes tokens of large requests, and text of large answers
  BatchQueue queue_;
};

}  // namespace mlac
