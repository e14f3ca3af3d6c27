// Whole models against transformers and sentence-transformers in float64: within 1e-5 x max(1, largest absolute value); normalised embeddings
// within 1e-5. And the promise of equal bits: instruction sets, threads, batches.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "models/sentence_encoder.h"
#include "tests/support/bit_hashes.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"

namespace mlac {
namespace {

using test::Compare;
using test::Doubles;

constexpr double kBound = 1e-5;

void Check(std::span<const float> found, const SafetensorsFile& file, const std::string& name, const std::string& what) {
  const test::Difference difference = Compare(found, Doubles(file, name));
  EXPECT_TRUE(difference.within(kBound)) << what << ", " << name << ": " << difference.largest << " of " << difference.magnitude;
}

TEST(ModelParity, AnswersAreThoseOfTheReference) {
  size_t count = 0;
  for (const nlohmann::json& entry : ReadJsonFile(test::FixturePath("models/models.json"))) {
    const std::string name = entry.at("name"), folder = test::FixturePath("models/" + entry.at("folder").get<std::string>());
    SCOPED_TRACE(name);
    const SafetensorsFile expected = test::OpenFixture("models/" + entry.at("expected").get<std::string>());
    const TokenBatch batch = test::ReadBatch(expected);
    const std::unique_ptr<Model> model = OpenModel(folder);
    mlac::Run run;
    const Tensor hidden_states = model->Encode(run, batch);
    Check(hidden_states.floats(), expected, "last_hidden_state", name);
    if (expected.Find("logits") != nullptr)
      Check((model->head() == Head::kMaskedLanguageModel ? model->PredictTokens(run, hidden_states)
                                                         : model->Classify(run, model->SequenceFeatures(run, hidden_states, batch.offsets))).floats(),
            expected, "logits", name);
    if (expected.Find("embedding") != nullptr) {
      const SentenceEncoder encoder(folder, *model);
      Check(encoder(run, hidden_states, batch.offsets).floats(), expected, "embedding", name);
    }
    ++count;
  }
  EXPECT_GE(count, 15u);
}

// Embeddings of a batch by the given threads.
std::vector<float> Embed(const Model& model, const SentenceEncoder& encoder, const TokenBatch& batch, size_t num_threads) {
  Inference inference(num_threads);
  std::vector<float> embeddings(batch.num_sequences() * encoder.embedding_size());
  inference.ForEachGroup(batch, [&](mlac::Run& run, const TokenBatch& group, size_t first) {
    const Tensor part = encoder(run, model.Encode(run, group), group.offsets);
    std::copy(part.floats().begin(), part.floats().end(), embeddings.begin() + static_cast<ptrdiff_t>(first * encoder.embedding_size()));
  });
  return embeddings;
}

TEST(MiniLm, EmbeddingsAreThoseOfTheReference) {
  const char* folder = std::getenv("MLAC_MINILM");
  if (folder == nullptr) GTEST_SKIP() << "MLAC_MINILM does not name the model's folder";
  const SafetensorsFile expected = test::OpenFixture("minilm/expected.safetensors");
  const TokenBatch batch = test::ReadBatch(expected);
  const std::unique_ptr<Model> model = OpenModel(folder);
  const SentenceEncoder encoder(folder, *model);
  const std::vector<float> embeddings = Embed(*model, encoder, batch, 2);
  const test::Difference difference = Compare(embeddings, Doubles(expected, "embedding"));
  EXPECT_LE(difference.largest, kBound);
  std::printf("largest difference of 20 normalised embeddings to float64: %.2e\n", difference.largest);
  mlac::Run run;
  const TokenBatch three = Slice(batch, 0, 3);
  Check(model->Encode(run, three).floats(), expected, "last_hidden_state", "MiniLM");
}

TEST(MiniLm, GivesTheSameBitsForAnyThreadsBatchAndInstructionSet) {
  const char* folder = std::getenv("MLAC_MINILM");
  if (folder == nullptr) GTEST_SKIP() << "MLAC_MINILM does not name the model's folder";
  const TokenBatch batch = test::ReadBatch(test::OpenFixture("minilm/expected.safetensors"));
  std::vector<float> first;
  test::ForEachInstructionSet([&](std::string_view name) {
    if (name == "scalar") return;  // a minute here; `dev fixtures` runs it for the committed hash
    const std::unique_ptr<Model> model = OpenModel(folder);
    const SentenceEncoder encoder(folder, *model);
    const std::vector<float> one = Embed(*model, encoder, batch, 1);
    if (first.empty()) first = one;
    EXPECT_TRUE(test::SameBits(one, first)) << name;
    EXPECT_TRUE(test::SameBits(Embed(*model, encoder, batch, 2), first)) << name << ", 2 threads";
    EXPECT_TRUE(test::SameBits(Embed(*model, encoder, batch, 3), first)) << name << ", 3 threads";
    std::vector<float> alone;
    for (size_t s = 0; s < batch.num_sequences(); ++s) {
      const std::vector<float> part = Embed(*model, encoder, Slice(batch, s, s + 1), 2);
      alone.insert(alone.end(), part.begin(), part.end());
    }
    EXPECT_TRUE(test::SameBits(alone, first)) << name << ", one by one";
  });
}

TEST(MiniLm, GivesTheCommittedBitsOnEveryInstructionSet) {
  const char* folder = std::getenv("MLAC_MINILM");
  if (folder == nullptr) GTEST_SKIP() << "MLAC_MINILM does not name the model's folder";
  const TokenBatch batch = test::ReadBatch(test::OpenFixture("minilm/expected.safetensors"));
  const std::unique_ptr<Model> model = OpenModel(folder);
  const SentenceEncoder encoder(folder, *model);
  const size_t size = encoder.embedding_size();
  const auto check = [&](std::string_view name) {
    const std::unique_ptr<Model> fresh = OpenModel(folder);  // packed for this instruction set
    const std::vector<float> embeddings = Embed(*fresh, encoder, batch, 2);
    test::BitHashes hashes;
    for (size_t s = 0; s < batch.num_sequences(); ++s)
      hashes["text " + std::to_string(s)] = test::HexHash(std::span(embeddings).subspan(s * size, size));
    test::ExpectBitHashes("minilm", hashes, name);
  };
  if (test::WritesBitHashes()) return check("scalar");
  test::ForEachInstructionSet([&](std::string_view name) {
    if (name != "scalar") check(name);  // the scalar path takes a minute: it wrote the hashes
  });
}

}  // namespace
}  // namespace mlac
