// A folder that compressed-tensors wrote (compressed_fixtures.py). Its weights are read as what they stand for: without rounded activations within 1e-5
// of the reference in float64. With them the two round differently: the reference from -127.5 to 127.5 steps around zero, mlac from the least to the
// greatest element in 254, so that neither is nearer to the other than its own error. Bound: 4 % of the largest value.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "models/model_folder.h"
#include "tests/support/bit_hashes.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;

struct Answer {
  std::vector<float> hidden_states, logits;
};

Answer Ask(const std::string& folder, const TokenBatch& batch) {
  const std::unique_ptr<Model> model = OpenModel(folder);
  mlac::Run run;
  const Tensor hidden_states = model->Encode(run, batch);
  const Tensor logits = model->Classify(run, model->SequenceFeatures(run, hidden_states, batch.offsets));
  return {{hidden_states.floats().begin(), hidden_states.floats().end()}, {logits.floats().begin(), logits.floats().end()}};
}

double Check(std::span<const float> found, const SafetensorsFile& expected, const std::string& name, double bound) {
  const test::Difference difference = test::Compare(found, test::Doubles(expected, name));
  EXPECT_TRUE(difference.within(bound)) << name << ": " << difference.largest << " of " << difference.magnitude;
  return difference.largest / std::max(1.0, difference.magnitude);
}

TEST(CompressedTensors, AnswersAreNearThoseOfTheLibraryThatWroteTheFolder) {
  const SafetensorsFile expected = test::OpenFixture("compressed/expected.safetensors");
  const Answer answer = Ask(test::FixturePath("compressed/model"), test::ReadBatch(expected));
  const double hidden = Check(answer.hidden_states, expected, "last_hidden_state", 0.04), logits = Check(answer.logits, expected, "logits", 0.04);
  const double exact = Check(answer.hidden_states, expected, "weight_only.last_hidden_state", 0.04);
  EXPECT_GT(hidden, 0.0005) << "activations were not rounded";
  std::printf("of the largest value: hidden states %.4f from the library's, %.4f from those of exact activations; logits %.4f\n", hidden, exact, logits);
}

TEST(CompressedTensors, WithoutRoundedActivationsTheWeightsAreExact) {
  const test::TemporaryFolder folder;
  fs::copy(test::FixturePath("compressed/model"), folder / "model");
  nlohmann::json config = ReadJsonFile(folder / "model/config.json");
  config["quantization_config"]["config_groups"]["group_0"]["input_activations"] = nullptr;
  folder.Write("model/config.json", config.dump());
  const SafetensorsFile expected = test::OpenFixture("compressed/expected.safetensors");
  const Answer answer = Ask(folder / "model", test::ReadBatch(expected));
  Check(answer.hidden_states, expected, "weight_only.last_hidden_state", 1e-5);
  Check(answer.logits, expected, "weight_only.logits", 1e-5);
}

TEST(CompressedTensors, AnswersHaveTheSameBitsOnEveryPath) {
  const TokenBatch batch = test::ReadBatch(test::OpenFixture("compressed/expected.safetensors"));
  std::vector<float> first;
  test::ForEachBound([&](std::string_view bound) {
    const std::vector<float> found = Ask(test::FixturePath("compressed/model"), batch).hidden_states;
    if (first.empty()) first = found;
    EXPECT_TRUE(test::SameBits(found, first)) << bound;
  });
}

TEST(CompressedTensors, GivesTheCommittedBitsOnEveryPath) {
  const TokenBatch batch = test::ReadBatch(test::OpenFixture("compressed/expected.safetensors"));
  const auto check = [&](std::string_view bound) {
    const Answer answer = Ask(test::FixturePath("compressed/model"), batch);
    test::ExpectBitHashes("int8", {{"last_hidden_state", test::HexHash(answer.hidden_states)}, {"logits", test::HexHash(answer.logits)}}, bound);
  };
  if (test::WritesBitHashes()) return check("scalar");
  test::ForEachBound(check);
}

}  // namespace
}  // namespace mlac
