#pragma once
// What a folder made from another takes over from it, beside weights and config.json.
#include <string>
#include <string_view>

namespace mlac {

// Copies tokenizer, licence, card and the like, and none of what was measured of the model, from one folder into another. left_out: a file
// that stays behind, too.
void CopyFiles(const std::string& from, const std::string& to, std::string_view left_out = "");

// Of the training.json of `from`, where it is one, what says how the weights came to be and how their examples are read, without what was
// measured.
void CopyTrainingRecord(const std::string& from, const std::string& to);

}  // namespace mlac
