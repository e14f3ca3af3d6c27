// DistilBERT: Sanh et al. 2019, https://arxiv.org/abs/1910.01108: BERT's layers under other names, without token types and pooler.
// Weight names: DistilBertModel and its heads in transformers. T: tokens. H: hidden_size ("dim"). I: intermediate_size ("hidden_dim").
#include <fmt/format.h>

#include <vector>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/wanted_rows.h"
#include "models/families.h"
#include "models/heads.h"
#include "nn/layers.h"

namespace mlac {
namespace {

constexpr float kLayerNormEps = 1e-12f;  // no field of config.json

struct DistilBertConfig {
  size_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings;
  kernels::Activation hidden_act;
  float dropout, attention_dropout, classifier_dropout, qa_dropout, initializer_range;
  bool tie_word_embeddings;

  explicit DistilBertConfig(const ConfigReader& config)
      : vocab_size(config.Integer("vocab_size", 1, 1 << 24)),
        hidden_size(config.Integer("dim", 1, 1 << 16)),
        num_hidden_layers(config.Integer("n_layers", 1, 1024)),
        num_attention_heads(config.Integer("n_heads", 1, 1 << 16)),
        intermediate_size(config.Integer("hidden_dim", 1, 1 << 20)),
        max_position_embeddings(config.Integer("max_position_embeddings", 1, 1 << 20, 512)),
        hidden_act(ActivationFromName(config.String("activation", "gelu"))),
        dropout(config.Number("dropout", 0, 0.99f, 0.1f)),
        attention_dropout(config.Number("attention_dropout", 0, 0.99f, 0.1f)),
        classifier_dropout(config.Number("seq_classif_dropout", 0, 0.99f, 0.2f)),
        qa_dropout(config.Number("qa_dropout", 0, 0.99f, 0.1f)),
        initializer_range(config.Number("initializer_range", 0, 1, 0.02f)),
        tie_word_embeddings(config.Boolean("tie_word_embeddings", true)) {
    config.CheckHeads(hidden_size, num_attention_heads, "dim", "n_heads");
  }
};

class DistilBertEmbeddings {
 public:
  DistilBertEmbeddings(const WeightScope& weights, const DistilBertConfig& config)
      : word_(weights.In("word_embeddings"), config.vocab_size, config.hidden_size),
        position_(weights.In("position_embeddings"), config.max_position_embeddings, config.hidden_size),
        norm_(weights.In("LayerNorm"), config.hidden_size, kLayerNormEps),
        dropout_(config.dropout) {}

  Tensor operator()(Run& run, const TokenBatch& batch) const {  // [T, H]
    const Tensor positions = position_(run, PositionIds(batch.offsets));
    return dropout_(run, norm_(run, Sum(run, word_(run, batch.token_ids), positions)));
  }
  Parameter& word_weight() const { return word_.weight(); }

 private:
  Embedding word_, position_;
  LayerNorm norm_;
  Dropout dropout_;
};

class DistilBertLayer {
 public:
  DistilBertLayer(const WeightScope& weights, const DistilBertConfig& config)
      : query_(weights.In("attention.q_lin"), config.hidden_size, config.hidden_size),
        key_(weights.In("attention.k_lin"), config.hidden_size, config.hidden_size),
        value_(weights.In("attention.v_lin"), config.hidden_size, config.hidden_size),
        num_heads_(config.num_attention_heads),
        attention_dropout_(config.attention_dropout),
        attention_output_(weights.In("attention.out_lin"), config.hidden_size, config.hidden_size),
        attention_norm_(weights.In("sa_layer_norm"), config.hidden_size, kLayerNormEps),
        intermediate_(weights.In("ffn.lin1"), config.hidden_size, config.intermediate_size, config.hidden_act),
        output_(weights.In("ffn.lin2"), config.intermediate_size, config.hidden_size),
        output_norm_(weights.In("output_layer_norm"), config.hidden_size, kLayerNormEps),
        dropout_(config.dropout) {}

