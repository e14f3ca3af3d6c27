#pragma once
// Which rows a model is asked for, of the sequences of a batch.
#include <cstddef>
#include <span>
#include <vector>

#include "tensor/token_batch.h"

namespace mlac {

enum class Output {
  kSequence,     // one a sequence: the logits of a classifier of texts, the vector (not normalised) that any other model gives
  kTokens,       // one a token: its hidden state
  kTokenLabels,  // one a token: the logits of its labels, or of whether an answer starts and whether it ends there
  kMasks,        // one for each token that is asked about: the logits of all words of the vocabulary
};
constexpr size_t kNumOutputs = 4;

struct RowsWanted {
  Output output = Output::kSequence;
  // Of kMasks: which of the batch's, rising. Of the vectors of kSequence: where those of a sequence begin that count, where not all do
  // (SentenceEncoder's pooled_from).
  std::span<const size_t> tokens = {};
};

// How many rows the first num_sequences sequences of a batch have: where those of the next begin.
size_t RowsBefore(const Offsets& offsets, const RowsWanted& wanted, size_t num_sequences);
// Of the whole batch.
size_t NumRows(const TokenBatch& batch, const RowsWanted& wanted);
// Throws kInvalidInput for a number that is NaN or infinite: what follows from it would look like an answer.
void RequireFinite(std::span<const float> values);
// Those of wanted.tokens that are in [begin, end), counted from begin.
std::vector<size_t> TokensWithin(const RowsWanted& wanted, size_t begin, size_t end);

}  // namespace mlac
