// BERT: Devlin et al. 2018, https://arxiv.org/abs/1810.04805; its block: Vaswani et al. 2017, section 3.1,
// https://arxiv.org/abs/1706.03762, post-norm: x = LayerNorm(x + Dropout(Sublayer(x))). Weight names: BertModel and its heads in transformers.
// T: tokens of the batch, its sequences end to end; sequence s is offsets[s] to offsets[s + 1]. S: sequences.
// H: hidden_size. I: intermediate_size.
#include "models/bert.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/pooling.h"
#include "base/error.h"
#include "models/config.h"
#include "nn/layers.h"

namespace mlac {
namespace {

struct BertConfig {
  size_t vocab_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, max_position_embeddings, type_vocab_size;
  kernels::Activation hidden_act;
  float hidden_dropout_prob, attention_probs_dropout_prob, classifier_dropout, layer_norm_eps, initializer_range;
  bool tie_word_embeddings;

  explicit BertConfig(const ConfigReader& config)
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
    if (hidden_size % num_attention_heads != 0)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: hidden_size {} is no multiple of num_attention_heads {}", config.file(), hidden_size,
                                                        num_attention_heads));
    if (const std::string type = config.String("position_embedding_type", "absolute"); type != "absolute")
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: position_embedding_type '{}' is not supported; supported is absolute", config.file(), type));
    if (config.Boolean("is_decoder", false) || config.Boolean("add_cross_attention", false))
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: BERT as a decoder is not supported", config.file()));
  }
};

class BertEmbeddings {
 public:
  BertEmbeddings(const WeightScope& weights, const BertConfig& config)
      : word_(weights.In("word_embeddings"), config.vocab_size, config.hidden_size),
        position_(weights.In("position_embeddings"), config.max_position_embeddings, config.hidden_size),
        token_type_(weights.In("token_type_embeddings"), config.type_vocab_size, config.hidden_size),
        norm_(weights.In("LayerNorm"), config.hidden_size, config.layer_norm_eps),
        dropout_(config.hidden_dropout_prob) {}

  Tensor operator()(Run& run, const TokenBatch& batch) const {  // [T, H]
    const Tensor positions = position_(run, PositionIds(batch.offsets));
    return dropout_(run, norm_(run, Sum(run, word_(run, batch.token_ids), token_type_(run, batch.token_type_ids), positions)));
  }
  Parameter& word_weight() const { return word_.weight(); }

 private:
  Embedding word_, position_, token_type_;
  LayerNorm norm_;
  Dropout dropout_;
};

class BertLayer {
 public:
  BertLayer(const WeightScope& weights, const BertConfig& config)
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

