// config.json: its labels, whose names and numbers are whatever a stranger wrote, and what messages show of it.
#include "models/config.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/display.h"
#include "models/model_folder.h"
#include "models/quantization.h"
#include "models/registry.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::ExpectError;

std::vector<std::string> Labels(const json& id2label) {
  const json config = {{"id2label", id2label}};
  return ConfigReader(config, "config.json").LabelNames();
}

TEST(ConfigReader, OrdersLabelsByTheirNumbers) {
  EXPECT_EQ(Labels({{"10", "k"},
                    {"0", "a"},
                    {"1", "b"},
                    {"2", "c"},
                    {"3", "d"},
                    {"4", "e"},
                    {"5", "f"},
                    {"6", "g"},
                    {"7", "h"},
                    {"8", "i"},
                    {"9", "j"}}),
            (std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}));
}

TEST(ConfigReader, RefusesLabelsWithoutEachNumberOnceInOneLine) {
  for (const auto& [key, shown] :
       {std::pair{"2", "'2'"}, {"-1", "'-1'"}, {"01x", "'01x'"}, {"", "''"}, {"0\n1", "'0\\n1'"}, {"00", "'00'"}})
    ExpectError(ErrorCode::kInvalidInput, std::string("config.json: id2label has the key ") + shown + "; expected each of 0 to 1 once",
                [&, key = key] {
                  Labels({{"0", "a"}, {key, "b"}});
                });
  ExpectError(ErrorCode::kInvalidInput, "config.json: id2label is 1; expected strings", [] { Labels({{"0", 1}}); });
}

TEST(ConfigJson, IsShownInOneShortLineWithoutControlsWhateverAStrangerWrote) {
  const std::string hostile = "a\nb\x1b[2J\x7f\u009b\u202e" + std::string(100'000, 'x');
  const auto make = [](const json& values) {
    const json config = json::parse(values.dump());  // whole numbers as a file has them
    MakeModel(config, "config.json", [](const std::string&) { return std::nullopt; }, "model.safetensors", HeadOf(config, "config.json"));
  };
  const json bert = {{"model_type", "bert"}, {"vocab_size", 4}, {"hidden_size", 4}, {"num_hidden_layers", 1}, {"num_attention_heads", 1},
                     {"intermediate_size", 4}, {"max_position_embeddings", 4}},
             distilbert = {{"model_type", "distilbert"}, {"vocab_size", 4}, {"dim", 4}, {"n_layers", 1}, {"n_heads", 1}, {"hidden_dim", 4},
                           {"max_position_embeddings", 4}};
  const auto with = [](json config, const char* field, const json& value) {
    config[field] = value;
    return config;
  };
  const auto quantization = [](const json& value) { ReadQuantization({{"quantization_config", value}}, "config.json"); };
  const json written = json::parse(Int8QuantizationConfig({}).dump());
  const test::TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::function<void()>>> cases = {
      {"model_type", [&] { make({{"model_type", hostile}}); }},
      {"model_type, looked at alone", [&] { CheckModelType({{"model_type", hostile}}, "config.json"); }},
      {"hidden_size", [&] { make(with(bert, "hidden_size", hostile)); }},
      {"hidden_act", [&] { make(with(bert, "hidden_act", hostile)); }},
      {"position_embedding_type", [&] { make(with(bert, "position_embedding_type", hostile)); }},
      {"activation", [&] { make(with(distilbert, "activation", hostile)); }},
      {"id2label", [&] { Labels({{hostile, "a"}}); }},
      {"id2label, no object", [&] { Labels(hostile); }},
      {"problem_type",
       [&] {
         folder.Write("config.json", with(bert, "problem_type", hostile).dump());
         ProblemTypeNameOf(folder.path(), "");
       }},
      {"quant_method", [&] { quantization({{"quant_method", hostile}}); }},
      {"the name of a group", [&] { quantization(with(written, "config_groups", {{hostile, 1}})); }},
      {"a group", [&] { quantization(with(written, "config_groups", json::array({hostile}))); }},
  };
  for (const auto& [what, action] : cases) {
    try {
      action();
      ADD_FAILURE() << what << " was taken";
    } catch (const Error& error) {
      EXPECT_NE(error.message().find("a\\nb"), std::string::npos) << what << ": " << error.message();
      EXPECT_EQ(error.message(), Printable(error.message())) << what;
      EXPECT_LT(error.message().size(), 1000U) << what;
    }
  }
}

}  // namespace
}  // namespace mlac
