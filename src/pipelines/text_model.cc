#include "pipelines/text_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/thread_team.h"
#include "kernels/cross_entropy.h"
#include "kernels/vector_ops.h"
#include "models/model_folder.h"
#include "text/length_limit.h"

namespace mlac {

TextModel::TextModel(const std::string& folder, const TextModelOptions& options)
    : options_(options),
      folder_(folder),
      model_(OpenModel(folder)),
      tokenizer_(Tokenizer::Load(TransformerFolder(folder))),
      sentence_encoder_(std::make_unique<SentenceEncoder>(folder, *model_)),
      label_names_(LabelNamesOf(folder)),
      max_length_(FindLengthLimit(TransformerFolder(folder), options.max_length, model_->max_positions()).num_tokens),
      inference_(options.num_threads == 0 ? DefaultNumThreads() : options.num_threads, options.dtype) {
  tokenizer_.CheckEmbeddingSize(model_->vocab_size());
}

size_t TextModel::embedding_size() const { return sentence_encoder_->embedding_size(); }

EncodedTexts TextModel::Encode(std::span<const TextInput> texts) const {
  EncodedTexts encoded;
  const EncodeOptions options = {.add_special_tokens = true, .with_offsets = false, .max_length = max_length_, .truncate = options_.truncate};
  for (size_t i = 0; i < texts.size(); ++i) {
    Encoding encoding;
    try {
      encoding = texts[i].pair ? tokenizer_.EncodePair(texts[i].text, *texts[i].pair, options) : tokenizer_.Encode(texts[i].text, options);
    } catch (const Error& error) {
      if (texts.size() == 1) throw;
      throw Error(error.code(), fmt::format("text {}: {}", i + 1, error.message()), error.hint());
    }
    encoded.num_truncated += encoding.truncated;
    TokenBatch& batch = encoded.batch;
    batch.token_ids.insert(batch.token_ids.end(), encoding.token_ids.begin(), encoding.token_ids.end());
    batch.token_type_ids.insert(batch.token_type_ids.end(), encoding.token_type_ids.begin(), encoding.token_type_ids.end());
    batch.offsets.push_back(batch.token_ids.size());
  }
  return encoded;
}

std::vector<float> TextModel::Embed(const TokenBatch& batch, bool normalize) {
  std::vector<float> out(batch.num_sequences() * embedding_size());
  inference_.ForEachGroup(batch, [&](Run& run, const TokenBatch& group, size_t first) {
    const Tensor part = (*sentence_encoder_)(run, model_->Encode(run, group), group.offsets, normalize);
    std::copy(part.floats().begin(), part.floats().end(), out.begin() + static_cast<ptrdiff_t>(first * embedding_size()));
  });
  return out;
}

std::vector<float> TextModel::EmbedTokens(const TokenBatch& batch) {
  const size_t size = model_->hidden_size();
  std::vector<float> out(batch.num_tokens() * size);
  inference_.ForEachGroup(batch, [&](Run& run, const TokenBatch& group, size_t first) {
    const Tensor part = model_->Encode(run, group);
    std::copy(part.floats().begin(), part.floats().end(), out.begin() + static_cast<ptrdiff_t>(batch.offsets[first] * size));
  });
  return out;
}

std::vector<float> TextModel::Logits(const TokenBatch& batch) {
  if (model_->head() != Head::kSequenceClassification)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: the model has no classification head; it can do {}", folder_, fmt::join(Tasks(), ", ")),
                "`mlac train text-classification` makes one");
  const size_t num_labels = model_->num_labels();
  std::vector<float> out(batch.num_sequences() * num_labels);
  inference_.ForEachGroup(batch, [&](Run& run, const TokenBatch& group, size_t first) {
    const Tensor part = model_->Classify(run, model_->SequenceFeatures(run, model_->Encode(run, group), group.offsets));
    std::copy(part.floats().begin(), part.floats().end(), out.begin() + static_cast<ptrdiff_t>(first * num_labels));
  });
  return out;
}

std::vector<std::string> TextModel::Tasks() const {
  std::vector<std::string> tasks = {"feature-extraction", "sentence-similarity"};
  if (model_->head() == Head::kSequenceClassification) tasks.emplace_back("text-classification");
  return tasks;
}

std::vector<float> Probabilities(std::span<const float> logits, size_t num_labels) {
  std::vector<float> probabilities(logits.size());
  if (num_labels > 0) kernels::Softmax(logits.data(), logits.size() / num_labels, num_labels, probabilities.data());
  return probabilities;
}

float Cosine(std::span<const float> a, std::span<const float> b) {
  const float product = kernels::Dot(a.data(), b.data(), a.size());
  const float lengths = std::sqrt(kernels::Dot(a.data(), a.data(), a.size())) * std::sqrt(kernels::Dot(b.data(), b.data(), b.size()));
  return lengths > 0 ? std::clamp(product / lengths, -1.0f, 1.0f) : 0.0f;
}

}  // namespace mlac
