// MPNet: Song et al. 2020, https://arxiv.org/abs/2004.09297: BERT's block under other names, with a bias of attention by distance that all layers
// share, no token types, and positions that count from 2. Weight names: MPNetModel and its heads in transformers.
// T: tokens of the batch. H: hidden_size. I: intermediate_size.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/relative_position_bias.h"
#include "autograd/wanted_rows.h"
#include "base/error.h"
#include "models/families.h"
#include "models/heads.h"
#include "nn/layers.h"

namespace mlac {
namespace {

constexpr int32_t kPaddingId = 1;      // in the code of transformers, whatever pad_token_id says
static_assert(kMpnetReservedPositions == static_cast<size_t>(kPaddingId) + 1);
constexpr size_t kNumBuckets = 32, kMaxDistance = 128;  // likewise, whatever relative_attention_num_buckets says

struct MpnetConfig {
  size_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings;
  kernels::Activation hidden_act;
  float hidden_dropout_prob, attention_probs_dropout_prob, layer_norm_eps, initializer_range;
  bool tie_word_embeddings;

  explicit MpnetConfig(const ConfigReader& config)
      : vocab_size(config.Integer("vocab_size", 1, 1 << 24)),
        hidden_size(config.Integer("hidden_size", 1, 1 << 16)),
        num_hidden_layers(config.Integer("num_hidden_layers", 1, 1024)),
        num_attention_heads(config.Integer("num_attention_heads", 1, 1 << 16)),
        intermediate_size(config.Integer("intermediate_size", 1, 1 << 20)),
        max_position_embeddings(config.Integer("max_position_embeddings", kPaddingId + 2, 1 << 20, 512)),
        hidden_act(ActivationFromName(config.String("hidden_act", "gelu"))),
        hidden_dropout_prob(config.Number("hidden_dropout_prob", 0, 0.99f, 0.1f)),
        attention_probs_dropout_prob(config.Number("attention_probs_dropout_prob", 0, 0.99f, 0.1f)),
        layer_norm_eps(config.Number("layer_norm_eps", 0, 1, 1e-12f)),
        initializer_range(config.Number("initializer_range", 0, 1, 0.02f)),
        tie_word_embeddings(config.Boolean("tie_word_embeddings", true)) {
    config.CheckHeads(hidden_size, num_attention_heads);
    if (const size_t num_buckets = config.Integer("relative_attention_num_buckets", 0, 1 << 16, kNumBuckets); num_buckets != kNumBuckets)
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: relative_attention_num_buckets {} is not supported; supported is {}", config.file(),
                                                       num_buckets, kNumBuckets));
  }
};

// 2, 3, 4, ... in every sequence. A padding token inside a text, which nothing but the text "<pad>" makes, has position 1 and does not count.
std::vector<int32_t> MpnetPositionIds(const TokenBatch& batch) {
  std::vector<int32_t> ids(batch.num_tokens());
  for (size_t s = 0; s < batch.num_sequences(); ++s) {
    int32_t position = kPaddingId;
    for (size_t t = batch.offsets[s]; t < batch.offsets[s + 1]; ++t) ids[t] = batch.token_ids[t] == kPaddingId ? kPaddingId : ++position;
  }
  return ids;
}

class MpnetEmbeddings {
 public:
  MpnetEmbeddings(const WeightScope& weights, const MpnetConfig& config)
      : word_(weights.In("word_embeddings"), config.vocab_size, config.hidden_size),
        position_(weights.In("position_embeddings"), config.max_position_embeddings, config.hidden_size),
        norm_(weights.In("LayerNorm"), config.hidden_size, config.layer_norm_eps),
        dropout_(config.hidden_dropout_prob) {}

  Tensor operator()(Run& run, const TokenBatch& batch) const {  // [T, H]
    const Tensor positions = position_(run, MpnetPositionIds(batch));
    return dropout_(run, norm_(run, Sum(run, word_(run, batch.token_ids), positions)));
  }
  Parameter& word_weight() const { return word_.weight(); }

 private:
  Embedding word_, position_;
  LayerNorm norm_;
  Dropout dropout_;
};

class MpnetLayer {
 public:
  MpnetLayer(const WeightScope& weights, const MpnetConfig& config)
      : query_(weights.In("attention.attn.q"), config.hidden_size, config.hidden_size),
        key_(weights.In("attention.attn.k"), config.hidden_size, config.hidden_size),
        value_(weights.In("attention.attn.v"), config.hidden_size, config.hidden_size),
        num_heads_(config.num_attention_heads),
        attention_dropout_(config.attention_probs_dropout_prob),
        attention_output_(weights.In("attention.attn.o"), config.hidden_size, config.hidden_size),
        attention_norm_(weights.In("attention.LayerNorm"), config.hidden_size, config.layer_norm_eps),
        intermediate_(weights.In("intermediate.dense"), config.hidden_size, config.intermediate_size, config.hidden_act),
        output_(weights.In("output.dense"), config.intermediate_size, config.hidden_size),
        output_norm_(weights.In("output.LayerNorm"), config.hidden_size, config.layer_norm_eps),
        dropout_(config.hidden_dropout_prob) {}

