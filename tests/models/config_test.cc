// config.json's labels, whose names and numbers are whatever a stranger wrote.
#include "models/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

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

}  // namespace
}  // namespace mlac
