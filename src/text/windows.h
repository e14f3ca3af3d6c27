#pragma once
// A text that is too long for a model, read through windows that overlap.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/tokenizer.h"

namespace mlac {

// Cuts the last text of an encoding (the second of a pair) into windows, so that each window, with all of the other text and the special tokens around it,
// has at most max_length tokens and shares `stride` tokens with the one before: what `tokenizers` returns as overflowing tokens. One window where
// nothing is too long. Throws kInvalidArgument if no more than `stride` tokens of the text have room in a window, kTooLarge if it takes more than
// max_windows.
std::vector<Encoding> CutIntoWindows(const Encoding& encoding, size_t max_length, size_t stride, size_t max_windows = SIZE_MAX);

}  // namespace mlac
