#pragma once
// Added tokens: whole strings that are cut out of a text before the model sees it, such as [MASK].
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/byte_trie.h"
#include "text/normalizer.h"
#include "text/vocabulary.h"

namespace mlac {

struct AddedToken {
  std::string content;
  int64_t id = -1;           // -1: not said; it is given the next free one
  bool single_word = false;  // only between borders of words
  bool lstrip = false;       // takes the white space before it in
  bool rstrip = false;       // and behind it
  bool normalized = true;    // is looked for in the normalised text, in its normalised form; else in the original
  bool special = false;      // Decode can leave it out
};

// Bytes [begin, end) of the text that was searched. id: of the added token found there, or -1 for text between them.
struct AddedTokenSplit {
  int32_t id;
  size_t begin, end;
};

class AddedTokens {
 public:
  // A token that the model's vocabulary has keeps that id; the others are numbered from the vocabulary's size on, as `tokenizers`
  // does. where: file and field, for messages. Throws kInvalidInput if a token says another id than it gets, or if one content
  // stands twice with different flags; kUnsupported for a token whose normalised form is empty (it would be found everywhere).
  AddedTokens(std::vector<AddedToken> tokens, const Vocabulary& vocabulary, const Normalizer* normalizer, std::string_view where);

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* FindId(int32_t id) const;
  int32_t Find(std::string_view content) const;  // its id, or -1
  int32_t largest_id() const { return largest_id_; }

  // Appends the pieces of text, which together cover it: tokens with normalized == false (Original) or true (Normalized), leftmost
  // first, the longest where several begin. Time is linear in the length of text.
  void SplitOriginal(std::string_view text, std::vector<AddedTokenSplit>& splits) const { original_.Split(text, tokens_, splits); }
  void SplitNormalized(std::string_view text, std::vector<AddedTokenSplit>& splits) const { normalized_.Split(text, tokens_, splits); }
  bool any_normalized() const { return normalized_.trie.has_value(); }

 private:
  struct Matcher {
    std::optional<ByteTrie> trie;       // of patterns, to indices of tokens_; none if there are no patterns
    std::array<bool, 256> starts = {};  // bytes that a pattern begins with
    int only_start = -1;                // that byte, if there is just one

    void Build(const std::vector<std::pair<std::string, size_t>>& patterns);
    void Split(std::string_view text, const std::vector<AddedToken>& tokens, std::vector<AddedTokenSplit>& splits) const;
    size_t NextStart(std::string_view text, size_t from) const;
  };

  std::vector<AddedToken> tokens_;  // each with its id
  std::unordered_map<std::string, int32_t, TokenHash, std::equal_to<>> id_of_content_;
  std::map<int32_t, size_t> index_of_id_;
  Matcher original_, normalized_;
  int32_t largest_id_ = -1;
};

}  // namespace mlac
