// Adapters that PEFT wrote, over the folders of their bases, against PEFT's own answers in float64: within 1e-5 x max(1, largest absolute
// value).
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "models/adapter.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "optimize/merged_folder.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::Compare;
using test::Doubles;
using test::FixturePath;
using test::OpenFixture;
using test::SameBits;

constexpr double kBound = 1e-5;

struct Fixture {
  std::string name, base, adapter;  // folders
  TokenBatch batch;
  SafetensorsFile expected;
};

std::vector<Fixture> Fixtures() {
  std::vector<Fixture> fixtures;
  for (const nlohmann::json& entry : ReadJsonFile(FixturePath("adapters/adapters.json"))) {
    const std::string name = entry.at("name"), base = entry.at("base");
    fixtures.push_back({name, FixturePath(base), FixturePath("adapters/" + name),
                        test::ReadBatch(OpenFixture(base + ".expected.safetensors")),
                        OpenFixture("adapters/" + entry.at("expected").get<std::string>())});
  }
  EXPECT_GE(fixtures.size(), 10u);
  return fixtures;
}

// The logits of whatever head the model has, without one its hidden states.
std::vector<float> Answers(const Model& model, const TokenBatch& batch, size_t num_threads = 1) {
  Inference inference(num_threads);
  std::vector<std::vector<float>> parts(batch.num_sequences());
  inference.ForEachGroup(batch, [&](mlac::Run& run, const TokenBatch& group, size_t first) {
    const Tensor states = model.Encode(run, group);
    const Tensor part = model.head() == Head::kNone                  ? states
                        : model.head() == Head::kMaskedLanguageModel ? model.PredictTokens(run, states)
                        : model.head() == Head::kSequenceClassification
                            ? model.Classify(run, model.SequenceFeatures(run, states, group.offsets))
                            : model.ClassifyTokens(run, states);
    parts[first].assign(part.floats().begin(), part.floats().end());
  });
  std::vector<float> all;
  for (const std::vector<float>& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

void Check(const Model& model, const Fixture& fixture, const std::string& what) {
  const char* name = model.head() == Head::kNone ? "last_hidden_state" : "logits";
  ASSERT_NE(fixture.expected.Find(name), nullptr) << what;
  const test::Difference difference = Compare(Answers(model, fixture.batch), Doubles(fixture.expected, name));
  EXPECT_TRUE(difference.within(kBound)) << what << ": " << difference.largest << " of " << difference.magnitude;
}

TEST(AdapterParity, AnswersAreThoseOfPeft) {
  for (const Fixture& fixture : Fixtures()) {
    SCOPED_TRACE(fixture.name);
    Check(*OpenAdapted(OpenBase(fixture.base), fixture.base, fixture.adapter), fixture, "adapted");
  }
}

TEST(AdapterParity, AMergedFolderGivesTheSameAnswers) {
  for (const Fixture& fixture : Fixtures()) {
    SCOPED_TRACE(fixture.name);
    const test::TemporaryFolder folder;
    const MergeSummary summary = WriteMergedFolder(fixture.base, fixture.adapter, folder.path());
    EXPECT_GT(summary.num_layers, 0u);
    Check(*OpenModel(folder.path()), fixture, "merged");
    EXPECT_EQ(LabelNamesOf(folder.path()), LabelNamesOf(fixture.base, fixture.adapter));
  }
}

TEST(AdapterParity, GivesTheSameBitsForAnyThreadsBatchAndInstructionSet) {
  for (const Fixture& fixture : Fixtures()) {
    std::vector<float> first;
    test::ForEachInstructionSet([&](std::string_view path) {
      const std::unique_ptr<Model> model = OpenAdapted(OpenBase(fixture.base), fixture.base, fixture.adapter);
      if (first.empty()) first = Answers(*model, fixture.batch);
      for (const size_t num_threads : {1, 2, 3})
        EXPECT_TRUE(SameBits(Answers(*model, fixture.batch, num_threads), first)) << fixture.name << ", " << path;
      std::vector<float> alone;
      for (size_t s = 0; s < fixture.batch.num_sequences(); ++s) {
        const std::vector<float> one = Answers(*model, Slice(fixture.batch, s, s + 1), 2);
        alone.insert(alone.end(), one.begin(), one.end());
      }
      EXPECT_TRUE(SameBits(alone, first)) << fixture.name << ", " << path << ", one by one";
    });
  }
}

TEST(AdapterParity, AdaptersOfOneBaseShareItsWeightsAndAnswerAsAlone) {
  const std::vector<Fixture> fixtures = Fixtures();
  const std::string folder = FixturePath("models/classifier");
  const std::shared_ptr<Model> base = OpenBase(folder);
  std::vector<std::unique_ptr<Model>> models;
  for (const Fixture& fixture : fixtures)
    if (fixture.base == folder) models.push_back(OpenAdapted(base, folder, fixture.adapter));
  ASSERT_EQ(models.size(), 2u);
  for (const int pass : {1, 2}) {  // the second time with everything packed
    size_t next = 0;
    for (const Fixture& fixture : fixtures)
      if (fixture.base == folder) Check(*models[next++], fixture, fixture.name + ", pass " + std::to_string(pass));
  }
  for (const std::unique_ptr<Model>& model : models) {
    for (const Parameter& parameter : model->parameters().parameters())
      EXPECT_TRUE(parameter.name.find(".lora_") != std::string::npos || parameter.name.starts_with("classifier.")) << parameter.name;
    for (const LoraModule& module : model->parameters().loras()) {
      bool is_of_base = false;
      for (const Parameter& parameter : base->parameters().parameters()) is_of_base |= &parameter == module.weight;
      EXPECT_TRUE(is_of_base) << module.name;
    }
  }
}

}  // namespace
}  // namespace mlac
