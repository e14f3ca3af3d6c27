#pragma once
// Masked language modelling: guessing the tokens that were taken out of a text.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/texts.h"
#include "train/figures.h"
#include "train/masking.h"
#include "train/objective.h"

namespace mlac {

// Blocks of texts, with the places that messages name.
struct TextsToMask {
  TextBlocks blocks;
  std::string source;
  std::vector<size_t> lines;  // of each text
};

// The texts of a file, blank ones left out. Throws as ReadTexts, and kInvalidInput where nothing is left.
LabelledTexts ReadTextsToMask(const std::string& path, const std::string& text_column);
TextsToMask JoinTextsToMask(const Tokenizer& tokenizer, const LabelledTexts& texts, size_t max_length, bool line_by_line);

// Cross-entropy of the masked tokens, the mean over those of a batch; drawn anew in each step from seed, step and number of the example
// alone. model has a masked-language-model head; all outlive the objective.
std::unique_ptr<Objective> MakeMaskObjective(Model& model, const TokenMasker& masker, const TextsToMask& train,
                                             const TokenMasker& measuring_masker, const TextsToMask& validation, uint64_t seed);

// [tokens.size(), vocab_size]: logits of some tokens of a batch, rising.
using MaskedLogits = std::function<std::vector<float>(const TokenBatch& batch, std::span<const size_t> tokens)>;
MaskedLogits MaskedLogitsOf(const Model& model, Run& run, const std::function<void()>& before_batch = nullptr);

// Single tokens, 15 % of each block, whatever was trained with, so that figures of different trainings compare.
TokenMasker MeasuringMasker(const Tokenizer& tokenizer);

// Figures of tokens masked with a fixed draw: "perplexity", the exponential of the loss, and "accuracy", the share that is guessed right;
// with intervals of 1,000 bootstrap samples of blocks. num_examples: the blocks. Throws kInvalidInput for logits that are not finite,
// naming the text's place.
Figures MeasureMasks(const MaskedLogits& predict, const TokenMasker& masker, const TextsToMask& texts, size_t vocab_size,
                     const MetricsOptions& options = {});

}  // namespace mlac
