// ELECTRA: Clark et al. 2020, https://arxiv.org/abs/2003.10555: BERT's layers; embeddings of their own width E, projected to H where E is not H.
// Weight names: ElectraModel and its heads in transformers. T: tokens. H: hidden_size. E: embedding_size.
#include <fmt/format.h>

#include <optional>
#include <vector>

#include "models/bert_layer.h"
#include "models/families.h"
#include "models/heads.h"

namespace mlac {
namespace {

struct ElectraConfig : BertConfig {
  size_t embedding_size;

  explicit ElectraConfig(const ConfigReader& config) : BertConfig(config), embedding_size(config.Integer("embedding_size", 1, 1 << 16, 128)) {}
};

class Electra : public Model {
 public:
  Electra(std::unique_ptr<ParameterStore> store, const ElectraConfig& config, const HeadRequest& request)
      : Model(std::move(store), request,
              {.hidden_size = config.hidden_size, .vocab_size = config.vocab_size, .max_positions = config.max_position_embeddings,
               .num_segments = config.type_vocab_size,
               .head_prefixes = {"classifier.", "qa_outputs.", "generator_predictions.", "generator_lm_head.", "discriminator_predictions."}}),
        embeddings_(WeightScope(parameters()).In("electra.embeddings"), config, config.embedding_size) {
    const WeightScope root(parameters()), electra = root.In("electra");
    if (config.embedding_size != config.hidden_size)
      projection_.emplace(electra.In("embeddings_project"), config.embedding_size, config.hidden_size);
    for (size_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(electra.In(fmt::format("encoder.layer.{}", i)), config);
    AddHead(root, config, request);
  }

  Tensor EncodeWanted(Run& run, const TokenBatch& batch, const TokenRows& wanted) const override {  // [T, H], or [wanted->size(), H]
    Tensor hidden_states = embeddings_(run, batch);
    if (projection_) hidden_states = (*projection_)(run, hidden_states);
    return RunLayers(run, layers_, hidden_states, wanted, batch.offsets);
  }

 private:
  void AddHead(const WeightScope& root, const ElectraConfig& config, const HeadRequest& request) {
    const auto scope = [&](const WeightScope& place) { return HeadScope(place, request, config.initializer_range); };
    switch (request.head) {
      case Head::kNone: return;
      case Head::kSequenceClassification:  // its activation is GELU whatever hidden_act says
        return SetHead(MakeSequenceHead(scope(root.In("classifier.dense")), scope(root.In("classifier.out_proj")),
                                        {.hidden_size = config.hidden_size, .num_labels = request.num_labels, .activation = kernels::Activation::kGelu,
                                         .dropout_before = config.classifier_dropout, .dropout = config.classifier_dropout}));
      case Head::kTokenClassification:
        return SetHead(MakeTokenHead(scope(root.In("classifier")), config.hidden_size, request.num_labels, config.classifier_dropout));
      case Head::kQuestionAnswering: return SetHead(MakeTokenHead(scope(root.In("qa_outputs")), config.hidden_size, request.num_labels, 0));
      case Head::kMaskedLanguageModel: return AddMaskedLanguageModel(root, config, request);
    }
  }

  // The generator's head; its activation is GELU too.
  void AddMaskedLanguageModel(const WeightScope& root, const ElectraConfig& config, const HeadRequest& request) {
    const bool there = root.Has("generator_lm_head.bias");
    const auto scope = [&](const WeightScope& place) { return there ? place : HeadScope(place, request, config.initializer_range); };
    const WeightScope predictions = scope(root.In("generator_predictions")), lm_head = scope(root.In("generator_lm_head"));
    Parameter& decoder = config.tie_word_embeddings ? embeddings_.word_weight() : lm_head.Get("weight", {config.vocab_size, config.embedding_size});
    if (config.tie_word_embeddings) AddTiedWeight("generator_lm_head.weight", "electra.embeddings.word_embeddings.weight");
    SetHead(MakeMaskedLanguageModelHead(predictions.In("dense"), predictions.In("LayerNorm"), decoder,
                                        lm_head.Get("bias", {config.vocab_size}, Initial::kZero),
                                        {.hidden_size = config.hidden_size, .embedding_size = config.embedding_size,
                                         .activation = kernels::Activation::kGelu, .layer_norm_eps = config.layer_norm_eps}));
  }

  BertEmbeddings embeddings_;
  std::optional<Linear> projection_;
  std::vector<BertLayer> layers_;
};

}  // namespace

std::unique_ptr<Model> MakeElectra(const ConfigReader& config, WeightSource weights, const std::string& source, const HeadRequest& request) {
  return std::make_unique<Electra>(std::make_unique<ParameterStore>(std::move(weights), source, "electra"), ElectraConfig(config), request);
}

}  // namespace mlac
