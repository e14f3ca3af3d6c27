// mlac tokenize: the tokens that a model sees for a text, with where each stands in it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/number_options.h"
#include "cli/store_access.h"
#include "cli/text_input.h"
#include "models/config.h"
#include "models/model_folder.h"
#include "models/registry.h"
#include "text/length_limit.h"
#include "text/tokenizer.h"

namespace mlac {
namespace {

constexpr size_t kPrintedAtOnce = size_t{1} << 20;  // bytes

struct TokenizeOptions {
  std::string model;
  TextInputOptions input;
  std::optional<std::string> pair;
  std::optional<size_t> max_length;
  bool truncate = false, no_special_tokens = false, json = false;
};

// A tokenizer alone is enough here; else it lies beside the weights.
std::string TokenizerFolder(const std::string& model) {
  return FileExists(model + "/tokenizer.json") || FileExists(model + "/vocab.txt") ? model : TransformerFolder(model);
}

// The longest sequence that the model of config.json takes; of a family that is not known, as its tokenizer is enough here, the number of its
// positions. 0 where there is no such file or field.
size_t MaxPositions(const std::string& folder) {
  const std::string file = folder + "/config.json";
  if (!FileExists(file)) return 0;
  const nlohmann::json config = ReadJsonFile(file);
  const std::vector<std::string> known = KnownModelTypes();
  if (std::find(known.begin(), known.end(), ConfigReader(config, file).String("model_type", "")) != known.end()) return MaxTokens(config, file);
  return ConfigReader(config, file).Integer("max_position_embeddings", 1, size_t{1} << 40, 0);
}

nlohmann::ordered_json SpansAsJson(const std::vector<TextSpan>& spans) {
  auto list = nlohmann::ordered_json::array();
  for (const TextSpan& span : spans) list.push_back({span.begin, span.end});
  return list;
}

// The names are those of transformers' tokenizers; offset_mapping counts code points, as theirs does, byte_offsets bytes.
std::string AsJson(const Tokenizer& tokenizer, const Encoding& encoding, const std::string& text, const std::string& pair) {
  auto tokens = nlohmann::ordered_json::array();
  for (const int32_t id : encoding.token_ids) tokens.push_back(tokenizer.TokenOf(id));
  const nlohmann::ordered_json object = {{"tokens", tokens},
                                         {"input_ids", encoding.token_ids},
                                         {"token_type_ids", encoding.token_type_ids},
                                         {"special_tokens_mask", encoding.special_tokens_mask},
                                         {"offset_mapping", SpansAsJson(CodePointOffsets(encoding, text, pair))},
                                         {"byte_offsets", SpansAsJson(encoding.offsets)},
                                         {"num_tokens_before_truncation", encoding.num_tokens_before_truncation},
                                         {"truncated", encoding.truncated}};
  return DumpJson(object);
}

// A line a token: its id, the token, the bytes that it covers and the text that stands there.
std::string TokensAsText(const Tokenizer& tokenizer, const Encoding& encoding, const std::string& text, const std::string& pair) {
  std::string out = fmt::format("{} {}", encoding.token_ids.size(), encoding.token_ids.size() == 1 ? "token" : "tokens");
  if (encoding.truncated) out += fmt::format(", cut from {}", encoding.num_tokens_before_truncation);
  out += '\n';
  size_t token_width = 0;
  for (size_t i = 0; i < encoding.token_ids.size(); ++i)
    if (encoding.special_tokens_mask[i] == 0) token_width = std::max(token_width, DisplayWidth(Printable(tokenizer.TokenOf(encoding.token_ids[i]))));
  for (size_t i = 0; i < encoding.token_ids.size(); ++i) {
    const std::string token = Printable(tokenizer.TokenOf(encoding.token_ids[i]));
    if (encoding.special_tokens_mask[i] != 0) {
      out += fmt::format("{:>8}  {}\n", encoding.token_ids[i], token);
      continue;
    }
    const TextSpan span = encoding.offsets[i];
    const std::string& source = encoding.sequence_ids[i] == 1 ? pair : text;
    out += fmt::format("{:>8}  {}  {}-{}  {}\n", encoding.token_ids[i], PadRight(token, token_width), span.begin, span.end,
                       Printable(std::string_view(source).substr(span.begin, span.end - span.begin)));
  }
  return out;
}

void Execute(Command command, const TokenizeOptions& options) {
  CheckColumnsHaveFile(command, options.input);
  const ModelFolder given = FindModel(options.model);
  const std::string folder = TokenizerFolder(given.path);
  const std::vector<std::string> texts = ReadTextInput(options.input);
  const Tokenizer tokenizer = Tokenizer::Load(folder);
  const LengthLimit limit = FindLengthLimit(folder, options.max_length, MaxPositions(folder));
  // To see how long a text is, one must be shown what is too long for the model; it is cut or refused only where that was asked.
  const bool limited = options.truncate || options.max_length.has_value();
  const EncodeOptions encode = {.add_special_tokens = !options.no_special_tokens,
                                .with_offsets = true,
                                .max_length = limited ? limit.num_tokens : 0,
                                .truncate = options.truncate};
  const std::string pair = options.pair.value_or("");
  size_t num_too_long = 0;
  std::string out =
      options.json ? "[" : "";  // printed in large pieces, so that of few texts nothing stands there if one of them is refused
  for (size_t i = 0; i < texts.size(); ++i) {
    const Encoding encoding = options.pair ? tokenizer.EncodePair(texts[i], pair, encode) : tokenizer.Encode(texts[i], encode);
    num_too_long += limit.num_tokens > 0 && encoding.token_ids.size() > limit.num_tokens;
    if (options.json)
      out += (i == 0 ? "" : ",\n ") + AsJson(tokenizer, encoding, texts[i], pair);
    else
      out += (i == 0 ? "" : "\n") + TokensAsText(tokenizer, encoding, texts[i], pair);
    if (out.size() < kPrintedAtOnce) continue;
    std::fwrite(out.data(), 1, out.size(), stdout);
    out.clear();
  }
  if (options.json) out += "]\n";
  std::fwrite(out.data(), 1, out.size(), stdout);
  if (num_too_long > 0)
    fmt::print(stderr, "{} of {} texts {} longer than the {} tokens that the model takes ({})\n", num_too_long, texts.size(),
               num_too_long == 1 ? "is" : "are", limit.num_tokens, limit.source);
}

}  // namespace

void AddTokenize(Command app) {
  auto options = std::make_shared<TokenizeOptions>();
  const Command command = app.AddCommand("tokenize", "Show the tokens that a model sees for a text",
                                         "mlac tokenize -m ./all-MiniLM-L6-v2 \"a large striped cat of the jungle\"\n"
                                         "mlac tokenize -m ./all-MiniLM-L6-v2 --file texts.txt --json");
  AddModelOption(command, options->model);
  command.AddOption("--pair", options->pair, "A second text that is read together with each text").Type("TEXT");
  command.AddFlag("--no-special-tokens", options->no_special_tokens, "Without [CLS], [SEP] and the like");
  WholeNumber(command.AddOption("--max-length", options->max_length, "Refuse texts of more tokens than N").Type("N"), 1);
  command.AddFlag("--truncate", options->truncate, "Cut at --max-length, else at the model's limit, instead of refusing");
  AddJsonFlag(command, options->json);
  AddTextInput(command, options->input);
  command.OnRun([options, command] { Execute(command, *options); });
}

}  // namespace mlac
