#include "pipelines/rows.h"

#include <algorithm>

#include "base/error.h"
#include "base/find_not_finite.h"

namespace mlac {

size_t RowsBefore(const Offsets& offsets, const RowsWanted& wanted, size_t num_sequences) {
  switch (wanted.output) {
    case Output::kSequence:
      return num_sequences;
    case Output::kTokens:
    case Output::kTokenLabels:
      return offsets[num_sequences];
    case Output::kMasks:
      break;
  }
  const auto& tokens = wanted.tokens;
  return static_cast<size_t>(std::lower_bound(tokens.begin(), tokens.end(), offsets[num_sequences]) - tokens.begin());
}

size_t NumRows(const TokenBatch& batch, const RowsWanted& wanted) { return RowsBefore(batch.offsets, wanted, batch.num_sequences()); }

void RequireFinite(std::span<const float> values) {
  if (FindNotFinite(values))
    throw Error(ErrorCode::kInvalidInput, "the model gave a number that is not finite",
                "its weights are broken, or overflow on these texts");
}

std::vector<size_t> TokensWithin(const RowsWanted& wanted, size_t begin, size_t end) {
  const auto from = std::lower_bound(wanted.tokens.begin(), wanted.tokens.end(), begin),
             to = std::lower_bound(from, wanted.tokens.end(), end);
  std::vector<size_t> tokens(from, to);
  for (size_t& token : tokens) token -= begin;
  return tokens;
}

}  // namespace mlac
