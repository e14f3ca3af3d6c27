#pragma once
// What a folder of sentence-transformers wants put before texts: "prompts" of config_sentence_transformers.json.
#include <map>
#include <optional>
#include <string>

namespace mlac {

struct SentencePrompts {
  std::map<std::string, std::string> texts;      // by the name of their use: "query"
  std::optional<std::string> default_name = {};  // of the one that each text gets where nobody names one
  bool of_cross_encoder = false;                 // they go before the first text of a pair, and no vector is made behind them

  // The prompt of texts for which nobody names one, "" if there is none.
  const std::string& Default() const;
  // Throws kInvalidArgument for a name that is none of theirs, with those that are.
  const std::string& Find(const std::string& name) const;
  // "it has 'document', 'query'", for a hint.
  std::string Known() const;
};

// None of a folder without the file, nor of a cross-encoder's without modules.json: sentence-transformers does not read the file then. Throws
// kInvalidInput for a prompt that is no text, and for a default that is none of them.
SentencePrompts ReadSentencePrompts(const std::string& folder);

}  // namespace mlac
