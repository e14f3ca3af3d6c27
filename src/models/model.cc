#include "models/model.h"

#include "autograd/pooling.h"
#include "base/error.h"

namespace mlac {

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

}  // namespace mlac
