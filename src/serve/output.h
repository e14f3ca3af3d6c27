#pragma once
// What is asked of a model for a sequence: one row for the whole (a vector, the logits of its labels), or one for each of its tokens.

namespace mlac {

enum class Output { kSequence, kTokens };

}  // namespace mlac
