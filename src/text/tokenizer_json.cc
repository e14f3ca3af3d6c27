// tokenizer.json, as `tokenizers` 0.22 writes it: https://huggingface.co/docs/tokenizers.
#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer_parts.h"
#include "text/wordpiece.h"

namespace mlac {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxReparsedBytes = size_t{16} << 20;  // a broken file is parsed again for its position up to this size

std::string_view NameOf(element_type type) {
  switch (type) {
    case element_type::ARRAY:
      return "an array";
    case element_type::OBJECT:
      return "an object";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "true or false";
    case element_type::NULL_VALUE:
      return "null";
    case element_type::DOUBLE:
      return "a number that is not whole";
    default:
      return "a whole number";
  }
}

bool IsWhole(element value) { return value.type() == element_type::INT64 || value.type() == element_type::UINT64; }

// A value and the place where it stands, for messages: "tokenizer.json: model.vocab".
class Value {
 public:
  Value(element value, std::string where) : value_(value), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  bool is_null() const { return value_.is_null(); }

  [[noreturn]] void Throw(std::string_view message) const { throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", where_, message)); }
  [[noreturn]] void ThrowType(std::string_view expected) const {
    Throw(fmt::format("expected {}, found {}", expected, NameOf(value_.type())));
  }

  std::string_view String() const {
    if (!value_.is_string()) ThrowType("a string");
    return value_.get_string().value_unsafe();
  }
  bool Bool() const {
    if (!value_.is_bool()) ThrowType("true or false");
    return value_.get_bool().value_unsafe();
  }
  int64_t Whole(int64_t least, int64_t most) const {
    if (!IsWhole(value_)) ThrowType("a whole number");
    // A number above 2^63 - 1 is of another type; it is out of every range that is asked for here.
    const int64_t number = value_.is_int64() ? value_.get_int64().value_unsafe() : std::numeric_limits<int64_t>::max();
    if (number < least || number > most) Throw(fmt::format("expected {} to {}, found {}", least, most, simdjson::to_string(value_)));
    return number;
  }
  int32_t TokenId() const { return static_cast<int32_t>(Whole(0, std::numeric_limits<int32_t>::max())); }

  std::vector<Value> Array() const {
    if (!value_.is_array()) ThrowType("an array");
    const simdjson::dom::array array = value_.get_array().value_unsafe();
    std::vector<Value> items;
    for (const element item : array) items.emplace_back(item, fmt::format("{}[{}]", where_, items.size()));
    return items;
  }
  simdjson::dom::object Object() const {
    if (!value_.is_object()) ThrowType("an object");
    return value_.get_object().value_unsafe();
  }

 private:
  element value_;
  std::string where_;
};

// The fields of an object, each of which may stand once.
class Fields {
 public:
  explicit Fields(const Value& value, std::string_view separator = ".") : prefix_(value.where() + std::string(separator)) {
    for (const auto [key, field] : value.Object()) {
      if (!fields_.emplace(key, field).second) value.Throw(fmt::format("field {} stands twice", ShownToken(key)));
    }
  }

  // The field, if it is there and not null.
  std::optional<Value> Find(std::string_view key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end() || found->second.is_null()) return std::nullopt;
    return Value(found->second, prefix_ + std::string(key));
  }
  Value Get(std::string_view key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}{}: missing", prefix_, key));
    return Value(found->second, prefix_ + std::string(key));
  }
  bool Has(std::string_view key) const { return fields_.contains(key); }

 private:
  std::string prefix_;  // of the place of a field: "tokenizer.json: model."
  std::unordered_map<std::string_view, element, TokenHash> fields_;
};

// ---- Normalisers

std::unique_ptr<Normalizer> ReadBertNormalizer(const Fields& fields, const TokenizerConfig& config) {
  BertNormalizerOptions options = {.clean_text = fields.Get("clean_text").Bool(),
                                   .handle_chinese_chars = fields.Get("handle_chinese_chars").Bool(),
                                   .strip_accents = std::nullopt,
                                   .lowercase = fields.Get("lowercase").Bool()};
  if (const auto strip_accents = fields.Find("strip_accents")) options.strip_accents = strip_accents->Bool();
  // transformers hands these three to BERT's tokenizers over what tokenizer.json says; its generic class ignores them.
  if (config.tokenizer_class != "PreTrainedTokenizerFast" && config.tokenizer_class != "TokenizersBackend") {
    options.lowercase = config.do_lower_case.value_or(options.lowercase);
    options.handle_chinese_chars = config.tokenize_chinese_chars.value_or(options.handle_chinese_chars);
    options.strip_accents = config.strip_accents.value_or(options.strip_accents);
  }
  return std::make_unique<BertNormalizer>(options);
}

// ---- Pre-tokenizers

std::unique_ptr<PreTokenizer> ReadBertPreTokenizer(const Fields&, const TokenizerConfig&) { return std::make_unique<BertPreTokenizer>(); }

// ---- Models

