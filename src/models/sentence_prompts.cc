#include "models/sentence_prompts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace mlac {

const std::string& SentencePrompts::Default() const {
  static const std::string kNone;
  return default_name ? texts.at(*default_name) : kNone;
}

std::string SentencePrompts::Known() const {
  std::string known;
  for (const auto& [name, text] : texts) known += fmt::format("{}{}", known.empty() ? "" : ", ", Quoted(name));
  return known.empty() ? "the model has none" : "it has " + known;
}

const std::string& SentencePrompts::Find(const std::string& name) const {
  const auto found = texts.find(name);
  if (found == texts.end())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("no prompt of the model is called {}", Quoted(name)), Known());
  return found->second;
}

SentencePrompts ReadSentencePrompts(const std::string& folder) {
  const std::string path = folder + "/config_sentence_transformers.json";
  SentencePrompts prompts;
  if (!FileExists(path)) return prompts;
  const nlohmann::json config = ReadJsonFile(path);
  if (!config.is_object()) return prompts;
  const auto type = config.find("model_type");
  prompts.of_cross_encoder = type != config.end() && *type == "CrossEncoder";
  if (prompts.of_cross_encoder && !FileExists(folder + "/modules.json")) return {};
  if (const auto list = config.find("prompts"); list != config.end() && !list->is_null()) {
    if (!list->is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: 'prompts' is no object", path));
    for (const auto& [name, prompt] : list->items()) {
      if (!prompt.is_string() && !prompt.is_null())
        throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the prompt {} is no text", path, Quoted(name)));
      prompts.texts[name] = prompt.is_null() ? "" : prompt.get<std::string>();
    }
  }
  const auto given = config.find("default_prompt_name");
  if (given == config.end() || given->is_null()) return prompts;
  if (!given->is_string()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: 'default_prompt_name' is no text", path));
  const std::string name = given->get<std::string>();
  // sentence-transformers has these two in every model that gives vectors, empty where the folder does not say.
  if (!prompts.of_cross_encoder && (name == "query" || name == "document")) prompts.texts.try_emplace(name);
  if (!prompts.texts.contains(name))
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: default_prompt_name {} is none of its prompts", path, Quoted(name)),
                prompts.Known());
  prompts.default_name = name;
  return prompts;
}

}  // namespace mlac
