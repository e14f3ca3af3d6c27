#include "pipelines/sequence_task.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::FixturePath;

// A context that takes many windows, and a text of several masks.
std::string LongContext() {
  std::string context = "the cat";
  for (int i = 0; i < 40; ++i) context += fmt::format(" sat on the mat number {}", i);
  return context;
}

// What the task answers in parts, with how many tokens and rows each of them had.
struct InParts {
  std::string answer;
  std::vector<size_t> num_tokens, num_rows;

  InParts(const std::string& folder, SequenceTask& task, const std::vector<TextInput>& texts, const PartLimits& limits) {
    TextModel model(FixturePath(folder));
    const auto compute = [&](const TokenBatch& part, const RowsWanted& wanted) {
      num_tokens.push_back(part.num_tokens());
      num_rows.push_back(NumRows(part, wanted));
      return model.Compute(part, wanted);
    };
    task.AddInParts(model, texts, compute, answer, limits);
  }
};

TEST(SequenceTask, ComputesALongContextInPartsOfBoundedTokensWithTheSameAnswer) {
  const TaskOptions options = {.format = OutputFormat::kJson, .top_k = 4, .window = 24, .doc_stride = 7};
  const std::vector<TextInput> texts = {{"where", LongContext()}, {"who", "the cat sat"}};
  const InParts whole("families/bert_qa", *MakeQuestionAnswering(options), texts, {.num_tokens = SIZE_MAX, .num_values = SIZE_MAX});
  ASSERT_EQ(whole.num_tokens.size(), 1u);
  for (const size_t limit : {1, 23, 24, 47, 48, 100}) {
    const InParts parts("families/bert_qa", *MakeQuestionAnswering(options), texts, {.num_tokens = limit});
    EXPECT_EQ(parts.answer, whole.answer) << limit;
    size_t sum = 0;
    for (const size_t num_tokens : parts.num_tokens) {
      EXPECT_LE(num_tokens, std::max<size_t>(limit, 24)) << limit;  // a window at least
      sum += num_tokens;
    }
    EXPECT_EQ(sum, whole.num_tokens[0]) << limit;
  }
}

TEST(SequenceTask, KeepsTheRowsOfFewMasksAtATime) {
  const TaskOptions options = {.format = OutputFormat::kJson, .top_k = 2};
  const std::vector<TextInput> texts = {{"the [MASK] [MASK]", {}}, {"the [MASK] sat", {}}, {"a [MASK]", {}}, {"[MASK] cat [MASK]", {}}};
  const size_t vocab_size = TextModel(FixturePath("models/masked_lm")).model().vocab_size();
  const auto ask = [&](size_t num_values) {
    return InParts("models/masked_lm", *MakeFillMask(options), texts, {.num_values = num_values});
  };
  EXPECT_EQ(ask(6 * vocab_size).num_rows, (std::vector<size_t>{6}));
  EXPECT_EQ(ask(6 * vocab_size - 1).num_rows, (std::vector<size_t>{4, 2}));
  EXPECT_EQ(ask(2 * vocab_size).num_rows, (std::vector<size_t>{2, 2, 2}));
  EXPECT_EQ(ask(1).num_rows, (std::vector<size_t>{2, 1, 1, 2}));
  EXPECT_EQ(ask(1).answer, ask(SIZE_MAX).answer);
}

// The number in a message is that of the text, not of the pair of a text and a label.
TEST(SequenceTask, NamesTheTextThatIsTooLongForItsLabels) {
  TextModel model(FixturePath("families/electra_nli"));
  const std::string longer = LongContext() + LongContext() + LongContext();
  const auto ask = [&](const std::vector<TextInput>& texts) {
    try {
      MakeZeroShotClassification({.candidate_labels = {"a", "b", "c"}})->Ask(model, texts);
    } catch (const Error& error) {
      return error.message().substr(0, error.message().find(" has "));
    }
    return std::string("not refused");
  };
  const std::string alone = ask({{longer, {}}});
  EXPECT_EQ(alone.find("text 1"), std::string::npos) << alone;
  EXPECT_EQ(ask({{"a cat", {}}, {longer, {}}}), "text 2: " + alone);
  EXPECT_EQ(ask({{"a cat", {}}, {longer, {}, "in.csv line 7"}}), "in.csv line 7: " + alone);
}

}  // namespace
}  // namespace mlac
