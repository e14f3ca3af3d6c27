#pragma once
// The heads that families of encoders share: they differ in names of weights, activation and dropout alone.
// S: sequences. T: tokens. H: hidden_size.
#include <cstddef>
#include <memory>

#include "kernels/activation.h"
#include "models/model.h"
#include "nn/weights.h"

namespace mlac {

// Where a head's weights are: the checkpoint, or new ones, normal with this deviation, where the request asks for that.
WeightScope HeadScope(const WeightScope& place, const HeadRequest& request, float deviation);

struct SequenceHeadOptions {
  size_t hidden_size = 0, num_labels = 0;
  kernels::Activation activation = kernels::Activation::kTanh;
  float dropout_before = 0;  // of the features
  float dropout = 0;         // of what the dense layer makes of them
};

// [S, H] to [S, labels]: dropout, a dense layer H to H with its activation, dropout, a linear layer.
std::unique_ptr<const HeadLayers> MakeSequenceHead(const WeightScope& dense, const WeightScope& output, const SequenceHeadOptions& options);

// [T, H] to [T, labels]: dropout and a linear layer. Token classification and, with two labels, question answering.
std::unique_ptr<const HeadLayers> MakeTokenHead(const WeightScope& output, size_t hidden_size, size_t num_labels, float dropout);

struct MaskedLanguageModelHeadOptions {
  size_t hidden_size = 0, embedding_size = 0;  // the dense layer maps one to the other
  kernels::Activation activation = kernels::Activation::kGelu;
  float layer_norm_eps = 1e-12f;
};

// [T, H] to [T, vocab_size]: a dense layer with its activation, a LayerNorm, and the decoder: most often the word embeddings once more,
// decoder [vocab_size, embedding_size], with a bias [vocab_size] of its own.
std::unique_ptr<const HeadLayers> MakeMaskedLanguageModelHead(const WeightScope& dense, const WeightScope& norm, Parameter& decoder, Parameter& bias,
                                                              const MaskedLanguageModelHeadOptions& options);

}  // namespace mlac
