#pragma once
// Sets a part of the data aside for validation.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/texts.h"

namespace mlac {

struct SplitRows {
  std::vector<size_t> train, validation;  // rows of the data, rising
};

// Stratified: each label gives its share of rows, whole numbers by largest remainder (equal ones in an order that the seed decides),
// so that round(fraction * rows) are set aside in all, at least 1, and no label gives a row more than its share rounded up. Rows with
// one and the same text stay together, so that no text is in both parts; every label keeps a text of its own for training, and texts
// under two labels stay there. Where these rules say so, fewer are set aside, perhaps none.
// Depends on texts, labels, fraction and seed alone. Throws kInvalidArgument unless 0 <= fraction < 1.
SplitRows SplitStratified(const LabelledTexts& data, double fraction, uint64_t seed);

}  // namespace mlac
