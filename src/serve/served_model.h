#pragma once
// What the server needs of a model. Made from a folder by OpenServedModel; tests have one of their own.
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_team.h"
#include "pipelines/task.h"
#include "serve/output.h"
#include "tensor/tensor.h"
#include "tensor/token_batch.h"
#include "text/tokenizer.h"

namespace mlac {

class ComputeTurns;
class JoinedAdapters;

class ServedModel {
 public:
  virtual ~ServedModel() = default;

  virtual const Tokenizer& tokenizer() const = 0;
  virtual size_t max_length() const = 0;  // of a text in tokens, special ones included; 0: no limit
  virtual size_t vocab_size() const = 0;  // token ids are below this

  // What it is asked for, as the Hub calls it, that of its head first: "text-classification".
  virtual const std::vector<std::string>& tasks() const = 0;
  virtual std::string_view dtype() const = 0;  // what its products are computed in: "float32", "int8", "bfloat16"

  // A classifier gives logits, any other model one vector a text.
  virtual bool is_classifier() const = 0;
  virtual const std::vector<std::string>& label_names() const = 0;  // of a classifier
  virtual ProblemType problem_type() const = 0;                     // likewise: what its logits mean
  virtual size_t output_size() const = 0;                           // of Output::kSequence: labels, or the size of a vector
  virtual size_t token_output_size() const = 0;                     // of Output::kTokens: the size of a token's vector; 0: has none

  virtual std::string_view pooling() const = 0;  // "mean", of an embedder
  virtual bool normalizes() const = 0;           // whether its folder wants vectors of length 1
  virtual const std::map<std::string, std::string>& prompts() const = 0;  // what to put before a text, by the name of its use

  // out: [sequences, output_size()], logits or vectors that are not normalised yet, or [tokens, token_output_size()]. The bits of a
  // sequence do not depend on the batch. One call at a time, of all models that share a team.
  virtual void Compute(const TokenBatch& batch, Output output, std::span<float> out) = 0;

  // Whether batches of this model are computed together with those of others over its base, by ComputeInTurn, which takes the turn itself and may be
  // called while others compute. The bits are those of Compute.
  virtual bool joins_batches() const { return false; }
  virtual void ComputeInTurn(ComputeTurns&, const TokenBatch&, Output, std::span<float>) {}

  // Has the task answer these texts, as Task::Add: for tasks whose answers are more than a row a sequence or a token. One call at a time,
  // as Compute.
  virtual void Answer(Task& task, std::span<const TextInput> texts, std::string& out) = 0;
};

struct ServedModelOptions {
  size_t num_threads = 0;            // 0: DefaultNumThreads()
  std::optional<size_t> max_length;  // as in TextModelOptions
  DType dtype = DType::kF32;         // likewise
  std::shared_ptr<ThreadTeam> team = nullptr;  // likewise
  std::string adapter = {};                    // likewise
  std::shared_ptr<Model> base = nullptr;       // likewise
  std::shared_ptr<JoinedAdapters> joined = nullptr;  // where batches of the models over this base meet
};

// Whether the model does the task.
bool Does(const ServedModel& model, std::string_view task);

// The model of a folder in the Hugging Face layout. Throws as TextModel. Its first Compute packs the weights.
std::unique_ptr<ServedModel> OpenServedModel(const std::string& folder, const ServedModelOptions& options = {});

// Divides the vector by its length, with the bits of NormalizeForward.
void NormalizeVector(std::span<float> vector);

}  // namespace mlac
