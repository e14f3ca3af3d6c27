// Models over one base: what is computed together has the bits of what each computes alone, and what waits is computed together.
#include "serve/joined_adapters.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "models/adapter.h"
#include "models/model_folder.h"
#include "optimize/int8_folder.h"
#include "serve/served_model.h"
#include "tests/serve/server_fixture.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

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
  std::shared_ptr<Model> base;
  std::vector<std::unique_ptr<TextModel>> models;

  explicit Models(DType dtype = DType::kF32, const std::string& folder = kBase) : base(OpenBase(folder)) {
    for (const char* adapter : {"", "adapters/bert", "adapters/bert_patterns"})
      models.push_back(std::make_unique<TextModel>(
          folder, TextModelOptions{.num_threads = 1, .dtype = dtype, .adapter = *adapter == 0 ? "" : FixturePath(adapter), .base = base}));
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
        parts.push_back({.model = models.models[i % 3].get(),
                         .batch = &batches[i],
                         .wanted = {i % 2 == 1 ? Output::kTokens : Output::kSequence},
                         .out = found[i]});
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

// There activations have fewer digits within a product than behind one, and one of the adapters has the layer with the activation.
TEST(ComputeJoined, GivesTheBitsOfEachModelAloneInInt8AndBf16) {
  const test::TemporaryFolder folder;
  const std::string int8 = folder / "int8";
  std::filesystem::create_directory(int8);
  WriteInt8Folder(kBase, int8);
  std::vector<TokenBatch> batches;
  for (size_t i = 0; i < 9; ++i) batches.push_back(RandomBatch(1 + i % 4, i));
  for (const auto& [base, dtype] : {std::pair(int8, DType::kF32), std::pair(kBase, DType::kBF16), std::pair(int8, DType::kBF16)})
    test::ForEachBound([&](std::string_view bound) {
      Models models(dtype, base);  // packed for this instruction set
      std::vector<std::vector<float>> expected, found;
      std::vector<JoinedPart> parts;
      for (size_t i = 0; i < batches.size(); ++i) {
        expected.push_back(models.models[i % 3]->EmbedTokens(batches[i]));
        found.emplace_back(expected[i].size(), -1.0f);
      }
      for (size_t i = 0; i < batches.size(); ++i)
        parts.push_back({.model = models.models[i % 3].get(), .batch = &batches[i], .wanted = {Output::kTokens}, .out = found[i]});
      for (const size_t num_threads : {1, 3}) {
        Inference inference(num_threads, dtype);
        ComputeJoined(inference, *models.base, parts);
        for (size_t i = 0; i < batches.size(); ++i)
          EXPECT_TRUE(SameBits(found[i], expected[i])) << bound << ", " << base << " in " << Name(dtype) << ", " << num_threads << " threads, part " << i;
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
        [&, i] { joined.Compute(turns, {.model = models.models[i].get(), .batch = &batches[i], .wanted = {}, .out = found[i]}); });
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
      joined.Compute(turns, {.model = models.models[i % 3].get(), .batch = &batches[i], .wanted = {}, .out = found[i]});
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
  EXPECT_THROW(joined.Compute(turns, {.model = models.models[0].get(), .batch = &bad, .wanted = {}, .out = out}), Error);
  const TokenBatch fine = RandomBatch(1, 1);
  joined.Compute(turns, {.model = models.models[0].get(), .batch = &fine, .wanted = {}, .out = out});
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

// The texts of a client, and what is answered.
constexpr std::array kTexts = {"a cat", "the night is red and open", "small people", "water"};

TEST_F(ServedAdapters, ComeGoAndChangePlacesAndSoDoesTheirBaseWithoutALostRequestOrAnotherBit) {
  const ServedModelOptions options = {.num_threads = 2, .max_length = {}, .team = std::make_shared<ThreadTeam>(2), .takes_adapters = true};
  ModelServerOptions server_options;
  server_options.open = {.model = [&](const std::string& folder) { return OpenServedModel(folder, options); },
                         .adapter = [](const ServedModel& base, const std::string& folder) { return base.OpenAdapter(folder); }};
  std::vector<NamedModel> models;
  models.push_back({"base", OpenServedModel(kBase, options)});
  ServeModels(std::move(models), std::move(server_options));
  const std::vector<std::string> adapters = {FixturePath("adapters/bert"), FixturePath("adapters/bert_patterns")};
  const auto adapter_of = [&](const std::string& name, const std::string& folder) { return ModelSource{name, folder, {.base = "base"}}; };
  for (const char* name : {"one", "two"}) server_->loader().Load({adapter_of(name, adapters[0])});
  // Alone: by text, of the base and of each adapter.
  const auto ask = [](RawClient& client, const std::string& name, size_t text) {
    client.Send(PostJson("/models/" + name + "/predict", nlohmann::json{{"inputs", kTexts[text]}}.dump()));
    const RawAnswer answer = client.Receive();
    return std::to_string(answer.status) + " " + answer.body;
  };
  std::map<std::string, std::vector<std::set<std::string>>> right;
  RawClient first(server_->port());
  for (size_t text = 0; text < kTexts.size(); ++text) {
    right["base"].push_back({ask(first, "base", text)});
    right["one"].push_back({ask(first, "one", text)});
    right["two"].push_back(right["one"].back());
  }
  server_->loader().Load({adapter_of("two", adapters[1])});
  for (size_t text = 0; text < kTexts.size(); ++text) right["two"][text].insert(ask(first, "two", text));
  ASSERT_EQ(right["two"][0].size(), 2u);

  std::atomic<bool> stopping = false;
  std::atomic<size_t> num_answered = 0, num_wrong = 0;
  std::vector<std::thread> clients;
  for (size_t c = 0; c < 6; ++c)
    clients.emplace_back([&, c] {
      RawClient client(server_->port());
      const std::string name = std::array{"base", "one", "two"}[c % 3];
      for (size_t i = c; !stopping; ++i) {
        num_wrong += !right.at(name)[i % kTexts.size()].contains(ask(client, name, i % kTexts.size()));
        ++num_answered;
      }
    });
  for (size_t i = 0; i < 24; ++i) {
    const size_t before = num_answered;
    if (i % 4 == 0) server_->loader().Load({adapter_of("two", adapters[i / 4 % 2])});
    if (i % 4 == 1) server_->loader().Load({adapter_of("more", adapters[1])});
    if (i % 4 == 2) server_->loader().Load({{"base", kBase}});  // and with it one, two and more
    if (i % 4 == 3) server_->loader().Unload("more");
    while (num_answered < before + 12) std::this_thread::yield();
  }
  stopping = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_wrong, 0u);
  EXPECT_EQ(server_->models().All().size(), 3u);
}

// A model whose weights are shared has no memory of its own for them: what it holds beside its base is what it brings.
TEST(OpenServedModel, AnAdapterSharesTheWeightsOfItsBase) {
  const std::unique_ptr<ServedModel> base = OpenServedModel(kBase, {.num_threads = 1, .max_length = {}, .takes_adapters = true});
  const std::unique_ptr<ServedModel> one = base->OpenAdapter(FixturePath("adapters/bert")),
                                     two = base->OpenAdapter(FixturePath("adapters/bert_patterns"));
  const auto weight = [](const ServedModel& model) {
    for (const Parameter* parameter : model.text_model()->model().parameters().All())
      if (parameter->name == "bert.encoder.layer.0.attention.self.query.weight") return parameter;
    return static_cast<const Parameter*>(nullptr);
  };
  ASSERT_NE(weight(*base), nullptr);
  EXPECT_EQ(weight(*one), weight(*base));
  EXPECT_EQ(weight(*two), weight(*base));
  EXPECT_TRUE(base->joins_batches() && one->joins_batches() && two->joins_batches());
  test::ExpectError(ErrorCode::kUnsupported, "the model of " + kBase + " was not opened to share its weights with adapters",
                    [&] { one->OpenAdapter(FixturePath("adapters/bert")); });
  test::ExpectError(ErrorCode::kUnsupported, "the model of " + kBase + " was not opened to share its weights with adapters",
                    [&] { OpenServedModel(kBase, {.num_threads = 1, .max_length = {}})->OpenAdapter(FixturePath("adapters/bert")); });
}

// Heads for tokens and for the vocabulary over one base, with what is asked of them.
TEST(ComputeJoined, GivesTheBitsOfEachHeadAlone) {
  const std::shared_ptr<Model> base = OpenBase(FixturePath("models/masked_lm"));
  const std::string folder = FixturePath("models/masked_lm");
  std::vector<std::unique_ptr<TextModel>> models;
  for (const char* adapter : {"", "adapters/bert_masked_lm", "adapters/bert_tokens", "adapters/bert_qa"})
    models.push_back(std::make_unique<TextModel>(
        folder, TextModelOptions{.num_threads = 1, .adapter = *adapter == 0 ? "" : FixturePath(adapter), .base = base}));
  std::vector<TokenBatch> batches;
  std::vector<std::vector<size_t>> tokens;
  std::vector<RowsWanted> wanted;
  std::vector<std::vector<float>> expected, found;
  for (size_t i = 0; i < 12; ++i) {
    batches.push_back(RandomBatch(1 + i % 3, i));
    tokens.emplace_back();
    for (size_t t = 0; t < batches[i].num_tokens(); t += 1 + (t + i) % 9) tokens[i].push_back(t);
  }
  for (size_t i = 0; i < 12; ++i) {
    TextModel& model = *models[i % 4];
    ASSERT_TRUE(CanJoin(model.model())) << i;
    const Output output = i % 5 == 4 ? Output::kTokens : i % 4 < 2 ? Output::kMasks : Output::kTokenLabels;
    wanted.push_back({output, output == Output::kMasks ? std::span<const size_t>(tokens[i]) : std::span<const size_t>()});
    expected.push_back(model.Compute(batches[i], wanted[i]));
    found.emplace_back(expected[i].size(), -1.0f);
  }
  for (const size_t num_threads : {1, 3}) {
    std::vector<JoinedPart> parts;
    for (size_t i = 0; i < 12; ++i)
      parts.push_back({.model = models[i % 4].get(), .batch = &batches[i], .wanted = wanted[i], .out = found[i]});
    Inference inference(num_threads);
    ComputeJoined(inference, *base, parts);
    for (size_t i = 0; i < 12; ++i) EXPECT_TRUE(SameBits(found[i], expected[i])) << num_threads << " threads, part " << i;
  }
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
  model->Compute(batch, {Output::kSequence}, alone, kWholeTeam);
  model->ComputeInTurn(turns, batch, {Output::kSequence}, together);
  EXPECT_TRUE(SameBits(together, alone));
  EXPECT_FALSE(OpenServedModel(kBase, {.num_threads = 1, .max_length = {}})->joins_batches());
}

}  // namespace
}  // namespace mlac
