#pragma once
// What every family of encoders offers: hidden states, and the head that its checkpoint has.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/run.h"
#include "nn/weights.h"
#include "tensor/token_batch.h"

namespace mlac {

// What stands on top of the encoder.
enum class Head { kNone, kSequenceClassification, kTokenClassification, kQuestionAnswering, kMaskedLanguageModel };

// Which head a model is built with.
struct HeadRequest {
  Head head = Head::kNone;
  size_t num_labels = 0;  // of the first two; question answering always has two, where an answer starts and where it ends
  bool fresh = false;     // a new head instead of the checkpoint's; of a masked language model only what the checkpoint lacks
  uint64_t seed = 0;      // of a new head
};

// The layers of a head: rows of hidden states to rows of logits.
class HeadLayers {
 public:
  virtual ~HeadLayers() = default;
  virtual Tensor operator()(Run& run, const Tensor& x) const = 0;
};

// What a family says of the model that a config.json describes.
struct ModelTraits {
  size_t hidden_size = 0, vocab_size = 0;
  size_t max_positions = 0;  // the longest sequence, in tokens
  size_t num_segments = 1;   // token_type_ids are below this
  // Names of parameters that belong to a head begin with one of these.
  std::vector<std::string> head_prefixes = {};
};

class Model {
 public:
  Model(std::unique_ptr<ParameterStore> store, const HeadRequest& request, ModelTraits traits)
      : store_(std::move(store)), request_(request), traits_(std::move(traits)) {}
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  Head head() const { return request_.head; }
  size_t hidden_size() const { return traits_.hidden_size; }
  size_t vocab_size() const { return traits_.vocab_size; }
  size_t max_positions() const { return traits_.max_positions; }
  size_t num_segments() const { return traits_.num_segments; }
  size_t num_labels() const { return request_.num_labels; }  // 0 without a head that gives labels
  const std::vector<std::string>& head_prefixes() const { return traits_.head_prefixes; }
  // Weights that are another's: their name in transformers, and the name of the other. Checkpoints leave them out or hold them twice.
  const std::vector<std::pair<std::string, std::string>>& tied_weights() const { return tied_weights_; }

  // [T, hidden_size] f32, after the last layer; T: tokens of the batch. Safe to call from several threads, each with its own run, once a
  // first call has returned; likewise below.
  Tensor Encode(Run& run, const TokenBatch& batch) const { return EncodeWanted(run, batch, nullptr); }
  // rows: numbers of tokens, counted from the first of the batch (batch.offsets[s] is the first of sequence s), below T, rising, none
  // twice, at least one (asserted). Returns [rows.size(), hidden_size] f32: those rows of Encode's result, bit for bit; the last layer
  // computes no others. Not in a run with adapter rows (asserted).
  Tensor EncodeRows(Run& run, const TokenBatch& batch, std::span<const size_t> rows) const;
  // [sequences, hidden_size] f32: what of Encode's result the classification head looks at, the first token's, computed as EncodeRows does.
  // Throws kInvalidInput for a sequence without tokens.
  Tensor SequenceFeatures(Run& run, const TokenBatch& batch) const;
  // The same from Encode's result.
  Tensor SequenceFeatures(Run& run, const Tensor& hidden_states, const Offsets& offsets) const;
  // [sequences, num_labels] logits, from SequenceFeatures' result. Throws kUnsupported without that head; likewise below.
  Tensor Classify(Run& run, const Tensor& features) const;
  // [T, num_labels] logits of token classification or question answering, from Encode's result.
  Tensor ClassifyTokens(Run& run, const Tensor& hidden_states) const;
  // [T, vocab_size] logits, from Encode's result or some rows of it.
  Tensor PredictTokens(Run& run, const Tensor& hidden_states) const;

  ParameterStore& parameters() { return *store_; }
  const ParameterStore& parameters() const { return *store_; }

 protected:
  // What a family computes. wanted: null, or numbers of tokens as EncodeRows takes them. Returns [T, hidden_size] f32, or [wanted->size(),
  // hidden_size]: the last layer is told which rows are wanted.
  virtual Tensor EncodeWanted(Run& run, const TokenBatch& batch, const TokenRows& wanted) const = 0;

  void SetHead(std::unique_ptr<const HeadLayers> layers) { head_ = std::move(layers); }
  void AddTiedWeight(std::string name, std::string other);

 private:
  std::unique_ptr<ParameterStore> store_;
  HeadRequest request_;
  ModelTraits traits_;
  std::vector<std::pair<std::string, std::string>> tied_weights_;
  std::unique_ptr<const HeadLayers> head_;
};

}  // namespace mlac
