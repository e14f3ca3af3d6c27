// mlac train's options of memory and speed, through the real binary.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kernels/instruction_set.h"
#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::ReadWhole;

class Train : public testing::Test {
 protected:
  void SetUp() override {
    std::string rows = "text,label\n";
    for (int i = 0; i < 60; ++i)
      rows += std::string(i % 2 == 0 ? "cat " : "red ") + std::to_string(i) + (i % 2 == 0 ? ",animal\n" : ",colour\n");
    data = folder.Write("train.csv", rows);
  }

  ProgramResult Run(const std::string& out, std::vector<std::string> more, const ProgramOptions& options = {}) {
    std::vector<std::string> arguments = {
        "train", "text-classification", "-m", test::FixturePath("models/classifier"), "--data", data, "--out", folder / out, "--epochs",
        "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunMlac(arguments, options);
  }

  test::TemporaryFolder folder;
  std::string data;
};

TEST_F(Train, GradientCheckpointingSaysWhatItSavesAndChangesNoByte) {
  const ProgramResult plain = Run("plain", {}), saving = Run("saving", {"--gradient-checkpointing"});
  ASSERT_EQ(saving.status, 0) << saving.error;
  EXPECT_EQ(plain.error.find("gradient checkpointing"), std::string::npos) << plain.error;
  EXPECT_NE(saving.error.find("gradient checkpointing: intermediate results took up to "), std::string::npos) << saving.error;
  for (const char* name : {"model.safetensors", "training.json", "README.md", "metrics.json", "learning-curves.svg"})
    EXPECT_EQ(ReadWhole(folder / "saving/" + name), ReadWhole(folder / "plain/" + name)) << name;
}

TEST_F(Train, Bf16NeedsAProcessorThatMultipliesItOrConsentAndIsRecorded) {
  const ProgramOptions narrow = {.environment = {"MLAC_ISA=avx2"}};
  const ProgramResult refused = Run("out", {"--dtype", "bf16"}, narrow);
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.error,
            "mlac: --dtype bf16: this processor multiplies no bf16 (AMX or AVX512-BF16), so it would not be faster\n"
            "hint: --allow-slow computes it all the same, rounded to bf16 and multiplied in f32\n");
  EXPECT_EQ(Run("slow", {"--dtype", "bf16", "--allow-slow"}, narrow).status, 0);
  const json record = json::parse(ReadWhole(folder / "slow/training.json"));
  EXPECT_EQ(record.at("parameters").at("products"), "bf16 rounded");
  EXPECT_EQ(record.at("identity").at("--dtype"), "bf16 rounded");
  EXPECT_EQ(record.at("command"),
            "mlac train text-classification --model classifier --data train.csv --out OUT --epochs 1 --dtype bf16 --allow-slow");
  EXPECT_EQ(Run("f32", {}).status, 0);
  EXPECT_NE(ReadWhole(folder / "f32/model.safetensors"), ReadWhole(folder / "slow/model.safetensors"));
  EXPECT_FALSE(json::parse(ReadWhole(folder / "f32/training.json")).at("parameters").contains("products"));
  if (kernels::Bf16PathInUse() == kernels::Bf16Path::kNone) return;
  EXPECT_EQ(Run("fast", {"--dtype", "bf16"}).status, 0);
  EXPECT_EQ(json::parse(ReadWhole(folder / "fast/training.json")).at("parameters").at("products"),
            "bf16 " + std::string(kernels::Name(kernels::Bf16PathInUse())));
}

}  // namespace
}  // namespace mlac
