#pragma once
// What BERT and the families with its layers share: config, embeddings, the layer.
// BERT: Devlin et al. 2018, https://arxiv.org/abs/1810.04805; its block: Vaswani et al. 2017, section 3.1,
// https://arxiv.org/abs/1706.03762, post-norm: x = LayerNorm(x + Dropout(Sublayer(x))). Weight names: BertModel in transformers.
// T: tokens of the batch, its sequences end to end; sequence s is offsets[s] to offsets[s + 1].
// H: hidden_size. I: intermediate_size. E: embedding_size, H in BERT.
#include <cstddef>

#include "models/config.h"
#include "nn/layers.h"

namespace mlac {

struct BertConfig {
  // Throws kInvalidInput and kUnsupported, naming the field.
  explicit BertConfig(const ConfigReader& config);

  size_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings, type_vocab_size;
  kernels::Activation hidden_act;
  float hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, layer_norm_eps, initializer_range;
  bool tie_word_embeddings;
};

class BertEmbeddings {
 public:
  BertEmbeddings(const WeightScope& weights, const BertConfig& config, size_t embedding_size);

  Tensor operator()(Run& run, const TokenBatch& batch) const;  // [T, E]
  Parameter& word_weight() const { return word_.weight(); }

 private:
  Embedding word_, position_, token_type_;
  LayerNorm norm_;
  Dropout dropout_;
};

class BertLayer {
 public:
  BertLayer(const WeightScope& weights, const BertConfig& config);

  // [T, H] to [T, H], or to the wanted rows of that.
  Tensor operator()(Run& run, const Tensor& x, const Offsets& offsets, const TokenRows& wanted) const;

 private:
  Linear query_, key_, value_;
  size_t num_heads_;
  float attention_dropout_;
  Linear attention_output_;
  LayerNorm attention_norm_;
  Linear intermediate_, output_;
  LayerNorm output_norm_;
  Dropout dropout_;
};

}  // namespace mlac