std::unique_ptr<TokenModel> ReadWordPiece(const Fields& fields, const TokenizerConfig&) {
  const Value vocab = fields.Get("vocab");
  std::vector<VocabularyEntry> entries;
  entries.reserve(vocab.Object().size());
  for (const auto [token, id] : vocab.Object()) {
    if (!IsWhole(id)) vocab.Throw(fmt::format("the id of token {} is {}; expected a whole number", ShownToken(token), NameOf(id.type())));
    entries.push_back({token, id.is_int64() ? id.get_int64().value_unsafe() : std::numeric_limits<int64_t>::max()});
  }
  const WordPieceOptions options = {.unk_token = std::string(fields.Get("unk_token").String()),
                                    .continuing_subword_prefix = std::string(fields.Get("continuing_subword_prefix").String()),
                                    .max_input_chars_per_word = static_cast<size_t>(
                                        fields.Get("max_input_chars_per_word").Whole(0, std::numeric_limits<int64_t>::max()))};
  return std::make_unique<WordPiece>(Vocabulary(std::move(entries), vocab.where()), options, vocab.where());
}

// ---- Post-processors

// A pair of a token and its id, as BertProcessing holds it.
int32_t ReadTokenWithId(const Value& value) {
  const std::vector<Value> items = value.Array();
  if (items.size() != 2) value.Throw("expected a token and its id");
  items[0].String();
  return items[1].TokenId();
}

std::unique_ptr<PostProcessor> ReadBertProcessing(const Fields& fields, const TokenizerConfig&) {
  const TemplatePiece cls = {-1, 0, {ReadTokenWithId(fields.Get("cls"))}}, sep = {-1, 0, {ReadTokenWithId(fields.Get("sep"))}};
  const TemplatePiece second_sep = {-1, 1, sep.special_ids};
  return std::make_unique<PostProcessor>(PostProcessor{{cls, {0, 0, {}}, sep}, {cls, {0, 0, {}}, sep, {1, 1, {}}, second_sep}});
}

// Two separators between the texts of a pair, and one type for all tokens. trim_offsets concerns tokens that begin with a space, which none of ours do.
std::unique_ptr<PostProcessor> ReadRobertaProcessing(const Fields& fields, const TokenizerConfig&) {
  const TemplatePiece cls = {-1, 0, {ReadTokenWithId(fields.Get("cls"))}}, sep = {-1, 0, {ReadTokenWithId(fields.Get("sep"))}};
  return std::make_unique<PostProcessor>(PostProcessor{{cls, {0, 0, {}}, sep}, {cls, {0, 0, {}}, sep, sep, {1, 0, {}}, sep}});
}

using SpecialTokens = std::unordered_map<std::string_view, std::vector<int32_t>, TokenHash>;

std::vector<TemplatePiece> ReadTemplate(const Value& value, const SpecialTokens& special_tokens, int num_sequences) {
  std::vector<TemplatePiece> pieces;
  for (const Value& item : value.Array()) {
    const Fields kinds(item);
    TemplatePiece piece;
    if (const auto sequence = kinds.Find("Sequence")) {
      const Fields fields(*sequence);
      const std::string_view id = fields.Get("id").String();
      piece.sequence = id == "A" ? 0 : id == "B" ? 1 : -1;
      if (piece.sequence < 0) sequence->Throw(fmt::format("expected sequence A or B, found {}", ShownToken(id)));
      if (piece.sequence >= num_sequences) sequence->Throw("sequence B stands in the template of a single text");
      piece.type_id = fields.Get("type_id").TokenId();
    } else if (const auto token = kinds.Find("SpecialToken")) {
      const Fields fields(*token);
      const auto found = special_tokens.find(fields.Get("id").String());
      if (found == special_tokens.end()) token->Throw(fmt::format("{} is not among special_tokens", ShownToken(fields.Get("id").String())));
      piece.type_id = fields.Get("type_id").TokenId();
      piece.special_ids = found->second;
    } else {
      item.Throw("expected a Sequence or a SpecialToken");
    }
    pieces.push_back(std::move(piece));
  }
  for (int sequence = 0; sequence < num_sequences; ++sequence) {
    const auto count = std::count_if(pieces.begin(), pieces.end(), [&](const TemplatePiece& piece) { return piece.sequence == sequence; });
    if (count != 1) {
      throw Error(ErrorCode::kUnsupported, fmt::format("{}: sequence {} is there {} times; supported: each text once", value.where(),
                                                       sequence == 0 ? "A" : "B", count));
    }
  }
  return pieces;
}

std::unique_ptr<PostProcessor> ReadTemplateProcessing(const Fields& fields, const TokenizerConfig&) {
  SpecialTokens special_tokens;
  const Value tokens = fields.Get("special_tokens");
  for (const auto [name, token] : tokens.Object()) {
    std::vector<int32_t> ids;
    for (const Value& id : Fields(Value(token, fmt::format("{}.{}", tokens.where(), ShownToken(name)))).Get("ids").Array())
      ids.push_back(id.TokenId());
    if (!special_tokens.emplace(name, std::move(ids)).second) tokens.Throw(fmt::format("{} stands twice", ShownToken(name)));
  }
  return std::make_unique<PostProcessor>(
      PostProcessor{ReadTemplate(fields.Get("single"), special_tokens, 1), ReadTemplate(fields.Get("pair"), special_tokens, 2)});
}

