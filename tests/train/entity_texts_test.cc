// Entities as spans of characters: to tags of words, and the faults of such data.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "train/tagged_texts.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::FixturePath;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> Shown(const TaggedTexts& data, size_t text = 0) {
  std::vector<std::string> words;
  for (const TaggedWord& word : data.words[text])
    words.push_back(data.texts.texts[text].substr(word.begin, word.end - word.begin) + "/" + word.tag);
  return words;
}

TaggedTexts Read(const std::string& content) {
  const test::TemporaryFolder folder;
  return ReadTaggedTexts(folder.Write("a.jsonl", content));
}

TEST(EntityTexts, BecomeTagsOfWordsInEverySpelling) {
  for (
      const std::string entities :
      {R"("entities": [{"start": 5, "end": 16, "label": "PER"}, {"start": 20, "end": 26, "label": "LOC"}])",
       R"("label": [[20, 26, "LOC"], [5, 16, "PER"]])",
       R"("spans": [{"start": 5, "end": 16, "label": "PER", "token_start": 0}, {"start": 20, "end": 26, "label": "LOC"}], "tokens": [{"text": "M\u00fcl"}])",
       R"("entities": [], "labels": [[5, 16, "PER"], [5, 16, "PER"], [20, 26, "LOC"]])"}) {
    SCOPED_TRACE(entities);
    const TaggedTexts data = Read(R"({"id": 1, "text": "\u201cDr. Anna M\u00fcller in Berlin.", )" + entities + "}\n");
    EXPECT_THAT(Shown(data), ElementsAre("\u201c/O", "Dr/O", "./O", "Anna/B-PER", "M\u00fcller/I-PER", "in/O", "Berlin/B-LOC", "./O"));
  }
}

TEST(EntityTexts, KnowBothTagsOfALabelAndTextsWithoutEntities) {
  const TaggedTexts data = Read(
      "{\"text\": \"the cat\", \"entities\": [{\"start\": 4, \"end\": 7, \"label\": \"ANIMAL\"}]}\n\n{\"text\": \"a dog\"}\n{\"text\": \" "
      "\"}\n");
  EXPECT_THAT(Shown(data), ElementsAre("the/O", "cat/B-ANIMAL"));
  EXPECT_THAT(Shown(data, 1), ElementsAre("a/O", "dog/O"));
  EXPECT_THAT(data.texts.lines, ElementsAre(1, 3));
  EXPECT_THAT(TagsOf(data), ElementsAre("O", "B-ANIMAL", "I-ANIMAL"));
  const size_t row = 1;
  EXPECT_THAT(TagsOf(Subset(data, std::span(&row, 1))), ElementsAre("O", "B-ANIMAL", "I-ANIMAL"));
}

TEST(EntityTexts, CutWordsThatTheyBeginOrEndIn) {
  EXPECT_THAT(Shown(Read(R"({"text": "unBerliner", "label": [[2, 8, "LOC"]]})")), ElementsAre("un/O", "Berlin/B-LOC", "er/O"));
}

TEST(EntityTexts, ThatTouchAreTwo) {
  EXPECT_THAT(Shown(Read(R"({"text": "catdog -x", "label": [[0, 3, "A"], [3, 6, "A"], [6, 8, "B"]]})")),
              ElementsAre("cat/B-A", "dog/B-A", "-/B-B", "x/O"));
}

TEST(EntityTexts, AreRefusedWithTheirLine) {
  const test::TemporaryFolder folder;
  const auto refused = [&](const std::string& row, const std::string& message) {
    const std::string path = folder.Write("a.jsonl", "{\"text\": \"x\"}\n" + row + "\n");
    ExpectError(ErrorCode::kInvalidInput, path + ": line 2: " + message, [&] { ReadTaggedTexts(path); });
  };
  refused(R"({"text": "the cat", "entities": [{"start": 0, "end": 5, "label": "A"}, {"start": 4, "end": 7, "label": "B"}]})",
          "entities [0, 5) 'A' and [4, 7) 'B' overlap");
  refused(R"({"text": "the cat", "label": [[0, 3, "A"], [0, 3, "B"]]})", "entities [0, 3) 'A' and [0, 3) 'B' overlap");
  refused(R"({"text": "\u00e9\u00e9\u00e9", "label": [[0, 4, "A"]]})", "entity 1: [0, 4) is beyond the text, which has 3 characters");
  refused(R"({"text": "the cat", "label": [[4, 7, "A"], [2, 2, "A"]]})", "entity 2: [2, 2) is empty");
  refused(R"({"text": "the cat", "label": [[3, 4, "A"]]})", "entity [3, 4) 'A' is of white space alone");
  refused(R"({"text": "the cat", "label": [[0, -1, "A"]]})", "entity 1: expected a whole number from 0 as start and end, found -1");
  refused(R"({"text": "the cat", "label": [[0, 3]]})",
          R"(entity 1: expected {"start", "end", "label"} or [start, end, label], found [0,3])");
  refused(R"({"text": "the cat", "label": [[0, 3, ""]]})", "entity 1: expected a name as label, found \"\"");
  refused(R"({"text": "the cat", "label": "A"})", "expected a list under 'label', found string");
  refused(R"({"text": "the cat", "label": [[0, 3, "A"]], "entities": [[0, 3, "A"]]})",
          "has two lists of entities, one of them under 'label'");
  refused(R"({"text": 1})", "expected an object with a string under 'text'");
}

TEST(EntityTexts, SayWhereATokenIsTorn) {
  const Tokenizer tokenizer = Tokenizer::Load(FixturePath("models/classifier"));
  const TaggedTexts data =
      Read("{\"text\": \"the cat\", \"label\": [[4, 7, \"A\"]]}\n{\"text\": \"the cat\", \"label\": [[4, 6, \"A\"]]}\n");
  const TaggedTokens tokens = AlignTags(tokenizer, 64, data, TagsOf(data));
  EXPECT_THAT(tokens.torn, ElementsAre(1));
  const std::vector<Finding> findings = CheckTags(tokens, "train");
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(FindingLine(findings[0]),
            "warning: train: 1 text with an entity that begins or ends within a token, which has the tag of what it begins with (a.jsonl "
            "line 2)");
}

// A word of characters that the tokenizer drops has no token: what is said of the words behind it must not move to the one before.
TEST(MeasureTokens, KeepsWordsInPlaceBehindOneWithoutAToken) {
  const Tokenizer tokenizer = Tokenizer::Load(FixturePath("models/classifier"));
  const test::TemporaryFolder folder;
  const TaggedTexts data = ReadTaggedTexts(folder.Write("a.conll", "the O\n\u200b O\ncat B-A\n"));
  const std::vector<std::string> names = {"O", "B-A"};
  const TaggedTokens tokens = AlignTags(tokenizer, 64, data, names);
  EXPECT_THAT(tokens.words, ElementsAre(0, 2));
  std::vector<float> logits;
  for (const int32_t label : tokens.labels) {
    logits.push_back(label == 1 ? 0.0f : 1.0f);
    logits.push_back(label == 1 ? 1.0f : 0.0f);
  }
  const Figures figures = MeasureTokens(logits, tokens, names, {.intervals = false});
  EXPECT_EQ(figures.figures.front().value, 1) << "all that was predicted is right";
}

}  // namespace
}  // namespace mlac
