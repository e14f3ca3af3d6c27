#include "models/heads.h"

#include "autograd/elementwise.h"
#include "nn/layers.h"

namespace mlac {
namespace {

class SequenceHead : public HeadLayers {
 public:
  SequenceHead(const WeightScope& dense, const WeightScope& output, const SequenceHeadOptions& options)
      : dropout_before_(options.dropout_before, RowKind::kSequences),
        dense_(dense, options.hidden_size, options.hidden_size, options.activation),
        dropout_(options.dropout, RowKind::kSequences),
        output_(output, options.hidden_size, options.num_labels) {}

  Tensor operator()(Run& run, const Tensor& x) const override { return output_(run, dropout_(run, dense_(run, dropout_before_(run, x)))); }

 private:
  Dropout dropout_before_;
  Linear dense_;
  Dropout dropout_;
  Linear output_;
};

class TokenHead : public HeadLayers {
 public:
  TokenHead(const WeightScope& output, size_t hidden_size, size_t num_labels, float dropout)
      : dropout_(dropout), output_(output, hidden_size, num_labels) {}

  Tensor operator()(Run& run, const Tensor& x) const override { return output_(run, dropout_(run, x)); }

 private:
  Dropout dropout_;
  Linear output_;
};

class MaskedLanguageModelHead : public HeadLayers {
 public:
  MaskedLanguageModelHead(const WeightScope& dense, const WeightScope& norm, Parameter& decoder, Parameter& bias,
                          const MaskedLanguageModelHeadOptions& options)
      : dense_(dense, options.hidden_size, options.embedding_size, options.activation),
        norm_(norm, options.embedding_size, options.layer_norm_eps),
        decoder_(decoder, bias) {}

  Tensor operator()(Run& run, const Tensor& x) const override { return decoder_(run, norm_(run, dense_(run, x))); }

 private:
  Linear dense_;
  LayerNorm norm_;
  Linear decoder_;
};

}  // namespace

WeightScope HeadScope(const WeightScope& place, const HeadRequest& request, float deviation) {
  return request.fresh ? place.Fresh(deviation, request.seed) : place;
}

std::unique_ptr<const HeadLayers> MakeSequenceHead(const WeightScope& dense, const WeightScope& output, const SequenceHeadOptions& options) {
  return std::make_unique<SequenceHead>(dense, output, options);
}

std::unique_ptr<const HeadLayers> MakeTokenHead(const WeightScope& output, size_t hidden_size, size_t num_labels, float dropout) {
  return std::make_unique<TokenHead>(output, hidden_size, num_labels, dropout);
}

std::unique_ptr<const HeadLayers> MakeMaskedLanguageModelHead(const WeightScope& dense, const WeightScope& norm, Parameter& decoder, Parameter& bias,
                                                              const MaskedLanguageModelHeadOptions& options) {
  return std::make_unique<MaskedLanguageModelHead>(dense, norm, decoder, bias, options);
}

}  // namespace mlac