// ---- Decoders

std::unique_ptr<Decoder> ReadWordPieceDecoder(const Fields& fields, const TokenizerConfig&) {
  return std::make_unique<WordPieceDecoder>(std::string(fields.Get("prefix").String()), fields.Get("cleanup").Bool());
}

// ---- Which type of part is read by what: one line a type

template <typename Part>
struct PartType {
  std::string_view name;
  std::unique_ptr<Part> (*read)(const Fields& fields, const TokenizerConfig& config);
};

constexpr PartType<Normalizer> kNormalizers[] = {{"BertNormalizer", ReadBertNormalizer}};
constexpr PartType<PreTokenizer> kPreTokenizers[] = {{"BertPreTokenizer", ReadBertPreTokenizer}};
constexpr PartType<TokenModel> kModels[] = {{"WordPiece", ReadWordPiece}};
constexpr PartType<PostProcessor> kPostProcessors[] = {{"BertProcessing", ReadBertProcessing},
                                                       {"RobertaProcessing", ReadRobertaProcessing},
                                                       {"TemplateProcessing", ReadTemplateProcessing}};
constexpr PartType<Decoder> kDecoders[] = {{"WordPiece", ReadWordPieceDecoder}};

// Reads the part in field `key`; null if it is missing or null.
template <typename Part, size_t kCount>
std::unique_ptr<Part> ReadPart(const Fields& file, std::string_view key, const PartType<Part> (&types)[kCount],
                               const TokenizerConfig& config) {
  const std::optional<Value> value = file.Find(key);
  if (!value.has_value()) return nullptr;
  const Fields fields(*value);
  // Files of tokenizers 0.8 and older do not name the type of their model; WordPiece alone has this field.
  const std::string_view type = !fields.Has("type") && fields.Has("max_input_chars_per_word") ? "WordPiece" : fields.Get("type").String();
  std::string known;
  for (const PartType<Part>& candidate : types) {
    if (candidate.name == type) return candidate.read(fields, config);
    known += (known.empty() ? "" : ", ") + std::string(candidate.name);
  }
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: type {} is not supported; supported: {}", value->where(), ShownToken(type), known));
}

std::vector<AddedToken> ReadAddedTokens(const Fields& file) {
  std::vector<AddedToken> tokens;
  const std::optional<Value> list = file.Find("added_tokens");
  if (!list.has_value()) return tokens;
  for (const Value& item : list->Array()) {
    const Fields fields(item);
    tokens.push_back({.content = std::string(fields.Get("content").String()),
                      .id = fields.Get("id").TokenId(),
                      .single_word = fields.Get("single_word").Bool(),
                      .lstrip = fields.Get("lstrip").Bool(),
                      .rstrip = fields.Get("rstrip").Bool(),
                      .normalized = fields.Get("normalized").Bool(),
                      .special = fields.Get("special").Bool()});
  }
  return tokens;
}

}  // namespace

TokenizerParts ParseTokenizerJson(std::string text, const std::string& where, const TokenizerConfig& config) {
  simdjson::dom::parser parser;
  element root;
  simdjson::error_code error = parser.allocate(text.size(), kMaxDepth);
  if (error == simdjson::SUCCESS) error = parser.parse(text).get(root);
  if (error == simdjson::MEMALLOC) throw std::bad_alloc();
  if (error != simdjson::SUCCESS) {
    if (text.size() <= kMaxReparsedBytes) ParseJson(text, where, kMaxDepth);  // throws with the position
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: no valid JSON: {}", where, simdjson::error_message(error)));
  }
  const Fields file(Value(root, where), ": ");
  if (const auto version = file.Find("version"); version.has_value() && version->String() != "1.0")
    throw Error(ErrorCode::kUnsupported, fmt::format("{} is {}; supported: 1.0", version->where(), ShownToken(version->String())));

  TokenizerParts parts;
  parts.model = ReadPart(file, "model", kModels, config);
  if (parts.model == nullptr) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: model: missing", where));
  parts.normalizer = ReadPart(file, "normalizer", kNormalizers, config);
  parts.pre_tokenizer = ReadPart(file, "pre_tokenizer", kPreTokenizers, config);
  if (auto post_processor = ReadPart(file, "post_processor", kPostProcessors, config)) parts.post_processor = std::move(*post_processor);
  parts.decoder = ReadPart(file, "decoder", kDecoders, config);
  if (parts.decoder == nullptr) parts.decoder = std::make_unique<SpaceDecoder>();
  parts.added_tokens =
      std::make_unique<AddedTokens>(ReadAddedTokens(file), parts.model->vocabulary(), parts.normalizer.get(), where + ": added_tokens");
  return parts;
}

}  // namespace mlac
