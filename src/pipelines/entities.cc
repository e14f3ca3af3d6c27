#include "pipelines/entities.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/utf8.h"

namespace mlac {
namespace {

// A token that is no special one.
struct Piece {
  std::string word;
  std::span<const float> probabilities;
  size_t begin, end, index;
  bool continues_word;
};

struct Tag {
  bool begins;
  std::string_view name;
};

// "B-PER" begins a PER, "I-PER" and "PER" go on with one.
Tag TagOf(std::string_view label) {
  if (label.starts_with("B-")) return {true, label.substr(2)};
  if (label.starts_with("I-")) return {false, label.substr(2)};
  return {false, label};
}

size_t ArgMax(std::span<const float> values) { return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin()); }

std::string Joined(const Tokenizer& tokenizer, const auto& words) {
  std::vector<std::string_view> tokens;
  for (const auto& word : words) tokens.push_back(word.word);
  return tokenizer.DecodeTokens(tokens);
}

std::vector<Piece> Pieces(const Tokenizer& tokenizer, const Encoding& encoding, std::string_view text, std::span<const float> probabilities,
                          size_t num_labels) {
  const std::vector<TextSpan> spans = CodePointOffsets(encoding, text);
  std::vector<Piece> pieces;
  for (size_t t = 0; t < encoding.token_ids.size(); ++t) {
    if (encoding.special_tokens_mask[t]) continue;
    const int32_t id = encoding.token_ids[t];
    const TextSpan &bytes = encoding.offsets[t], &span = spans[t];
    Piece piece = {std::string(tokenizer.TokenOf(id)), probabilities.subspan(t * num_labels, num_labels), span.begin, span.end, t, false};
    if (id == tokenizer.special_ids().unk) {
      piece.word = text.substr(bytes.begin, bytes.end - bytes.begin);
    } else {
      // transformers takes a token for the middle of a word where it is not as long as its text: "##ing" and "ing".
      piece.continues_word = CountCodePoints(piece.word) != span.end - span.begin;
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

Entity OfToken(const Piece& piece, std::span<const std::string> label_names) {
  const size_t label = ArgMax(piece.probabilities);
  return {label_names[label], piece.probabilities[label], piece.index, piece.word, piece.begin, piece.end};
}

// One label for all tokens of a word.
Entity OfWord(const Tokenizer& tokenizer, std::span<const Piece> word, std::span<const std::string> label_names, Aggregation aggregation) {
  std::vector<float> probabilities(word.front().probabilities.begin(), word.front().probabilities.end());
  if (aggregation == Aggregation::kMax) {
    const auto greatest = [](const Piece& piece) { return piece.probabilities[ArgMax(piece.probabilities)]; };
    const auto best = std::max_element(word.begin(), word.end(), [&](const Piece& a, const Piece& b) { return greatest(a) < greatest(b); });
    probabilities.assign(best->probabilities.begin(), best->probabilities.end());
  } else if (aggregation == Aggregation::kAverage) {
    for (size_t i = 0; i < probabilities.size(); ++i) {
      for (size_t t = 1; t < word.size(); ++t) probabilities[i] += word[t].probabilities[i];
      probabilities[i] /= static_cast<float>(word.size());
    }
  }
  const size_t label = ArgMax(probabilities);
  return {label_names[label], probabilities[label], word.front().index, Joined(tokenizer, word), word.front().begin, word.back().end};
}

std::vector<Entity> OfWords(const Tokenizer& tokenizer, std::span<const Piece> pieces, std::span<const std::string> label_names,
                            Aggregation aggregation) {
  std::vector<Entity> entities;
  for (size_t begin = 0; begin < pieces.size();) {
    size_t end = begin + 1;
    while (end < pieces.size() && pieces[end].continues_word) ++end;
    entities.push_back(OfWord(tokenizer, pieces.subspan(begin, end - begin), label_names, aggregation));
    begin = end;
  }
  return entities;
}

// Neighbours of one tag; a label that begins an entity begins a group.
std::vector<Entity> Grouped(const Tokenizer& tokenizer, std::span<const Entity> entities) {
  std::vector<Entity> groups;
  for (size_t begin = 0; begin < entities.size();) {
    size_t end = begin + 1;
    while (end < entities.size() && !TagOf(entities[end].label).begins && TagOf(entities[end].label).name == TagOf(entities[begin].label).name) ++end;
    const std::span<const Entity> members = entities.subspan(begin, end - begin);
    double sum = 0;
    for (const Entity& entity : members) sum += entity.score;
    const std::string& label = members.front().label;
    const size_t dash = label.find('-');
    groups.push_back({dash == std::string::npos ? label : label.substr(dash + 1), static_cast<float>(sum / static_cast<double>(members.size())),
                      members.front().index, Joined(tokenizer, members), members.front().begin, members.back().end});
    begin = end;
  }
  return groups;
}

}  // namespace

std::vector<Entity> FindEntities(const Tokenizer& tokenizer, const Encoding& encoding, std::string_view text, std::span<const float> probabilities,
                                 std::span<const std::string> label_names, Aggregation aggregation) {
  const std::vector<Piece> pieces = Pieces(tokenizer, encoding, text, probabilities, label_names.size());
  if (aggregation != Aggregation::kNone && aggregation != Aggregation::kSimple)
    return Grouped(tokenizer, OfWords(tokenizer, pieces, label_names, aggregation));
  std::vector<Entity> entities;
  for (const Piece& piece : pieces) entities.push_back(OfToken(piece, label_names));
  return aggregation == Aggregation::kNone ? entities : Grouped(tokenizer, entities);
}

std::vector<Entity> JoinWindows(std::vector<Entity> entities) {
  std::stable_sort(entities.begin(), entities.end(), [](const Entity& a, const Entity& b) { return a.begin < b.begin; });
  std::vector<Entity> joined;
  for (Entity& entity : entities) {
    if (joined.empty() || entity.begin >= joined.back().end) {
      joined.push_back(std::move(entity));
      continue;
    }
    const size_t length = entity.end - entity.begin, kept = joined.back().end - joined.back().begin;
    if (length > kept || (length == kept && entity.score > joined.back().score)) joined.back() = std::move(entity);
  }
  return joined;
}

}  // namespace mlac
