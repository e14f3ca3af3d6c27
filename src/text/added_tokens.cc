#include "text/added_tokens.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace mlac {
namespace {

// Searching is linear in the text times the longest content; longer ones are no tokens that anybody trained.
constexpr size_t kMaxContentBytes = 1024;

uint8_t FlagsBefore(std::string_view text, size_t position, size_t& begin) {
  begin = position - 1;
  while ((static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  size_t at = begin;
  return PropertiesOf(DecodeUtf8(text, at)).flags;
}

uint8_t FlagsAt(std::string_view text, size_t position, size_t& end) {
  end = position;
  return PropertiesOf(DecodeUtf8(text, end)).flags;
}

bool IsInsideWord(std::string_view text, size_t begin, size_t end) {
  size_t ignored;
  return (begin > 0 && FlagsBefore(text, begin, ignored) & kWordScalar) || (end < text.size() && FlagsAt(text, end, ignored) & kWordScalar);
}

// Runs of white space around positions of one text. The run found last is remembered, so that many tokens beside one long run do
// not walk it again and again.
class WhiteSpaceRuns {
 public:
  explicit WhiteSpaceRuns(std::string_view text) : text_(text) {}

  size_t BeginOfRunBefore(size_t position) {
    return position > 0 && Find(position) ? begin_ : position;
  }
  size_t EndOfRunFrom(size_t position) {
    return position < text_.size() && Find(position) ? end_ : position;
  }

 private:
  // Makes [begin_, end_] the run that holds position or ends or begins there; false if it is empty.
  bool Find(size_t position) {
    if (begin_ <= position && position <= end_) return begin_ < end_;
    begin_ = end_ = position;
    for (size_t before; begin_ > 0 && FlagsBefore(text_, begin_, before) & kWhiteSpace;) begin_ = before;
    for (size_t after; end_ < text_.size() && FlagsAt(text_, end_, after) & kWhiteSpace;) end_ = after;
    return begin_ < end_;
  }

  std::string_view text_;
  size_t begin_ = std::string_view::npos, end_ = 0;
};

bool SameFlags(const AddedToken& a, const AddedToken& b) {
  return a.single_word == b.single_word && a.lstrip == b.lstrip && a.rstrip == b.rstrip && a.normalized == b.normalized &&
         a.special == b.special;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Vocabulary& vocabulary, const Normalizer* normalizer,
                         std::string_view where) {
  int64_t next_id = static_cast<int64_t>(vocabulary.size());
  for (AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    if (token.content.size() > kMaxContentBytes)
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: an added token of {} bytes; at most {} are supported", where,
                                                       token.content.size(), kMaxContentBytes));
    if (const int32_t known = Find(token.content); known >= 0) {
      if (!SameFlags(*FindId(known), token) || (token.id >= 0 && token.id != known))
        throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} stands twice, with different ids or flags", where, ShownToken(token.content)));
      continue;
    }
    int64_t id = vocabulary.Find(token.content);
    const bool in_vocabulary = id >= 0;
    if (!in_vocabulary) id = next_id++;
    if (token.id >= 0 && token.id != id) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: {} has id {}; expected {}, {}", where, ShownToken(token.content), token.id, id,
                              in_vocabulary ? "as in the vocabulary" : "the next one after the vocabulary's tokens"));
    }
    if (id > std::numeric_limits<int32_t>::max())
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} has id {}; expected 0 to 2147483647", where, ShownToken(token.content), id));
    if (const AddedToken* other = id <= largest_id_ ? FindId(static_cast<int32_t>(id)) : nullptr;
        other != nullptr || (!in_vocabulary && vocabulary.TokenOf(static_cast<int32_t>(id)).data() != nullptr)) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {} would get id {}, which {} has", where, ShownToken(token.content), id,
                              ShownToken(other ? other->content : vocabulary.TokenOf(static_cast<int32_t>(id)))));
    }
    token.id = id;
    largest_id_ = std::max(largest_id_, static_cast<int32_t>(id));
    id_of_content_.emplace(token.content, static_cast<int32_t>(id));
    index_of_id_.emplace(static_cast<int32_t>(id), tokens_.size());
    tokens_.push_back(std::move(token));
  }

  // Of two that become the same when normalised, the first is found; special ones come first, as in `tokenizers`.
  std::vector<std::pair<std::string, size_t>> original, normalized;
  for (const bool special : {true, false}) {
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const AddedToken& token = tokens_[i];
      if (token.special != special) continue;
      if (!token.normalized || normalizer == nullptr) {
        (token.normalized ? normalized : original).emplace_back(token.content, i);
        continue;
      }
      AlignedText text(/*keep_sources=*/false);
      normalizer->Normalize({token.content, {}, 0}, text);
      if (text.text().empty()) {
        throw Error(ErrorCode::kUnsupported,
                    fmt::format("{}: {} (id {}) is empty once normalised, so that it would be found everywhere", where,
                                ShownToken(token.content), token.id),
                    "give it \"normalized\": false");
      }
      normalized.emplace_back(text.text(), i);
    }
  }
  original_.Build(original);
  normalized_.Build(normalized);
}

const AddedToken* AddedTokens::FindId(int32_t id) const {
  const auto found = index_of_id_.find(id);
  return found == index_of_id_.end() ? nullptr : &tokens_[found->second];
}

int32_t AddedTokens::Find(std::string_view content) const {
  const auto found = id_of_content_.find(std::string(content));
  return found == id_of_content_.end() ? -1 : found->second;
}

void AddedTokens::Matcher::Build(const std::vector<std::pair<std::string, size_t>>& patterns) {
  if (patterns.empty()) return;
  trie.emplace();
  int num_starts = 0;
  for (const auto& [pattern, index] : patterns) {
    trie->Insert(pattern, static_cast<int32_t>(index));
    const auto start = static_cast<unsigned char>(pattern[0]);
    if (!starts[start]) ++num_starts, only_start = start;
    starts[start] = true;
  }
  if (num_starts > 1) only_start = -1;
}

size_t AddedTokens::Matcher::NextStart(std::string_view text, size_t from) const {
  if (only_start >= 0) return std::min(text.find(static_cast<char>(only_start), from), text.size());
  while (from < text.size() && !starts[static_cast<unsigned char>(text[from])]) ++from;
  return from;
}

void AddedTokens::Matcher::Split(std::string_view text, const std::vector<AddedToken>& tokens,
                                 std::vector<AddedTokenSplit>& splits) const {
  size_t done = 0;  // the end of the last split
  WhiteSpaceRuns runs(text);
  for (size_t at = trie.has_value() ? NextStart(text, 0) : text.size(); at < text.size();) {
    const ByteTrie::Match match = trie->LongestMatch(ByteTrie::kRoot, text.substr(at));
    if (match.value < 0) {
      at = NextStart(text, at + 1);
      continue;
    }
    const AddedToken& token = tokens[static_cast<size_t>(match.value)];
    size_t begin = at, end = at + match.length;
    at = NextStart(text, end);
    if (token.single_word && IsInsideWord(text, begin, end)) continue;
    // What rstrip took in may hold the next token (one of white space); it is then found there again, and `done` moves back. So
    // does `tokenizers`.
    if (token.lstrip) begin = std::max(runs.BeginOfRunBefore(begin), done);
    if (token.rstrip) end = runs.EndOfRunFrom(end);
    if (begin >= end) continue;  // all of it was taken in by the token before
    if (done < begin) splits.push_back({-1, done, begin});
    splits.push_back({static_cast<int32_t>(token.id), begin, end});
    done = end;
  }
  if (done < text.size()) splits.push_back({-1, done, text.size()});
}

}  // namespace mlac