  // [T, H] to [T, H], or to the wanted rows of that.
  Tensor operator()(Run& run, const Tensor& x, const Offsets& offsets, const TokenRows& wanted) const {
    const AttentionInput value = value_.ForAttention(run, x), key = key_.ForAttention(run, x);  // in an order that no compiler chooses
    const WantedRows rows(run, x, wanted);
    const AttentionInput query = query_.ForAttention(run, rows.x());
    const Tensor context = AttentionForward(run, query, key, value, offsets, num_heads_, attention_dropout_);
    const Tensor attended = attention_norm_(run, attention_output_(run, context), /*residual=*/rows.x());  // no dropout here
    const Tensor expanded = intermediate_.ForNextLinear(run, attended);                             // [T, I]
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

class DistilBert : public Model {
 public:
  DistilBert(std::unique_ptr<ParameterStore> store, const DistilBertConfig& config, const HeadRequest& request)
      : Model(std::move(store), request,
              {.hidden_size = config.hidden_size, .vocab_size = config.vocab_size, .max_positions = config.max_position_embeddings,
               .head_prefixes = {"pre_classifier.", "classifier.", "qa_outputs.", "vocab_transform.", "vocab_layer_norm.", "vocab_projector."}}),
        embeddings_(WeightScope(parameters()).In("distilbert.embeddings"), config) {
    const WeightScope root(parameters()), layers = root.In("distilbert.transformer");
    for (size_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(layers.In(fmt::format("layer.{}", i)), config);
    AddHead(root, config, request);
  }

  Tensor EncodeWanted(Run& run, const TokenBatch& batch, const TokenRows& wanted) const override {  // [T, H], or [wanted->size(), H]
    return RunLayers(run, layers_, embeddings_(run, batch), wanted, batch.offsets);
  }

 private:
  void AddHead(const WeightScope& root, const DistilBertConfig& config, const HeadRequest& request) {
    const auto scope = [&](const WeightScope& place) { return HeadScope(place, request, config.initializer_range); };
    switch (request.head) {
      case Head::kNone: return;
      case Head::kSequenceClassification:
        return SetHead(MakeSequenceHead(scope(root.In("pre_classifier")), scope(root.In("classifier")),
                                        {.hidden_size = config.hidden_size, .num_labels = request.num_labels,
                                         .activation = kernels::Activation::kRelu, .dropout = config.classifier_dropout}));
      case Head::kTokenClassification:
        return SetHead(MakeTokenHead(scope(root.In("classifier")), config.hidden_size, request.num_labels, config.dropout));
      case Head::kQuestionAnswering:
        return SetHead(MakeTokenHead(scope(root.In("qa_outputs")), config.hidden_size, request.num_labels, config.qa_dropout));
      case Head::kMaskedLanguageModel: return AddMaskedLanguageModel(root, config, request);
    }
  }

  void AddMaskedLanguageModel(const WeightScope& root, const DistilBertConfig& config, const HeadRequest& request) {
    const bool there = root.Has("vocab_projector.bias");
    const auto scope = [&](const char* name) { return there ? root.In(name) : HeadScope(root.In(name), request, config.initializer_range); };
    const WeightScope projector = scope("vocab_projector");
    Parameter& decoder = config.tie_word_embeddings ? embeddings_.word_weight() : projector.Get("weight", {config.vocab_size, config.hidden_size});
    if (config.tie_word_embeddings) AddTiedWeight("vocab_projector.weight", "distilbert.embeddings.word_embeddings.weight");
    SetHead(MakeMaskedLanguageModelHead(scope("vocab_transform"), scope("vocab_layer_norm"), decoder,
                                        projector.Get("bias", {config.vocab_size}, Initial::kZero),
                                        {.hidden_size = config.hidden_size, .embedding_size = config.hidden_size, .activation = config.hidden_act,
                                         .layer_norm_eps = kLayerNormEps}));
  }

  DistilBertEmbeddings embeddings_;
  std::vector<DistilBertLayer> layers_;
};

}  // namespace

std::unique_ptr<Model> MakeDistilBert(const ConfigReader& config, WeightSource weights, const std::string& source, const HeadRequest& request) {
  return std::make_unique<DistilBert>(std::make_unique<ParameterStore>(std::move(weights), source, "distilbert"), DistilBertConfig(config), request);
}

}  // namespace mlac
