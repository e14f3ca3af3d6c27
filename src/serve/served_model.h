#pragma once
// What the server needs of a model. Made from a folder by OpenServedModel; tests have one of their own.
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_team.h"
#include "models/sentence_prompts.h"
#include "pipelines/rows.h"
#include "pipelines/task.h"
#include "tensor/tensor.h"
#include "tensor/token_batch.h"
#include "text/tokenizer.h"

namespace mlac {

class ComputeTurns;
class JoinedAdapters;
class RowRoom;

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
  // Whether the record of its training says that its texts stood alone. False for what has no such record: it may have learnt pairs.
  virtual bool reads_single_texts() const { return false; }
  virtual ProblemType problem_type() const = 0;                     // likewise: what its logits mean
  virtual size_t output_size() const = 0;                           // of Output::kSequence: labels, or the size of a vector
  virtual size_t row_size(Output output) const = 0;                 // of any kind of rows; 0: it is not asked for those

  virtual std::string_view pooling() const = 0;  // "mean", of an embedder
  virtual bool normalizes() const = 0;           // whether its folder wants vectors of length 1
  virtual const SentencePrompts& prompts() const = 0;  // what to put before a text that becomes a vector
  virtual bool pools_prompt() const = 0;               // SentenceEncoder's: whether its tokens count

  // out: [rows, row_size()]. The bits of a sequence do not depend on the batch. One call at a time, of all models that share a team, or one
  // in each lane, as Inference::ForEachGroup.
  virtual void Compute(const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane lane) = 0;

  // Whether batches of this model are computed together with those of others over its base, by ComputeInTurn, which takes the turn itself and may be
  // called while others compute. The bits are those of Compute.
  virtual bool joins_batches() const { return false; }
  virtual void ComputeInTurn(ComputeTurns&, const TokenBatch&, const RowsWanted&, std::span<float>) {}
  // What all of those share for the rows of such batches; null where it joins none.
  virtual RowRoom* row_room() const { return nullptr; }

  // Another model: an adapter over the weights of this one, which are in memory once. Throws as OpenAdapted; kUnsupported for a model that shares none.
  // One adapter of a model is opened at a time.
  virtual std::unique_ptr<ServedModel> OpenAdapter(const std::string& adapter) const = 0;

  // What a SequenceTask reads its texts with; null for a model that is asked for none.
  virtual const TextModel* text_model() const { return nullptr; }
  // Has a task answer these texts by itself, as Task::Add. One call at a time, as Compute.
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
  bool takes_adapters = false;       // whether OpenAdapter may be asked of the model: a base and where its batches meet are made where none are given
  size_t max_batch_tokens = 16'384;  // of what is computed together there
};

// Whether the model does the task.
bool Does(const ServedModel& model, std::string_view task);

// The model of a folder in the Hugging Face layout. Throws as TextModel. Its first Compute packs the weights.
std::unique_ptr<ServedModel> OpenServedModel(const std::string& folder, const ServedModelOptions& options = {});

// Divides the vector by its length, with the bits of NormalizeForward.
void NormalizeVector(std::span<float> vector);

}  // namespace mlac
