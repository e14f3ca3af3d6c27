#include "models/bert_layer.h"

#include <fmt/format.h>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/wanted_rows.h"
#include "base/display.h"
#include "base/error.h"

namespace mlac {

BertConfig::BertConfig(const ConfigReader& config)
    : vocab_size(config.Integer("vocab_size", 1, 1 << 24)),
      hidden_size(config.Integer("hidden_size", 1, 1 << 16)),
      num_hidden_layers(config.Integer("num_hidden_layers", 1, 1024)),
      num_attention_heads(config.Integer("num_attention_heads", 1, 1 << 16)),
      intermediate_size(config.Integer("intermediate_size", 1, 1 << 20)),
      max_position_embeddings(config.Integer("max_position_embeddings", 1, 1 << 20, 512)),
      type_vocab_size(config.Integer("type_vocab_size", 1, 1 << 16, 2)),
      hidden_act(ActivationFromName(config.String("hidden_act", "gelu"))),
      hidden_dropout_prob(config.Number("hidden_dropout_prob", 0, 0.99f, 0.1f)),
      attention_probs_dropout_prob(config.Number("attention_probs_dropout_prob", 0, 0.99f, 0.1f)),
      classifier_dropout(config.Number("classifier_dropout", 0, 0.99f, hidden_dropout_prob)),
      layer_norm_eps(config.Number("layer_norm_eps", 0, 1, 1e-12f)),
      initializer_range(config.Number("initializer_range", 0, 1, 0.02f)),
      tie_word_embeddings(config.Boolean("tie_word_embeddings", true)) {
  config.CheckHeads(hidden_size, num_attention_heads);
  if (const std::string type = config.String("position_embedding_type", "absolute"); type != "absolute")
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: position_embedding_type {} is not supported; supported is absolute", config.file(), Quoted(type)));
  if (config.Boolean("is_decoder", false) || config.Boolean("add_cross_attention", false))
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: {} as a decoder is not supported", config.file(), config.String("model_type", "bert")));
}

BertEmbeddings::BertEmbeddings(const WeightScope& weights, const BertConfig& config, size_t embedding_size)
    : word_(weights.In("word_embeddings"), config.vocab_size, embedding_size),
      position_(weights.In("position_embeddings"), config.max_position_embeddings, embedding_size),
      token_type_(weights.In("token_type_embeddings"), config.type_vocab_size, embedding_size),
      norm_(weights.In("LayerNorm"), embedding_size, config.layer_norm_eps),
      dropout_(config.hidden_dropout_prob) {}

Tensor BertEmbeddings::operator()(Run& run, const TokenBatch& batch) const {
  const Tensor positions = position_(run, PositionIds(batch.offsets));
  return dropout_(run, norm_(run, Sum(run, word_(run, batch.token_ids), token_type_(run, batch.token_type_ids), positions)));
}

BertLayer::BertLayer(const WeightScope& weights, const BertConfig& config)
    : query_(weights.In("attention.self.query"), config.hidden_size, config.hidden_size),
      key_(weights.In("attention.self.key"), config.hidden_size, config.hidden_size),
      value_(weights.In("attention.self.value"), config.hidden_size, config.hidden_size),
      num_heads_(config.num_attention_heads),
      attention_dropout_(config.attention_probs_dropout_prob),
      attention_output_(weights.In("attention.output.dense"), config.hidden_size, config.hidden_size),
      attention_norm_(weights.In("attention.output.LayerNorm"), config.hidden_size, config.layer_norm_eps),
      intermediate_(weights.In("intermediate.dense"), config.hidden_size, config.intermediate_size, config.hidden_act),
      output_(weights.In("output.dense"), config.intermediate_size, config.hidden_size),
      output_norm_(weights.In("output.LayerNorm"), config.hidden_size, config.layer_norm_eps),
      dropout_(config.hidden_dropout_prob) {}

Tensor BertLayer::operator()(Run& run, const Tensor& x, const Offsets& offsets, const TokenRows& wanted) const {
  // One after another and not as arguments, whose order compilers choose: the gradients of x are added in the reverse of it.
  const AttentionInput value = value_.ForAttention(run, x), key = key_.ForAttention(run, x);
  const WantedRows rows(run, x, wanted);
  const AttentionInput query = query_.ForAttention(run, rows.x());
  const Tensor context = AttentionForward(run, query, key, value, offsets, num_heads_, attention_dropout_);
  const Tensor attended = attention_norm_(run, dropout_(run, attention_output_(run, context)), /*residual=*/rows.x());
  const Tensor expanded = intermediate_.ForNextLinear(run, attended);  // [T, I], activation included
  return output_norm_(run, dropout_(run, output_(run, expanded)), /*residual=*/attended);
}

}  // namespace mlac
