#pragma once
// What stands beside the weights of a sentence encoder or a cross-encoder, so that sentence-transformers opens the folder.
#include <cstddef>
#include <string>

namespace mlac {

// Copies the module folders of sentence-transformers, whole: they are small, and a Dense has weights of its own.
void CopyModules(const std::string& from, const std::string& to);

// Throws what WriteSentenceModules would throw of the files of `base`, before it is trained.
void CheckSentenceModules(const std::string& base);

// Writes modules.json, the folders of its modules, sentence_bert_config.json and config_sentence_transformers.json into `folder`, whose own
// files are those of the encoder: the base's, with max_length for what it had; without modules the mean of the tokens. base: the folder
// that training began from. hidden_size: of the encoder. Throws kInvalidInput for a file of the base that is no JSON object.
void WriteSentenceModules(const std::string& folder, const std::string& base, size_t hidden_size, size_t max_length);

// Sets what CrossEncoder looks for in the folder's config.json: the sigmoid of the one logit is the score.
void WriteCrossEncoderConfig(const std::string& folder);

}  // namespace mlac
