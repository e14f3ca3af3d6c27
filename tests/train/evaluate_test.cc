// `mlac eval` as a library: figures are of numbers, or there are none.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "tensor/safetensors.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "train/bootstrap.h"
#include "train/fine_tune.h"
#include "train/objective.h"
#include "train/tagged_texts.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

using test::ExpectError;

// A copy of a model of which one tensor, that all texts pass, is not a number.
void WriteBroken(const std::string& fixture, const std::string& folder) {
  std::filesystem::copy(test::FixturePath(fixture), folder, std::filesystem::copy_options::recursive);
  const SafetensorsFile file = test::OpenFixture(fixture + "/model.safetensors");
  std::vector<NamedTensor> tensors;
  for (const TensorInfo& info : file.tensors()) {
    const Tensor values = file.Get(info.name);
    Tensor copy = values.dtype() == DType::kF32 ? Tensor::FromValues(values.shape(), values.floats()) : values;
    if (info.name.find("embeddings.LayerNorm.weight") != std::string::npos)
      copy.mutable_floats()[0] = std::numeric_limits<float>::quiet_NaN();
    tensors.push_back({info.name, copy});
  }
  WriteSafetensors(folder + "/model.safetensors", tensors);
}

// A model of a kind, and examples for it.
struct Case {
  std::string fixture, file, content, message;  // message: where its logits or vectors are not finite
};

std::vector<Case> Cases() {
  const auto label = [](const std::string& fixture) { return LabelNamesOf(test::FixturePath(fixture)).front(); };
  return {
      {"models/classifier", "a.csv", "text,label\na cat," + label("models/classifier") + "\n", "the logits of a.csv line 2 are not finite"},
      {"families/bert_tokens", "a.conll", fmt::format("cat {0}\ndog {0}\n\nred {0}\n", label("families/bert_tokens")),
       "the logits of a.conll line 1 are not finite"},
      {"families/mpnet_reranker", "a.csv", "query,document,label\na cat,a dog,1\na cat,red,0\n",
       "the logits of a.csv line 2 are not finite"},
      {"models/st_mean", "a.csv", "sentence1,sentence2,score\na cat,a dog,0.5\nred,a dog,0.1\n",
       "the embeddings of a.csv line 2 are not finite"},
  };
}

TEST(Evaluate, GivesNoFiguresOfWhatIsNotFinite) {
  for (const Case& each : Cases()) {
    SCOPED_TRACE(each.fixture);
    const test::TemporaryFolder folder;
    const std::string data = folder.Write(each.file, each.content);
    EXPECT_NO_THROW(Evaluate({.model = test::FixturePath(each.fixture), .data = data}));
    WriteBroken(each.fixture, folder / "broken");
    ExpectError(ErrorCode::kInvalidInput, each.message, [&] { Evaluate({.model = folder / "broken", .data = data}); });
  }
}

TEST(Evaluate, EndsWhereItsCheckThrows) {
  std::vector<Case> cases = Cases();
  cases.push_back({"models/masked_lm", "a.txt", "a cat\n\nthe open model\n", ""});
  cases.push_back({"families/bert_qa", "a.jsonl",
                   R"({"question": "what", "context": "the open model", "answers": {"text": ["open"], "answer_start": [4]}})", ""});
  for (const Case& each : cases) {
    SCOPED_TRACE(each.fixture);
    const test::TemporaryFolder folder;
    const std::string data = folder.Write(each.file, each.content);
    size_t num_calls = 0, last_call = 0;
    const auto evaluate = [&] {
      num_calls = 0;
      return Evaluate({.model = test::FixturePath(each.fixture), .data = data, .check_stop = [&] {
                         if (++num_calls == last_call) throw Error(ErrorCode::kCancelled, "interrupted");
                       }});
    };
    evaluate();
    const size_t of_all = num_calls;
    EXPECT_GE(of_all, 2 + kNumResamples) << "the model is open, a group, and each sample";
    for (last_call = 1; last_call <= of_all; last_call += 1 + last_call / 2) {
      ExpectError(ErrorCode::kCancelled, "interrupted", evaluate);
      EXPECT_EQ(num_calls, last_call) << "it went on";
    }
  }
}