  // [T, H] to [T, H], or to the wanted rows of that. position_bias: [heads, 2 span - 1].
  Tensor operator()(Run& run, const Tensor& x, const Offsets& offsets, const Tensor& position_bias, const TokenRows& wanted) const {
    const AttentionInput value = value_.ForAttention(run, x), key = key_.ForAttention(run, x);  // in an order that no compiler chooses
    const WantedRows rows(run, x, wanted);
    const AttentionInput query = query_.ForAttention(run, rows.x());
    const Tensor context = AttentionForward(run, query, key, value, offsets, num_heads_, attention_dropout_, &position_bias);
    const Tensor attended = attention_norm_(run, dropout_(run, attention_output_(run, context)), /*residual=*/rows.x());
    const Tensor expanded = intermediate_.ForNextLinear(run, attended);  // [T, I]
    return output_norm_(run, dropout_(run, output_(run, expanded)), /*residual=*/attended);
  }

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

size_t Longest(const Offsets& offsets) {
  size_t longest = 1;
  for (size_t s = 0; s + 1 < offsets.size(); ++s) longest = std::max(longest, offsets[s + 1] - offsets[s]);
  return longest;
}

class Mpnet : public Model {
 public:
  Mpnet(std::unique_ptr<ParameterStore> store, const MpnetConfig& config, const HeadRequest& request)
      : Model(std::move(store), request,
              {.hidden_size = config.hidden_size, .vocab_size = config.vocab_size,
               .max_positions = config.max_position_embeddings - kMpnetReservedPositions,
               .head_prefixes = {"mpnet.pooler.", "classifier.", "qa_outputs.", "lm_head."}}),
        embeddings_(WeightScope(parameters()).In("mpnet.embeddings"), config) {
    const WeightScope root(parameters()), encoder = root.In("mpnet.encoder");
    position_bias_ = &encoder.Get("relative_attention_bias.weight", {kNumBuckets, config.num_attention_heads});
    for (size_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(encoder.In(fmt::format("layer.{}", i)), config);
    AddHead(root, config, request);
  }

  Tensor EncodeWanted(Run& run, const TokenBatch& batch, const TokenRows& wanted) const override {  // [T, H], or [wanted->size(), H]
    const Tensor position_bias = RelativePositionBias(run, *position_bias_, Longest(batch.offsets), kMaxDistance);
    return RunLayers(run, layers_, embeddings_(run, batch), wanted, batch.offsets, position_bias);
  }

 private:
  void AddHead(const WeightScope& root, const MpnetConfig& config, const HeadRequest& request) {
    const auto scope = [&](const WeightScope& place) { return HeadScope(place, request, config.initializer_range); };
    switch (request.head) {
      case Head::kNone: return;
      case Head::kSequenceClassification:
        return SetHead(MakeSequenceHead(scope(root.In("classifier.dense")), scope(root.In("classifier.out_proj")),
                                        {.hidden_size = config.hidden_size, .num_labels = request.num_labels,
                                         .activation = kernels::Activation::kTanh, .dropout_before = config.hidden_dropout_prob,
                                         .dropout = config.hidden_dropout_prob}));
      case Head::kTokenClassification:
        return SetHead(MakeTokenHead(scope(root.In("classifier")), config.hidden_size, request.num_labels, config.hidden_dropout_prob));
      case Head::kQuestionAnswering: return SetHead(MakeTokenHead(scope(root.In("qa_outputs")), config.hidden_size, request.num_labels, 0));
      case Head::kMaskedLanguageModel: return AddMaskedLanguageModel(root.In("lm_head"), config, request);
    }
  }

  void AddMaskedLanguageModel(const WeightScope& lm_head, const MpnetConfig& config, const HeadRequest& request) {
    const WeightScope place = lm_head.Has("bias") ? lm_head : HeadScope(lm_head, request, config.initializer_range);
    Parameter& decoder = config.tie_word_embeddings ? embeddings_.word_weight() : place.Get("decoder.weight", {config.vocab_size, config.hidden_size});
    if (config.tie_word_embeddings) AddTiedWeight("lm_head.decoder.weight", "mpnet.embeddings.word_embeddings.weight");
    SetHead(MakeMaskedLanguageModelHead(place.In("dense"), place.In("layer_norm"), decoder, place.Get("bias", {config.vocab_size}, Initial::kZero),
                                        {.hidden_size = config.hidden_size, .embedding_size = config.hidden_size,
                                         .activation = kernels::Activation::kGelu, .layer_norm_eps = config.layer_norm_eps}));
  }

  MpnetEmbeddings embeddings_;
  Parameter* position_bias_;
  std::vector<MpnetLayer> layers_;
};

}  // namespace

std::unique_ptr<Model> MakeMpnet(const ConfigReader& config, WeightSource weights, const std::string& source, const HeadRequest& request) {
  return std::make_unique<Mpnet>(std::make_unique<ParameterStore>(std::move(weights), source, "mpnet"), MpnetConfig(config), request);
}

}  // namespace mlac
