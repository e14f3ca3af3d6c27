// Training of sentence embeddings as a whole: the loss is that of the batch, however it is computed, and its gradient is that of the
// weights.
#include "train/embedding_objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/test_support.h"
#include "tests/train/tiny_training.h"
#include "tests/train/weight_gradient.h"
#include "train/ranked_pairs.h"

namespace mlac {
namespace {

// Pairs or triples of made-up texts of 3 to 9 tokens.
TupleTokens TinyTuples(size_t count, size_t columns, uint64_t seed) {
  TupleTokens tuples;
  tuples.columns = columns;
  tuples.source = "tiny.csv";
  Random random(seed);
  for (size_t row = 0; row < count; ++row) {
    for (size_t column = 0; column < columns; ++column) {
      const size_t length = 3 + random.Below(7);
      tuples.tokens.token_ids.push_back(2);
      for (size_t t = 2; t < length; ++t) tuples.tokens.token_ids.push_back(static_cast<int32_t>(17 + random.Below(100)));
      tuples.tokens.token_ids.push_back(3);
      tuples.tokens.token_type_ids.resize(tuples.tokens.token_ids.size());
      tuples.tokens.offsets.push_back(tuples.tokens.token_ids.size());
      tuples.text_ids.push_back(static_cast<uint32_t>(tuples.text_ids.size()));
    }
    tuples.scores.push_back(static_cast<float>(random.Below(5)) / 4);
    tuples.lines.push_back(row + 2);
  }
  return tuples;
}

std::unique_ptr<Model> TinyEncoder() { return OpenModel(test::FixturePath("models/classifier"), HeadRequest{}); }

TEST(EmbeddingObjective, HasTheGradientOfTheWeights) {
  const TupleTokens train = TinyTuples(6, 3, 1), none = TinyTuples(0, 3, 1);
  for (const EmbeddingLoss loss : {EmbeddingLoss::kMultipleNegativesRanking, EmbeddingLoss::kTriplet, EmbeddingLoss::kCoSent}) {
    SCOPED_TRACE(Name(loss));
    const std::unique_ptr<Model> model = TinyEncoder();
    const SentenceEncoder encoder(test::FixturePath("models/classifier"), *model);
    const std::unique_ptr<Objective> objective = MakeEmbeddingObjective(*model, encoder, train, none, {.loss = loss, .scale = 3});
    const std::vector<size_t> batch = {0, 3, 1, 5};
    test::ExpectGradientOfTheWeights(*model, *objective, batch);
  }
}

// Of texts whose first tokens are a prompt's, which are read and not pooled.
TEST(EmbeddingObjective, HasTheGradientOfTheWeightsBehindAPrompt) {
  const test::TemporaryFolder folder;
  folder.Write("modules.json", R"([{"path": "", "type": "models.Transformer"}, {"path": "1_Pooling", "type": "models.Pooling"}])");
  folder.Write("1_Pooling/config.json", R"({"pooling_mode": "mean", "include_prompt": false})");
  TupleTokens train = TinyTuples(6, 2, 1);
  train.num_prompt_tokens = 3;  // all of some texts, of which the last token counts
  const TupleTokens none = TinyTuples(0, 2, 1);
  const std::unique_ptr<Model> model = TinyEncoder();
  const SentenceEncoder encoder(folder.path(), *model);
  const std::unique_ptr<Objective> objective = MakeEmbeddingObjective(*model, encoder, train, none, {.scale = 3});
  const std::vector<size_t> batch = {0, 3, 1, 5};
  test::ExpectGradientOfTheWeights(*model, *objective, batch);
}

// A cross-encoder learns scores between 0 and 1, too.
TEST(RankingObjective, HasTheGradientOfTheWeights) {
  const std::unique_ptr<Model> model =
      OpenModel(test::FixturePath("models/classifier"),
                HeadRequest{.head = Head::kSequenceClassification, .num_labels = 1, .fresh = true, .seed = 7});
  RankedTokens train = {.tokens = test::TinyTexts(6, 1), .query_ids = {0, 0, 0, 1, 1, 1}};
  train.tokens.targets = {0, 0.25f, 1, 0.5f, 0.9f, 0};
  const RankedTokens none = {};
  const std::unique_ptr<Objective> objective = MakeRankingObjective(*model, train, none);
  const std::vector<size_t> batch = {4, 0, 1, 2};
  test::ExpectGradientOfTheWeights(*model, *objective, batch);
}

TEST(RankingObjective, TakesAScoreBetweenAsTheMeanOfYesAndNo) {
  LabelledTokens texts = test::TinyTexts(3, 1);
  texts.targets = {0, 1, 0.25f};
  const std::vector<float> logits(3, 0.7f), losses = LossesOf(logits, texts, 1, ProblemType::kMultiLabel);
  EXPECT_NEAR(losses[0], std::log(1 + std::exp(0.7)), 1e-6);
  EXPECT_NEAR(losses[1], std::log(1 + std::exp(-0.7)), 1e-6);
  EXPECT_NEAR(losses[2], 0.75 * losses[0] + 0.25 * losses[1], 1e-6);
}

// The vectors of a batch are computed at once, or in parts that are seen twice.
TEST(EmbeddingObjective, GivesTheSameBitsForAnyPartsAndThreads) {
  const TupleTokens train = TinyTuples(22, 3, 2), validation = TinyTuples(9, 3, 3);
  std::vector<float> expected;
  std::vector<double> losses;
  for (const auto& [max_tokens, num_threads] : {std::pair<size_t, size_t>{0, 1}, {0, 3}, {40, 1}, {25, 2}, {1, 3}}) {
    SCOPED_TRACE(testing::Message() << max_tokens << " tokens, " << num_threads << " threads");
    const std::unique_ptr<Model> model = TinyEncoder();
    const SentenceEncoder encoder(test::FixturePath("models/classifier"), *model);
    const std::unique_ptr<Objective> objective = MakeEmbeddingObjective(*model, encoder, train, validation, {.matryoshka = {32, 8}});
    test::Recorder recorder;
    const TrainingResult result = Train(
        *model, *objective,
        {.num_epochs = 2, .learning_rate = 2e-3, .batch_size = 8, .save_steps = 0, .max_tokens = max_tokens, .num_threads = num_threads},
        {}, recorder, recorder.stop);
    if (expected.empty()) {
      expected = test::Weights(*model);
      losses = result.step_losses;
    }
    EXPECT_EQ(test::Weights(*model), expected);
    EXPECT_EQ(result.step_losses, losses);
  }
}

}  // namespace
}  // namespace mlac
