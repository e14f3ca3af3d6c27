// Losses of sentence embeddings: against sentence-transformers and finite differences, and what is a negative.
#include "train/embedding_losses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/random.h"
#include "tests/support/reference.h"
#include "train/embedding_objective.h"

namespace mlac {
namespace {

using nlohmann::json;
using testing::ElementsAre;

// All texts of the batch differ: each anchor meets all positives and negatives.
std::vector<std::vector<size_t>> AllCandidates(size_t num_examples, size_t columns) {
  std::vector<std::vector<size_t>> candidates(num_examples);
  for (size_t i = 0; i < num_examples; ++i) {
    candidates[i] = {i * columns + 1};
    for (size_t column = 1; column < columns; ++column)
      for (size_t j = 0; j < num_examples; ++j)
        if (column != 1 || j != i) candidates[i].push_back(j * columns + column);
  }
  return candidates;
}

double LossOf(const json& of, const EmbeddingRows& vectors, std::span<const float> scores, std::span<float> gradient) {
  const std::vector<std::vector<size_t>> candidates = AllCandidates(vectors.num_examples(), vectors.columns);
  const auto loss = [&](const EmbeddingRows& rows, std::span<float> out) {
    switch (EmbeddingLossNamed(of.at("loss").get<std::string>())) {
      case EmbeddingLoss::kMultipleNegativesRanking:
        return MultipleNegativesRanking(rows, candidates, of.at("scale"), out);
      case EmbeddingLoss::kCoSent:
        return CoSent(rows, scores, of.at("scale"), out);
      case EmbeddingLoss::kTriplet:
        break;
    }
    return TripletLoss(rows, of.at("distance") == "cosine" ? EmbeddingDistance::kCosine : EmbeddingDistance::kEuclidean, of.at("margin"),
                       out);
  };
  const std::vector<size_t> sizes = of.at("matryoshka");
  return sizes.empty() ? loss(vectors, gradient) : Matryoshka(vectors, sizes, loss, gradient);
}

TEST(EmbeddingLosses, AreThoseOfSentenceTransformers) {
  const SafetensorsFile file = test::OpenFixture("losses/losses.safetensors");
  const json cases = ReadJsonFile(test::FixturePath("losses/losses.json"));
  for (const auto& [name, of] : cases.items()) {
    SCOPED_TRACE(name);
    const Tensor vectors = file.Get(name + "/vectors");
    std::vector<float> gradient(vectors.num_elements()), scores;
    if (of.at("loss") == "cosent") scores.assign(file.Get(name + "/scores").floats().begin(), file.Get(name + "/scores").floats().end());
    const double loss = LossOf(of, {.values = vectors.floats(), .columns = of.at("columns"), .size = vectors.dim(2)}, scores, gradient);
    EXPECT_NEAR(loss, test::Doubles(file, name + "/loss")[0], 1e-5);
    const test::Difference difference = test::Compare(gradient, test::Doubles(file, name + "/gradient"));
    EXPECT_TRUE(difference.within(2e-6)) << difference.largest;
  }
}

// The loss along a direction, against the gradient's share of it.
TEST(EmbeddingLosses, HaveTheGradientOfFiniteDifferences) {
  constexpr size_t kExamples = 5, kSize = 9;
  const std::vector<float> scores = {0.1f, 0.9f, 0.5f, 0.5f, 0.3f};
  const json cases = ReadJsonFile(test::FixturePath("losses/losses.json"));
  for (json of : cases) {
    if (!of.at("matryoshka").empty()) of["matryoshka"] = {9, 4};
    SCOPED_TRACE(of.dump());
    const size_t columns = of.at("columns"), count = kExamples * columns * kSize;
    Random random(5);
    std::vector<float> vectors(count), direction(count), gradient(count), unused(count);
    for (float& x : vectors) x = random.Normal();
    for (float& x : direction) x = random.Normal();
    const auto loss_at = [&](float step, std::span<float> out) {
      std::vector<float> moved(count);
      for (size_t i = 0; i < count; ++i) moved[i] = vectors[i] + step * direction[i];
      return LossOf(of, {.values = moved, .columns = columns, .size = kSize}, scores, out);
    };
    loss_at(0, gradient);
    double along = 0;
    for (size_t i = 0; i < count; ++i) along += static_cast<double>(gradient[i]) * static_cast<double>(direction[i]);
    constexpr float kStep = 1e-3f;
    const double difference = (loss_at(kStep, unused) - loss_at(-kStep, unused)) / (2 * static_cast<double>(kStep));
    EXPECT_NEAR(along, difference, 5e-3 * std::max(1.0, std::fabs(difference)));
  }
}

TEST(EmbeddingLosses, AreFiniteForVectorsOfZeros) {
  const std::vector<float> zeros(2 * 3 * 4);
  const EmbeddingRows vectors = {.values = zeros, .columns = 3, .size = 4};
  std::vector<float> gradient(zeros.size());
  EXPECT_NEAR(MultipleNegativesRanking(vectors, AllCandidates(2, 3), 20, gradient), std::log(4.0), 1e-6);
  EXPECT_DOUBLE_EQ(TripletLoss(vectors, EmbeddingDistance::kEuclidean, 5, gradient), 5);
  EXPECT_DOUBLE_EQ(TripletLoss(vectors, EmbeddingDistance::kCosine, 5, gradient), 5);
  for (const float x : gradient) EXPECT_EQ(x, 0);
}

TEST(EmbeddingLosses, LearnNothingFromOneExample) {
  const std::vector<float> values = {1, 2, 2, 1}, score = {0.5f};
  const EmbeddingRows vectors = {.values = values, .columns = 2, .size = 2};
  std::vector<float> gradient(values.size());
  EXPECT_EQ(MultipleNegativesRanking(vectors, AllCandidates(1, 2), 20, gradient), 0);
  EXPECT_EQ(CoSent(vectors, score, 20, gradient), 0);
  for (const float x : gradient) EXPECT_EQ(x, 0);
}

// texts: [rows, columns] by number.
TupleTokens Tuples(std::vector<uint32_t> texts, size_t columns) {
  TupleTokens tuples;
  tuples.columns = columns;
  tuples.text_ids = std::move(texts);
  return tuples;
}

TEST(Candidates, LeaveOutWhatIsKnownToBelongToTheAnchor) {
  // Anchors 0 and 1; 10, 11 and 12 belong to 0, 13 to 1, 12 to 2 as well.
  const TupleTokens tuples = Tuples({0, 10, 0, 11, 1, 13, 2, 12, 0, 12}, 2);
  const KnownPositives known(tuples);
  const std::vector<size_t> batch = {0, 1, 2, 3};  // the row that says that 12 belongs to 0 is in no batch with it
  EXPECT_THAT(CandidatesOf(tuples, known, batch),
              ElementsAre(ElementsAre(1, 5), ElementsAre(3, 5), ElementsAre(5, 1, 3, 7), ElementsAre(7, 1, 3, 5)));
}

TEST(Candidates, HaveEachTextOnceAndNeverTheAnchor) {
  // Rows 0 and 1 have one positive; the anchor of row 2 is the positive of row 3.
  const TupleTokens tuples = Tuples({0, 4, 1, 4, 2, 5, 3, 2}, 2);
  const std::vector<size_t> batch = {1, 0, 2, 3};
  EXPECT_THAT(CandidatesOf(tuples, KnownPositives(tuples), batch),
              ElementsAre(ElementsAre(1, 5, 7), ElementsAre(3, 5, 7), ElementsAre(5, 1), ElementsAre(7, 1, 5)));
}

TEST(Candidates, TakeNegativesOfAllTriplesUnlessOneIsAPositive) {
  const TupleTokens tuples = Tuples({0, 10, 20, 1, 11, 10}, 3);  // the negative of row 1 is the positive of row 0
  const std::vector<size_t> batch = {0, 1};
  EXPECT_THAT(CandidatesOf(tuples, KnownPositives(tuples), batch), ElementsAre(ElementsAre(1, 4, 2), ElementsAre(4, 1, 2)));
}

}  // namespace
}  // namespace mlac
