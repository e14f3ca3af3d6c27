#include "models/registry.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "models/config.h"
#include "models/families.h"

namespace mlac {
namespace {

struct Family {
  const char* model_type;
  MakeFamily* make;
  size_t num_reserved_positions = 0;  // of no token of a text
};

constexpr Family kFamilies[] = {
    {"bert", MakeBert},
    {"distilbert", MakeDistilBert},
    {"electra", MakeElectra},
    {"mpnet", MakeMpnet, kMpnetReservedPositions},
};

const Family& FindFamily(const ConfigReader& config) {
  const std::string model_type = config.String("model_type", "");
  for (const Family& family : kFamilies)
    if (model_type == family.model_type) return family;
  const std::vector<std::string> known = ByDistance(model_type, KnownModelTypes());
  if (model_type.empty())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: model_type is missing; known are {}", config.file(), fmt::join(known, ", ")));
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: model_type {} is not known; known are {}", config.file(), Quoted(model_type), fmt::join(known, ", ")));
}

}  // namespace

std::vector<std::string> KnownModelTypes() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.model_type);
  return names;
}

HeadRequest HeadOf(const nlohmann::json& config, const std::string& file) {
  const ConfigReader reader(config, file);
  const auto found = config.find("architectures");
  if (found == config.end() || found->is_null()) return {};
  if (!found->is_array() || found->empty() || !found->front().is_string())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: architectures is {}; expected a list of names", file, found->type_name()));
  const std::string architecture = found->front().get<std::string>();
  if (architecture.ends_with("ForSequenceClassification")) return {.head = Head::kSequenceClassification, .num_labels = reader.LabelNames().size()};
  if (architecture.ends_with("ForTokenClassification")) return {.head = Head::kTokenClassification, .num_labels = reader.LabelNames().size()};
  if (architecture.ends_with("ForQuestionAnswering")) return {.head = Head::kQuestionAnswering, .num_labels = 2};
  if (architecture.ends_with("ForMaskedLM")) return {.head = Head::kMaskedLanguageModel};
  return {};
}

void CheckModelType(const nlohmann::json& config, const std::string& file) { FindFamily(ConfigReader(config, file)); }

size_t MaxTokens(const nlohmann::json& config, const std::string& file) {
  const ConfigReader reader(config, file);
  const size_t num_reserved = FindFamily(reader).num_reserved_positions;
  return reader.Integer("max_position_embeddings", num_reserved + 1, 1 << 20, 512) - num_reserved;
}

std::unique_ptr<Model> MakeModel(const nlohmann::json& config, const std::string& file, WeightSource weights, const std::string& source,
                                 const HeadRequest& request) {
  const ConfigReader reader(config, file);
  return FindFamily(reader).make(reader, std::move(weights), source, request);
}

}  // namespace mlac
