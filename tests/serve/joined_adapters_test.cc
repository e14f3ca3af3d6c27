// Models over one base: what is computed together has the bits of what each computes alone, and what waits is computed together.
#include "serve/joined_adapters.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "models/adapter.h"
#include "models/model_folder.h"
#include "serve/served_model.h"
#include "tests/serve/server_fixture.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"

namespace mlac {
namespace {

using test::FixturePath;
using test::SameBits;

const std::string kBase = FixturePath("models/classifier");

TokenBatch RandomBatch(size_t num_sequences, uint64_t seed) {
  Random random(seed);
  TokenBatch batch;
  for (size_t s = 0; s < num_sequences; ++s) {
    for (size_t length = 1 + random.Below(20); length > 0; --length) batch.token_ids.push_back(static_cast<int32_t>(random.Below(100)));
    batch.offsets.push_back(batch.token_ids.size());
  }
  batch.token_type_ids.resize(batch.token_ids.size());
  return batch;
}

// The base itself and two adapters of different ranks, layers and heads.
struct Models {
  std::shared_ptr<Model> base = OpenBase(kBase);
  std::vector<std::unique_ptr<TextModel>> models;

  explicit Models(DType dtype = DType::kF32) {
    for (const char* adapter : {"", "adapters/bert", "adapters/bert_patterns"})
      models.push_back(std::make_unique<TextModel>(
          kBase, TextModelOptions{.num_threads = 1, .dtype = dtype, .adapter = *adapter == 0 ? "" : FixturePath(adapter), .base = base}));
  }
};

TEST(ComputeJoined, GivesTheBitsOfEachModelAlone) {
  Models models;
  std::vector<TokenBatch> batches;
  for (size_t i = 0; i < 9; ++i) batches.push_back(RandomBatch(1 + i % 4, i));
  std::vector<std::vector<float>> expected, found;
  for (size_t i = 0; i < batches.size(); ++i) {
    TextModel& model = *models.models[i % 3];
    ASSERT_TRUE(CanJoin(model.model()));
    expected.push_back(i % 2 == 1 ? model.EmbedTokens(batches[i]) : model.Logits(batches[i]));
    found.emplace_back(expected.back().size());
  }
  test::ForEachInstructionSet([&](std::string_view name) {
    for (const size_t num_threads : {1, 2, 3}) {
      std::vector<JoinedPart> parts;
      for (size_t i = 0; i < batches.size(); ++i) {
        std::fill(found[i].begin(), found[i].end(), -1.0f);
        parts.push_back({.model = models.models[i % 3].get(), .batch = &batches[i], .per_token = i % 2 == 1, .out = found[i]});
      }
      Models fresh;  // packed for this instruction set
      for (size_t i = 0; i < parts.size(); ++i) parts[i].model = fresh.models[i % 3].get();
      Inference inference(num_threads);
      ComputeJoined(inference, *fresh.base, parts);
      for (size_t i = 0; i < batches.size(); ++i)
        EXPECT_TRUE(SameBits(found[i], expected[i])) << name << ", " << num_threads << " threads, part " << i;
    }
  });
}

TEST(JoinedAdapters, ComputesTogetherWhatWaitsForATurn) {
  Models models;
  JoinedAdapters joined(models.base, std::make_shared<ThreadTeam>(2), DType::kF32, /*max_tokens=*/1000);
  ComputeTurns turns;
  std::vector<TokenBatch> batches;
  std::vector<std::vector<float>> found;
  for (size_t i = 0; i < 3; ++i) {
    batches.push_back(RandomBatch(2, i));
    found.emplace_back(2 * models.models[i]->model().num_labels());
  }
  ComputeTurns::Party other;
  std::optional<ComputeTurns::Turn> turn(turns.Take(other));
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 3; ++i)
    threads.emplace_back(
        [&, i] { joined.Compute(turns, {.model = models.models[i].get(), .batch = &batches[i], .per_token = false, .out = found[i]}); });
  while (joined.num_waiting() < 3) std::this_thread::yield();
  turn.reset();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(joined.num_batches(), 1u);
  EXPECT_EQ(joined.num_waiting(), 0u);
  for (size_t i = 0; i < 3; ++i) EXPECT_TRUE(SameBits(found[i], models.models[i]->Logits(batches[i]))) << i;
}

TEST(JoinedAdapters, TakesNoMoreThanItsTokensTogether) {
  Models models;
  JoinedAdapters joined(models.base, std::make_shared<ThreadTeam>(1), DType::kF32, /*max_tokens=*/1);
  ComputeTurns turns;
  std::vector<std::thread> threads;
  std::vector<std::vector<float>> found(6);
  std::vector<TokenBatch> batches;
  for (size_t i = 0; i < 6; ++i) batches.push_back(RandomBatch(3, i));
  for (size_t i = 0; i < 6; ++i)
    threads.emplace_back([&, i] {
      found[i].resize(3 * models.models[i % 3]->model().num_labels());
      joined.Compute(turns, {.model = models.models[i % 3].get(), .batch = &batches[i], .per_token = false, .out = found[i]});
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(joined.num_batches(), 6u);
  for (size_t i = 0; i < 6; ++i) EXPECT_TRUE(SameBits(found[i], models.models[i % 3]->Logits(batches[i]))) << i;
}

TEST(JoinedAdapters, AFaultReachesAllWhoWereComputedTogetherAndNobodyElse) {
  Models models;
  JoinedAdapters joined(models.base, std::make_shared<ThreadTeam>(1), DType::kF32, /*max_tokens=*/1000);
  ComputeTurns turns;
  TokenBatch bad = {{100000}, {0}, {0, 1}};
  std::vector<float> out(models.models[0]->model().num_labels());
  EXPECT_THROW(joined.Compute(turns, {.model = models.models[0].get(), .batch = &bad, .per_token = false, .out = out}), Error);
  const TokenBatch fine = RandomBatch(1, 1);
  joined.Compute(turns, {.model = models.models[0].get(), .batch = &fine, .per_token = false, .out = out});
  EXPECT_TRUE(SameBits(out, models.models[0]->Logits(fine)));
}

// Clients of the base and of two adapters at once, by path: the answers of each alone.
class ServedAdapters : public ModelServerTest {};

TEST_F(ServedAdapters, AnswerManyClientsAtOnceWithTheBitsThatEachHasAlone) {
  ServedModelOptions options = {.num_threads = 2, .max_length = {}, .team = std::make_shared<ThreadTeam>(2)};
  options.base = OpenBase(kBase);
  options.joined = std::make_shared<JoinedAdapters>(options.base, options.team, DType::kF32, 1000);
  std::vector<NamedModel> models;
  for (const auto& [name, adapter] :
       {std::pair<std::string, std::string>{"base", ""}, {"one", "adapters/bert"}, {"two", "adapters/bert_patterns"}}) {
    options.adapter = adapter.empty() ? "" : FixturePath(adapter);
    models.push_back({name, OpenServedModel(kBase, options)});
  }
  ServeModels(std::move(models));
  const auto ask = [&](const std::string& name, size_t text) {
    static const char* const kTexts[] = {"a cat", "the night is red and open", "small people", "water"};
    return Outcome(PostJson("/models/" + name + "/predict", nlohmann::json{{"inputs", kTexts[text % 4]}}.dump()));
  };
  const std::vector<std::string> names = {"base", "one", "two"};
  std::vector<std::string> expected;
  for (const std::string& name : names)
    for (size_t text = 0; text < 4; ++text) expected.push_back(ask(name, text));
  EXPECT_NE(expected[0], expected[4]);
  EXPECT_NE(expected[4], expected[8]);
  for (const std::string& answer : expected) EXPECT_EQ(answer.substr(0, 4), "200 ") << answer;
  std::vector<std::thread> clients;
  for (size_t client = 0; client < 12; ++client)
    clients.emplace_back([&, client] {
      for (int i = 0; i < 10; ++i) EXPECT_EQ(ask(names[client / 4], client), expected[client]);
    });
  for (std::thread& client : clients) client.join();
}

TEST(OpenServedModel, JoinsOnlyWhatItsBaseCanCompute) {
  ServedModelOptions options = {.num_threads = 1, .max_length = {}};
  options.base = OpenBase(kBase);
  options.joined = std::make_shared<JoinedAdapters>(options.base, std::make_shared<ThreadTeam>(1), DType::kF32, 1000);
  options.adapter = FixturePath("adapters/bert");
  const std::unique_ptr<ServedModel> model = OpenServedModel(kBase, options);
  EXPECT_TRUE(model->joins_batches());
  ComputeTurns turns;
  const TokenBatch batch = RandomBatch(3, 1);
  std::vector<float> alone(3 * model->output_size()), together(alone.size());
  model->Compute(batch, Output::kSequence, alone);
  model->ComputeInTurn(turns, batch, Output::kSequence, together);
  EXPECT_TRUE(SameBits(together, alone));
  EXPECT_FALSE(OpenServedModel(kBase, {.num_threads = 1, .max_length = {}})->joins_batches());
}

}  // namespace
}  // namespace mlac
