// BERT: Devlin et al. 2018, https://arxiv.org/abs/1810.04805. Its layers: bert_layer.h. Weight names: BertModel and its heads in transformers.
// T: tokens. H: hidden_size.
#include <fmt/format.h>

#include <vector>

#include "models/bert_layer.h"
#include "models/families.h"
#include "models/heads.h"

namespace mlac {
namespace {

class Bert : public Model {
 public:
  Bert(std::unique_ptr<ParameterStore> store, const BertConfig& config, const HeadRequest& request)
      : Model(std::move(store), request,
              {.hidden_size = config.hidden_size, .vocab_size = config.vocab_size, .max_positions = config.max_position_embeddings,
               .num_segments = config.type_vocab_size, .head_prefixes = {"bert.pooler.", "classifier.", "qa_outputs.", "cls."}}),
        embeddings_(WeightScope(parameters()).In("bert.embeddings"), config, config.hidden_size) {
    const WeightScope bert = WeightScope(parameters()).In("bert");
    for (size_t i = 0; i < config.num_hidden_layers; ++i) layers_.emplace_back(bert.In(fmt::format("encoder.layer.{}", i)), config);
    AddHead(WeightScope(parameters()), bert.In("pooler"), config, request);
  }

  Tensor EncodeWanted(Run& run, const TokenBatch& batch, const TokenRows& wanted) const override {  // [T, H], or [wanted->size(), H]
    return RunLayers(run, layers_, embeddings_(run, batch), wanted, batch.offsets);
  }

 private:
  void AddHead(const WeightScope& root, const WeightScope& pooler, const BertConfig& config, const HeadRequest& request) {
    const auto scope = [&](const WeightScope& place) { return HeadScope(place, request, config.initializer_range); };
    switch (request.head) {
      case Head::kNone: return;
      case Head::kSequenceClassification:
        // The tanh layer over [CLS] that BERT was pre-trained with often comes with the encoder; the classifier of another task is never taken over.
        return SetHead(MakeSequenceHead(pooler.Has("dense.weight") ? pooler.In("dense") : scope(pooler.In("dense")), scope(root.In("classifier")),
                                        {.hidden_size = config.hidden_size, .num_labels = request.num_labels,
                                         .activation = kernels::Activation::kTanh, .dropout = config.classifier_dropout}));
      case Head::kTokenClassification:
        return SetHead(MakeTokenHead(scope(root.In("classifier")), config.hidden_size, request.num_labels, config.classifier_dropout));
      case Head::kQuestionAnswering: return SetHead(MakeTokenHead(scope(root.In("qa_outputs")), config.hidden_size, request.num_labels, 0));
      case Head::kMaskedLanguageModel: return AddMaskedLanguageModel(root.In("cls.predictions"), config, request);
    }
  }

  void AddMaskedLanguageModel(const WeightScope& predictions, const BertConfig& config, const HeadRequest& request) {
    const WeightScope place = predictions.Has("bias") ? predictions : HeadScope(predictions, request, config.initializer_range);
    Parameter& decoder = config.tie_word_embeddings ? embeddings_.word_weight() : place.Get("decoder.weight", {config.vocab_size, config.hidden_size});
    if (config.tie_word_embeddings) AddTiedWeight("cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight");
    SetHead(MakeMaskedLanguageModelHead(place.In("transform.dense"), place.In("transform.LayerNorm"), decoder,
                                        place.Get("bias", {config.vocab_size}, Initial::kZero),
                                        {.hidden_size = config.hidden_size, .embedding_size = config.hidden_size, .activation = config.hidden_act,
                                         .layer_norm_eps = config.layer_norm_eps}));
  }

  BertEmbeddings embeddings_;
  std::vector<BertLayer> layers_;
};

}  // namespace

std::unique_ptr<Model> MakeBert(const ConfigReader& config, WeightSource weights, const std::string& source, const HeadRequest& request) {
  return std::make_unique<Bert>(std::make_unique<ParameterStore>(std::move(weights), source, "bert"), BertConfig(config), request);
}

}  // namespace mlac
