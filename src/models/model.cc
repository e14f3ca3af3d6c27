#include "models/model.h"

#include <fmt/format.h>

#include "autograd/pooling.h"
#include "base/error.h"

namespace mlac {

Tensor Model::EncodeRows(Run& run, const TokenBatch& batch, std::span<const size_t> rows) const {
  return EncodeWanted(run, batch, std::make_shared<const std::vector<size_t>>(rows.begin(), rows.end()));
}

Tensor Model::SequenceFeatures(Run& run, const TokenBatch& batch) const {
  for (size_t s = 0; s < batch.num_sequences(); ++s)
    if (batch.offsets[s] == batch.offsets[s + 1])  // there is no first one
      throw Error(ErrorCode::kInvalidInput, fmt::format("sequence {} of the batch has no tokens", s));
  return EncodeRows(run, batch, std::span(batch.offsets).first(batch.num_sequences()));
}

Tensor Model::SequenceFeatures(Run& run, const Tensor& hidden_states, const Offsets& offsets) const {
  return PoolForward(run, hidden_states, offsets, Pooling::kCls);
}

Tensor Model::Classify(Run& run, const Tensor& features) const {
  if (head() != Head::kSequenceClassification) throw Error(ErrorCode::kUnsupported, "the model has no classification head");
  return (*head_)(run, features);
}

Tensor Model::ClassifyTokens(Run& run, const Tensor& hidden_states) const {
  if (head() != Head::kTokenClassification && head() != Head::kQuestionAnswering)
    throw Error(ErrorCode::kUnsupported, "the model has no head for token classification or question answering");
  return (*head_)(run, hidden_states);
}

Tensor Model::PredictTokens(Run& run, const Tensor& hidden_states) const {
  if (head() != Head::kMaskedLanguageModel) throw Error(ErrorCode::kUnsupported, "the model has no masked-language-model head");
  return (*head_)(run, hidden_states);
}

void Model::AddTiedWeight(std::string name, std::string other) { tied_weights_.emplace_back(std::move(name), std::move(other)); }

}  // namespace mlac