TEST(Inference, LooksBeforeEachGroupWhetherToStop) {
  TokenBatch batch;  // 40 sequences of 100 tokens
  batch.token_ids.resize(4000);
  batch.token_type_ids.resize(4000);
  for (size_t s = 1; s <= 40; ++s) batch.offsets.push_back(100 * s);
  for (const size_t num_threads : {1, 3}) {
    std::atomic<size_t> num_calls = 0, num_groups = 0, last_call = 0;
    Inference inference(std::make_shared<ThreadTeam>(num_threads), DType::kF32, [&] {
      if (++num_calls == last_call) throw Error(ErrorCode::kCancelled, "interrupted");
    });
    const auto compute = [&] { inference.ForEachGroup(batch, [&](mlac::Run&, const TokenBatch&, size_t) { ++num_groups; }); };
    compute();
    EXPECT_GT(num_groups, 20u);
    EXPECT_EQ(num_calls, num_groups);
    num_calls = num_groups = 0;
    last_call = 1;
    ExpectError(ErrorCode::kCancelled, "interrupted", compute);
    EXPECT_LT(num_groups, num_calls) << num_threads << " threads";
  }
}

// As `mlac run` does with such a folder: the figures are of the vectors that its user gets.
TEST(Evaluate, PutsTheDefaultPromptOfTheFolderBeforeTexts) {
  const test::TemporaryFolder folder;
  std::filesystem::copy(test::FixturePath("models/st_mean"), folder.path(), std::filesystem::copy_options::recursive);
  const std::string plain = folder.Write("plain.csv", "sentence1,sentence2,score\na cat,a dog,0.5\nred,a dog,0.1\nwater,the light,0.7\n"),
                    typed = folder.Write("typed.csv",
                                         "sentence1,sentence2,score\nthe time a cat,the time a dog,0.5\nthe time red,the time a dog,0.1\n"
                                         "the time water,the time the light,0.7\n");
  const auto figures_of = [&](const std::string& data) {
    const EvaluationResult result = Evaluate({.model = folder.path(), .data = data});
    std::vector<double> values;
    for (const auto& figure : result.figures.figures) values.push_back(figure.value);
    return values;
  };
  const std::vector<double> without = figures_of(plain), expected = figures_of(typed);
  folder.Write("config_sentence_transformers.json", R"({"prompts": {"query": "the time "}, "default_prompt_name": "query"})");
  EXPECT_EQ(figures_of(plain), expected);
  EXPECT_NE(figures_of(plain), without);
}

// In training, which validates behind each epoch.
TEST(PredictTokenLabels, NamesTheTextWhoseLogitsAreNotFinite) {
  const std::string fixture = "families/bert_tokens";
  const test::TemporaryFolder folder;
  WriteBroken(fixture, folder / "broken");
  const std::vector<std::string> labels = LabelNamesOf(test::FixturePath(fixture));
  const TaggedTexts texts = ReadTaggedTexts(folder.Write("a.conll", fmt::format("cat {0}\n\nred {0}\n", labels[0])));
  const TaggedTokens tokens = AlignTags(Tokenizer::Load(test::FixturePath(fixture)), 32, texts, labels);
  const std::unique_ptr<Model> model = OpenModel(folder / "broken");
  mlac::Run run;
  try {
    PredictTokenLabels(*model, run, tokens);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_TRUE(error.message().starts_with("the logits of a.conll line 1 are not finite; ")) << error.message();
  }
}

TEST(FindRowNotFinite, FindsTheFirst) {
  std::vector<float> values(6, 1.0f);
  EXPECT_EQ(FindRowNotFinite(values, 2), std::nullopt);
  values[5] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(FindRowNotFinite(values, 2), 2u);
  values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(FindRowNotFinite(values, 2), 1u);
  EXPECT_EQ(FindRowNotFinite({}, 2), std::nullopt);
}

}  // namespace
}  // namespace mlac