  Tensor operator()(Run& run, const Tensor& x, const Offsets& offsets) const {  // [T, H] to [T, H]
    // One after another and not as arguments, whose order compilers choose: the gradients of x are added in the reverse of it.
    const Tensor value = value_(run, x), key = key_(run, x), query = query_(run, x);
    const Tensor context = AttentionForward(run, query, key, value, offsets, num_heads_, attention_dropout_);
    const Tensor attended = attention_norm_(run, dropout_(run, attention_output_(run, context)), /*residual=*/x);
    const Tensor expanded = intermediate_.ForNextLinear(run, attended);  // [T, I], activation included
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

// The tanh layer over [CLS] that BERT was pre-trained with, and a linear layer: BertForSequenceClassification.
class BertClassificationHead {
 public:
  BertClassificationHead(const WeightScope& pooler, const WeightScope& classifier, const BertConfig& config, size_t num_labels)
      : pooler_(pooler.In("dense"), config.hidden_size, config.hidden_size, kernels::Activation::kTanh),
        dropout_(config.classifier_dropout, RowKind::kSequences),
        classifier_(classifier, config.hidden_size, num_labels) {}

  Tensor operator()(Run& run, const Tensor& features) const {  // [S, H], the hidden states of [CLS], to [S, labels]
    return classifier_(run, dropout_(run, pooler_(run, features)));
  }

 private:
  Linear pooler_;
  Dropout dropout_;
  Linear classifier_;
};

// BertForMaskedLM's: a dense layer, a LayerNorm, and the word embeddings once more, transposed.
class BertMaskedLanguageModelHead {
 public:
  BertMaskedLanguageModelHead(const WeightScope& weights, const BertConfig& config, Parameter& word_weight)
      : transform_(weights.In("transform.dense"), config.hidden_size, config.hidden_size, config.hidden_act),
        norm_(weights.In("transform.LayerNorm"), config.hidden_size, config.layer_norm_eps),
        decoder_(config.tie_word_embeddings ? word_weight : weights.Get("decoder.weight", {config.vocab_size, config.hidden_size}),
                 weights.Get("bias", {config.vocab_size}, Initial::kZero)) {}

  Tensor operator()(Run& run, const Tensor& hidden_states) const {  // [T, H] to [T, vocab_size]
    return decoder_(run, norm_(run, transform_(run, hidden_states)));
  }

 private:
  Linear transform_;
  LayerNorm norm_;
  Linear decoder_;
};

class Bert : public Model {
 public:
  Bert(std::unique_ptr<ParameterStore> store, const ConfigReader& reader, const HeadRequest& request)
      : Model(std::move(store)), config_(reader), embeddings_(WeightScope(parameters()).In("bert.embeddings"), config_) {
    const WeightScope root(parameters()), bert = root.In("bert");
    for (size_t i = 0; i < config_.num_hidden_layers; ++i) layers_.emplace_back(bert.In(fmt::format("encoder.layer.{}", i)), config_);
    if (request.head == Head::kSequenceClassification) {
      num_labels_ = request.num_labels;
      const auto scope = [&](const WeightScope& place, bool exists) {
        return request.fresh && !exists ? place.Fresh(config_.initializer_range, request.seed) : place;
      };
      // An encoder often comes with its pooler; the classifier of another task is never taken over.
      classification_.emplace(scope(bert.In("pooler"), bert.Has("pooler.dense.weight")), scope(root.In("classifier"), false), config_, num_labels_);
    } else if (request.head == Head::kMaskedLanguageModel) {
      masked_language_model_.emplace(root.In("cls.predictions"), config_, embeddings_.word_weight());
    }
  }

  Head head() const override {
    return classification_ ? Head::kSequenceClassification : masked_language_model_ ? Head::kMaskedLanguageModel : Head::kNone;
  }
  size_t hidden_size() const override { return config_.hidden_size; }
  size_t vocab_size() const override { return config_.vocab_size; }
  size_t max_positions() const override { return config_.max_position_embeddings; }
  size_t num_segments() const override { return config_.type_vocab_size; }
  size_t num_labels() const override { return num_labels_; }
  std::vector<std::string> head_prefixes() const override { return {"bert.pooler.", "classifier.", "cls."}; }
  std::vector<std::pair<std::string, std::string>> tied_weights() const override {
    if (!masked_language_model_ || !config_.tie_word_embeddings) return {};
    return {{"cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight"}};
  }

  Tensor Encode(Run& run, const TokenBatch& batch) const override {  // [T, H]
    Tensor hidden_states = embeddings_(run, batch);
    for (const BertLayer& layer : layers_) hidden_states = layer(run, hidden_states, batch.offsets);
    return hidden_states;
  }

  Tensor SequenceFeatures(Run& run, const Tensor& hidden_states, const Offsets& offsets) const override {
    return PoolForward(run, hidden_states, offsets, Pooling::kCls);
  }

  Tensor Classify(Run& run, const Tensor& features) const override {
    if (!classification_) throw Error(ErrorCode::kUnsupported, "the model has no classification head");
    return (*classification_)(run, features);
  }

  Tensor PredictTokens(Run& run, const Tensor& hidden_states) const override {
    if (!masked_language_model_) throw Error(ErrorCode::kUnsupported, "the model has no masked-language-model head");
    return (*masked_language_model_)(run, hidden_states);
  }

 private:
  BertConfig config_;
  BertEmbeddings embeddings_;
  std::vector<BertLayer> layers_;
  size_t num_labels_ = 0;
  std::optional<BertClassificationHead> classification_;
  std::optional<BertMaskedLanguageModelHead> masked_language_model_;
};

}  // namespace

std::unique_ptr<Model> MakeBert(const ConfigReader& config, WeightLookup weights, const std::string& source, const HeadRequest& request) {
  return std::make_unique<Bert>(std::make_unique<ParameterStore>(std::move(weights), source, "bert"), config, request);
}

}  // namespace mlac
