#include "text/length_limit.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace mlac {
namespace {

// transformers writes int(1e30) where a tokenizer has no limit.
constexpr double kNoLimit = 1e9;

// The field of the file, if it is there and not null; 0 if it means that there is no limit.
std::optional<size_t> ReadLimit(const std::string& path, const char* key) {
  if (!FileExists(path)) return std::nullopt;
  const nlohmann::json object = ReadJsonFile(path);
  if (!object.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected an object", path));
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  const double value = found->is_number() ? found->get<double>() : 0;
  if (value >= kNoLimit) return 0;
  if (value < 1 || value != static_cast<double>(static_cast<size_t>(value)))
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}: expected a whole number from 1, found {}", path, key,
                                                      found->is_number() ? DumpJson(*found) : found->type_name()));
  return static_cast<size_t>(value);
}

}  // namespace

LengthLimit FindLengthLimit(const std::string& folder, std::optional<size_t> requested, size_t max_position_embeddings) {
  if (requested.has_value()) {
    if (*requested == 0) throw Error(ErrorCode::kInvalidArgument, "--max-length 0: expected 1 or more");
    if (max_position_embeddings != 0 && *requested > max_position_embeddings) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("--max-length {} is above the model's max_position_embeddings {}", *requested, max_position_embeddings));
    }
    return {*requested, "--max-length"};
  }
  LengthLimit limit = {0, ""};
  const std::pair<const char*, const char*> places[] = {{"sentence_bert_config.json", "max_seq_length"},
                                                        {"tokenizer_config.json", "model_max_length"}};
  for (const auto& [file, key] : places) {
    if (const std::optional<size_t> found = ReadLimit(folder + "/" + file, key)) {
      limit = {*found, file};
      break;
    }
  }
  if (max_position_embeddings != 0 && (limit.num_tokens == 0 || limit.num_tokens > max_position_embeddings))
    limit = {max_position_embeddings, "config.json"};
  return limit;
}

void CheckHoldsText(const Tokenizer& tokenizer, std::optional<size_t> requested) {
  if (!requested) return;
  const size_t num_special = tokenizer.Encode("", {}).token_ids.size();
  if (*requested <= num_special)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--max-length {}: expected more than the {} special tokens around each text", *requested, num_special));
}

}  // namespace mlac
