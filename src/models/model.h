#pragma once
// What every family of encoders offers: hidden states, and the heads that its checkpoint has.
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "autograd/run.h"
#include "nn/weights.h"
#include "tensor/token_batch.h"

namespace mlac {

// What stands on top of the encoder.
enum class Head { kNone, kSequenceClassification, kMaskedLanguageModel };

class Model {
 public:
  explicit Model(std::unique_ptr<ParameterStore> store) : store_(std::move(store)) {}
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  virtual ~Model() = default;

  virtual Head head() const = 0;
  virtual size_t hidden_size() const = 0;
  virtual size_t vocab_size() const = 0;
  virtual size_t max_positions() const = 0;       // the longest sequence, in tokens
  virtual size_t num_segments() const = 0;        // token_type_ids are below this
  virtual size_t num_labels() const = 0;          // 0 without a classification head
  // Names of parameters that belong to the head begin with one of these.
  virtual std::vector<std::string> head_prefixes() const = 0;
  // Weights that are another's: their name in transformers, and the name of the other. Checkpoints leave them out or hold them twice.
  virtual std::vector<std::pair<std::string, std::string>> tied_weights() const { return {}; }

  // [T, hidden_size], after the last layer. Safe to call from several threads, each with its own run, once a first call has returned.
  virtual Tensor Encode(Run& run, const TokenBatch& batch) const = 0;
  // [sequences, hidden_size]: what of Encode's result the classification head looks at. Without weights of its own.
  virtual Tensor SequenceFeatures(Run& run, const Tensor& hidden_states, const Offsets& offsets) const = 0;
  // [sequences, num_labels] logits, from SequenceFeatures' result. Throws kUnsupported without that head; likewise below.
  virtual Tensor Classify(Run& run, const Tensor& features) const = 0;
  // [T, vocab_size] logits, from Encode's result.
  virtual Tensor PredictTokens(Run& run, const Tensor& hidden_states) const = 0;

  ParameterStore& parameters() { return *store_; }
  const ParameterStore& parameters() const { return *store_; }

 private:
  std::unique_ptr<ParameterStore> store_;
};

}  // namespace mlac
