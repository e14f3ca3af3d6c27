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
#include "text/tokenizer.h"

namespace mlac {
namespace {

using test::Compare;
using test::Doubles;

constexpr double kBound = 1e-5;

void Check(std::span<const float> found, const SafetensorsFile& file, const std::string& name, const std::string& what) {
  const test::Difference difference = Compare(found, Doubles(file, name));
  EXPECT_TRUE(difference.within(kBound)) << what << ", " << name << ": " << difference.largest << " of " << difference.magnitude;
}

// The logits of whatever head the model has.
Tensor Logits(const Model& model, mlac::Run& run, const Tensor& hidden_states, const Offsets& offsets) {
  switch (model.head()) {
    case Head::kMaskedLanguageModel: return model.PredictTokens(run, hidden_states);
    case Head::kTokenClassification:
    case Head::kQuestionAnswering: return model.ClassifyTokens(run, hidden_states);
    default: return model.Classify(run, model.SequenceFeatures(run, hidden_states, offsets));
  }
}

void CheckFolders(const std::string& part, size_t least) {
  size_t count = 0;
  for (const nlohmann::json& entry : ReadJsonFile(test::FixturePath(part + "/" + part + ".json"))) {
    const std::string name = entry.at("name"), folder = test::FixturePath(part + "/" + entry.at("folder").get<std::string>());
    SCOPED_TRACE(name);
    const SafetensorsFile expected = test::OpenFixture(part + "/" + entry.at("expected").get<std::string>());
    const TokenBatch batch = test::ReadBatch(expected);
    const std::unique_ptr<Model> model = OpenModel(folder);
    mlac::Run run;
    const Tensor hidden_states = model->Encode(run, batch);
    Check(hidden_states.floats(), expected, "last_hidden_state", name);
    if (expected.Find("logits") != nullptr) Check(Logits(*model, run, hidden_states, batch.offsets).floats(), expected, "logits", name);
    if (expected.Find("embedding") != nullptr) {
      const SentenceEncoder encoder(folder, *model);
      Check(encoder(run, hidden_states, batch.offsets).floats(), expected, "embedding", name);
      EXPECT_TRUE(test::SameBits(encoder(run, *model, batch).floats(), encoder(run, hidden_states, batch.offsets).floats())) << name;
    }
    ++count;
  }
  EXPECT_GE(count, least);
}

TEST(ModelParity, AnswersAreThoseOfTheReference) { CheckFolders("models", 15); }
TEST(ModelParity, AnswersOfEachFamilyWithEachHeadAreThoseOfTheReference) { CheckFolders("families", 18); }

// The texts of models/inputs.json behind one sequence of a single special token, as families_fixtures.py gives them to each tokenizer.
TEST(TokenizerParity, TokensOfEachFamilyAreThoseOfTheReference) {
  const nlohmann::json texts = ReadJsonFile(test::FixturePath("models/inputs.json")).at("texts");
  for (const nlohmann::json& entry : ReadJsonFile(test::FixturePath("families/families.json"))) {
    const std::string name = entry.at("name");
    const TokenBatch expected = test::ReadBatch(test::OpenFixture("families/" + entry.at("expected").get<std::string>()));
    const Tokenizer tokenizer = Tokenizer::Load(test::FixturePath("families/" + name));
    ASSERT_EQ(expected.num_sequences(), texts.size() + 1);
    for (size_t i = 0; i < texts.size(); ++i) {
      const EncodeOptions options = {.max_length = 64, .truncate = true};
      const Encoding found = texts[i].is_array() ? tokenizer.EncodePair(texts[i][0].get<std::string>(), texts[i][1].get<std::string>(), options)
                                                 : tokenizer.Encode(texts[i].get<std::string>(), options);
      const TokenBatch sequence = Slice(expected, i + 1, i + 2);
      EXPECT_EQ(found.token_ids, sequence.token_ids) << name << ", " << texts[i];
      EXPECT_EQ(found.token_type_ids, sequence.token_type_ids) << name << ", " << texts[i];
    }
  }
}

TEST(ModelParity, EachFamilyGivesTheSameBitsForAnyThreadsBatchAndInstructionSet) {
  for (const char* name : {"distilbert_classifier", "electra_nli", "mpnet_reranker"}) {
    const std::string folder = test::FixturePath(std::string("families/") + name);
    const TokenBatch batch = test::ReadBatch(test::OpenFixture(std::string("families/") + name + ".expected.safetensors"));
    std::vector<float> first;
    test::ForEachInstructionSet([&](std::string_view path) {
      const std::unique_ptr<Model> model = OpenModel(folder);
      const auto logits = [&](size_t num_threads, const TokenBatch& part) {
        Inference inference(num_threads);
        std::vector<float> out(part.num_sequences() * model->num_labels());
        inference.ForEachGroup(part, [&](mlac::Run& run, const TokenBatch& group, size_t begin) {
          const Tensor found = model->Classify(run, model->SequenceFeatures(run, group));
          std::copy(found.floats().begin(), found.floats().end(), out.begin() + static_cast<ptrdiff_t>(begin * model->num_labels()));
        });
        return out;
      };
      if (first.empty()) first = logits(1, batch);
      for (const size_t num_threads : {1, 2, 3}) EXPECT_TRUE(test::SameBits(logits(num_threads, batch), first)) << name << ", " << path;
      std::vector<float> alone;
      for (size_t s = 0; s < batch.num_sequences(); ++s) {
        const std::vector<float> one = logits(2, Slice(batch, s, s + 1));
        alone.insert(alone.end(), one.begin(), one.end());
      }
      EXPECT_TRUE(test::SameBits(alone, first)) << name << ", " << path << ", one by one";
    });
  }
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

TEST(AntiBerty, AnswersAreThoseOfTheReference) {
  const char* folder = std::getenv("MLAC_ANTIBERTY");
  if (folder == nullptr) GTEST_SKIP() << "MLAC_ANTIBERTY does not name the model's folder";
  const SafetensorsFile expected = test::OpenFixture("antiberty/expected.safetensors");
  const TokenBatch batch = test::ReadBatch(expected);
  const std::unique_ptr<Model> model = OpenModel(folder);
  mlac::Run run;
  const Tensor hidden_states = model->Encode(run, batch);
  Check(hidden_states.floats().first(batch.offsets[1] * hidden_states.dim(1)), expected, "last_hidden_state", "AntiBERTy");
  Check(model->PredictTokens(run, hidden_states).floats(), expected, "logits", "AntiBERTy");
}

}  // namespace
}  // namespace mlac
