// vocab.txt: BERT's tokenizer as its first release kept it, one token a line, the id being the number of the line from 0.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "text/tokenizer_parts.h"
#include "text/wordpiece.h"

namespace mlac {
namespace {

// The classes of transformers whose vocab.txt means BERT's tokenizer, each also with Fast at its end.
constexpr std::string_view kClasses[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "MPNetTokenizer"};

std::string_view BaseOf(std::string_view tokenizer_class) {
  if (tokenizer_class.ends_with("Fast")) tokenizer_class.remove_suffix(4);
  return tokenizer_class;
}

void CheckClass(const std::string& where, std::string_view tokenizer_class) {
  const std::string_view base = BaseOf(tokenizer_class);
  if (base.empty() || std::find(std::begin(kClasses), std::end(kClasses), base) != std::end(kClasses)) return;
  std::string known;
  for (const std::string_view name : kClasses) known += (known.empty() ? "" : ", ") + std::string(name);
  throw Error(ErrorCode::kUnsupported,
              fmt::format("{}: tokenizer_config.json has tokenizer_class {}; with a vocab.txt, supported: {}", where,
                          ShownToken(tokenizer_class), known),
              "save the tokenizer once with transformers, which writes a tokenizer.json");
}

// Where a token stands on two lines the last one counts, as in transformers; nothing has the earlier id then.
std::vector<VocabularyEntry> ReadLines(std::string_view text) {
  std::vector<VocabularyEntry> entries;
  std::unordered_map<std::string_view, size_t, TokenHash> index_of;
  int64_t id = 0;
  for (size_t begin = 0; begin < text.size(); ++id) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end + 1;
    const auto [found, is_new] = index_of.emplace(line, entries.size());
    if (is_new) {
      entries.push_back({line, id});
    } else {
      entries[found->second].id = id;
    }
  }
  return entries;
}

}  // namespace

TokenizerParts ParseVocabTxt(const std::string& text, const std::string& where, const TokenizerConfig& config) {
  CheckClass(where, config.tokenizer_class);
  if (const size_t position = FindInvalidUtf8(text); position != std::string::npos)
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: invalid UTF-8 at byte {}", where, position));
  TokenizerParts parts;
  parts.model = std::make_unique<WordPiece>(Vocabulary(ReadLines(text), where), WordPieceOptions{.unk_token = config.unk_token}, where);
  parts.normalizer =
      std::make_unique<BertNormalizer>(BertNormalizerOptions{.clean_text = true,
                                                             .handle_chinese_chars = config.tokenize_chinese_chars.value_or(true),
                                                             .strip_accents = config.strip_accents.value_or(std::nullopt),
                                                             .lowercase = config.do_lower_case.value_or(true)});
  parts.pre_tokenizer = std::make_unique<BertPreTokenizer>();
  parts.decoder = std::make_unique<WordPieceDecoder>("##", /*clean_up=*/true);

  const Vocabulary& vocabulary = parts.model->vocabulary();
  // transformers would give a pad or mask token that the vocabulary lacks an id above all others, which no embedding has.
  std::vector<AddedToken> added = config.added_tokens;
  for (const std::string* content : {&config.unk_token, &config.sep_token, &config.pad_token, &config.cls_token, &config.mask_token}) {
    const bool known = std::any_of(added.begin(), added.end(), [&](const AddedToken& token) { return token.content == *content; });
    if (!known && vocabulary.Find(*content) >= 0) added.push_back({.content = *content, .normalized = false, .special = true});
  }
  parts.added_tokens = std::make_unique<AddedTokens>(std::move(added), vocabulary, parts.normalizer.get(), where);

  const auto special = [&](const std::string& content, int32_t type_id) {
    return TemplatePiece{-1, type_id, {parts.added_tokens->Find(content)}};
  };
  for (const auto& [name, content] : {std::pair("cls_token", &config.cls_token), std::pair("sep_token", &config.sep_token)}) {
    if (content->empty() || vocabulary.Find(*content) < 0) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: the {} {} is not among the {} tokens", where, name, ShownToken(*content), vocabulary.size()));
    }
  }
  const TemplatePiece cls = special(config.cls_token, 0), sep = special(config.sep_token, 0);
  if (BaseOf(config.tokenizer_class) == "MPNetTokenizer") {  // two separators, one type
    parts.post_processor = {.single = {cls, {0, 0, {}}, sep}, .pair = {cls, {0, 0, {}}, sep, sep, {1, 0, {}}, sep}};
  } else {
    parts.post_processor = {.single = {cls, {0, 0, {}}, sep}, .pair = {cls, {0, 0, {}}, sep, {1, 1, {}}, special(config.sep_token, 1)}};
  }
  return parts;
}

}  // namespace mlac
