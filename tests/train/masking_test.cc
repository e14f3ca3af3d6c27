// Masked language modelling: which tokens are taken out, how texts become blocks, and that the decoder and the embeddings, one weight, get
// the sum of both gradients in any parts of a batch.
#include "train/masking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "models/model_folder.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "train/mask_objective.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::FixturePath;
using test::SameBits;
using testing::ElementsAre;
using testing::IsEmpty;

const Tokenizer& TheTokenizer() {
  static const Tokenizer tokenizer = Tokenizer::Load(FixturePath("models/masked_lm"));
  return tokenizer;
}

std::vector<int32_t> Ids(const std::string& text) { return TheTokenizer().Encode(text).token_ids; }

std::vector<size_t> PlacesOfMasks(const std::vector<MaskedToken>& masked) {
  std::vector<size_t> places;
  for (const MaskedToken& token : masked) places.push_back(token.place);
  return places;
}

TEST(TokenMasker, TakesItsShareOfTheTokensThatAreNotSpecial) {
  std::string text;
  for (int i = 0; i < 98; ++i) text += "cat ";
  text += "\u4e2d";  // [UNK] teaches nothing
  const std::vector<int32_t> ids = Ids(text);
  const TokenMasker masker(TheTokenizer(), 0.15, /*whole_words=*/false);
  size_t num_masks = 0, num_kept = 0, num_other = 0;
  std::set<size_t> places;
  for (size_t example = 0; example < 200; ++example) {
    std::vector<int32_t> changed = ids;
    const std::vector<MaskedToken> masked = masker.Mask(changed, MaskingDraw(1, 2, example));
    ASSERT_EQ(masked.size(), 15u);  // of 98, rounded
    for (const MaskedToken& token : masked) {
      ASSERT_TRUE(token.place >= 1 && token.place <= 98);
      ASSERT_EQ(token.token_id, ids[token.place]);
      places.insert(token.place);
      const int32_t found = changed[token.place];
      found == TheTokenizer().special_ids().mask ? ++num_masks : found == ids[token.place] ? ++num_kept : ++num_other;
      changed[token.place] = ids[token.place];
    }
    EXPECT_EQ(changed, ids) << "only what is to be guessed changes";
  }
  EXPECT_EQ(places.size(), 98u);
  EXPECT_NEAR(static_cast<double>(num_masks) / 3000, 0.8, 0.03);
  EXPECT_NEAR(static_cast<double>(num_kept) / 3000, 0.1, 0.02);
  EXPECT_NEAR(static_cast<double>(num_other) / 3000, 0.1, 0.02);
}

TEST(TokenMasker, TakesOneTokenAtLeastWhereThereIsOne) {
  const TokenMasker masker(TheTokenizer(), 0.01, false);
  std::vector<int32_t> one = Ids("cat dog"), none = Ids("\u4e2d");
  EXPECT_EQ(masker.Mask(one, MaskingDraw(0, 0, 0)).size(), 1u);
  EXPECT_THAT(masker.Mask(none, MaskingDraw(0, 0, 0)), IsEmpty());
}

TEST(TokenMasker, TakesWholeWordsOrNothingOfThem) {
  const std::string text = "xyz cat waterlight dog xyz small large people";
  const std::vector<int32_t> ids = Ids(text);
  std::vector<std::pair<size_t, size_t>> words;  // tokens of each word, [CLS] and [SEP] left out
  for (size_t t = 1; t + 1 < ids.size(); ++t) {
    if (!TheTokenizer().ContinuesWord(ids[t])) words.emplace_back(t, t);
    words.back().second = t + 1;
  }
  ASSERT_LT(words.size(), ids.size() - 2) << "some word has several tokens";
  const TokenMasker masker(TheTokenizer(), 0.4, /*whole_words=*/true);
  const size_t wanted = static_cast<size_t>(std::floor(0.4 * static_cast<double>(ids.size() - 2) + 0.5));
  for (size_t example = 0; example < 100; ++example) {
    std::vector<int32_t> changed = ids;
    const std::vector<size_t> places = PlacesOfMasks(masker.Mask(changed, MaskingDraw(1, 0, example)));
    EXPECT_TRUE(std::is_sorted(places.begin(), places.end()));
    EXPECT_LE(places.size(), std::max<size_t>(wanted, 10));
    for (const auto& [begin, end] : words) {
      const auto count = std::count_if(places.begin(), places.end(), [&](size_t place) { return place >= begin && place < end; });
      EXPECT_TRUE(count == 0 || count == static_cast<ptrdiff_t>(end - begin)) << "example " << example << ", word at " << begin;
    }
  }
}

TEST(TokenMasker, DrawsFromSeedStepAndExampleAlone) {
  const std::vector<int32_t> ids = Ids("the cat and the dog of the night and the people of this small train");
  const TokenMasker masker(TheTokenizer(), 0.3, false);
  const auto draw = [&](Random random) {
    std::vector<int32_t> changed = ids;
    masker.Mask(changed, random);
    return changed;
  };
  EXPECT_EQ(draw(MaskingDraw(1, 2, 3)), draw(MaskingDraw(1, 2, 3)));
  EXPECT_NE(draw(MaskingDraw(1, 2, 3)), draw(MaskingDraw(2, 2, 3)));
  EXPECT_NE(draw(MaskingDraw(1, 2, 3)), draw(MaskingDraw(1, 3, 3)));
  EXPECT_NE(draw(MaskingDraw(1, 2, 3)), draw(MaskingDraw(1, 2, 4)));
  EXPECT_EQ(draw(MeasuringDraw(3)), draw(MeasuringDraw(3)));
}

TEST(TokenMasker, RefusesWhatCannotBe) {
  ExpectError(ErrorCode::kInvalidArgument, "expected a share of tokens to mask between 0 and 1, found 1",
              [] { TokenMasker(TheTokenizer(), 1, false); });
  ExpectError(ErrorCode::kInvalidArgument, "expected a share of tokens to mask between 0 and 1, found nan",
              [] { TokenMasker(TheTokenizer(), std::nan(""), false); });
}

std::vector<std::string> Decoded(const TextBlocks& blocks) {
  std::vector<std::string> texts;
  for (size_t b = 0; b < blocks.size(); ++b)
    texts.push_back(TheTokenizer().Decode(
        std::span(blocks.tokens.token_ids).subspan(blocks.tokens.offsets[b], blocks.tokens.offsets[b + 1] - blocks.tokens.offsets[b]),
        /*skip_special_tokens=*/false));
  return texts;
}

TEST(JoinTexts, FillsBlocksAndLosesNothing) {
  const std::vector<std::string> texts = {"the cat", "", "a dog is red", "night"};
  EXPECT_THAT(Decoded(JoinTexts(TheTokenizer(), texts, 64, false)), ElementsAre("[CLS] the cat [SEP] a dog is red [SEP] night [SEP]"));
  const TextBlocks cut = JoinTexts(TheTokenizer(), texts, 7, false);  // room for 5
  EXPECT_THAT(Decoded(cut), ElementsAre("[CLS] the cat [SEP] a dog [SEP]", "[CLS] is red [SEP] night [SEP]"));
  EXPECT_THAT(cut.texts, ElementsAre(0, 2));
  // A separator that would end a block is left out: the block has one of its own.
  EXPECT_THAT(Decoded(JoinTexts(TheTokenizer(), texts, 5, false)),
              ElementsAre("[CLS] the cat [SEP]", "[CLS] a dog is [SEP]", "[CLS] red [SEP] night [SEP]"));
  EXPECT_THAT(Decoded(JoinTexts(TheTokenizer(), texts, 5, true)),
              ElementsAre("[CLS] the cat [SEP]", "[CLS] a dog is [SEP]", "[CLS] red [SEP]", "[CLS] night [SEP]"));
  ExpectError(ErrorCode::kInvalidArgument, "blocks of 2 tokens leave no room beside 2 special ones",
              [&] { JoinTexts(TheTokenizer(), texts, 2, false); });
}

// A model and three blocks, of which gradients are computed in the given parts.
struct MaskedRun {
  explicit MaskedRun(const std::string& name) : folder(FixturePath(name)) {
    for (Parameter& parameter : model->parameters().parameters()) {
      parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
      parameter.trainable = true;
    }
  }

  // The weight that is the decoder, too.
  Parameter* Tied() {
    for (Parameter& parameter : model->parameters().parameters())
      if (!model->tied_weights().empty() && parameter.name == model->tied_weights().front().second) return &parameter;
    return nullptr;
  }

  double Step(size_t sequences_at_once) {
    for (Parameter& parameter : model->parameters().parameters()) parameter.gradient = Tensor::Zeros(parameter.value.shape());
    Tape tape;
    Run run({.team = nullptr, .tape = &tape});
    const std::vector<size_t> examples = {2, 0, 1};
    const TokenBatch batch = objective->Begin(examples, /*step=*/5);
    double loss = 0;
    for (size_t first = 0; first < 3; first += sequences_at_once) {
      const std::vector<size_t> rows = sequences_at_once == 3 ? std::vector<size_t>{0, 1, 2} : std::vector<size_t>{first};
      objective->AddGradients(run, tape, GatherSequences(batch, rows), first, loss);
    }
    return loss / objective->total_weight();
  }

  std::vector<float> Gradients() {
    std::vector<float> all;
    for (const Parameter& parameter : model->parameters().parameters())
      all.insert(all.end(), parameter.gradient.floats().begin(), parameter.gradient.floats().end());
    return all;
  }

  std::string folder;
  Tokenizer tokenizer = Tokenizer::Load(folder);
  std::unique_ptr<Model> model = OpenModel(folder, HeadRequest{.head = Head::kMaskedLanguageModel});
  TokenMasker masker{tokenizer, 0.4, false};
  TextsToMask texts = {
      JoinTexts(tokenizer, std::vector<std::string>{"the cat and the dog", "a red night", "people of the small train"}, 64, true),
      "a.txt",
      {1, 2, 3}};
  std::unique_ptr<Objective> objective = MakeMaskObjective(*model, masker, texts, masker, texts, /*seed=*/3);
};

constexpr const char* kFolders[] = {"models/masked_lm", "models/masked_lm_untied", "families/distilbert_masked_lm",
                                    "families/electra_masked_lm", "families/mpnet_masked_lm"};

TEST(MaskObjective, GivesTheTiedWeightTheGradientOfBothItsUses) {
  for (const char* folder : kFolders) {
    SCOPED_TRACE(folder);
    MaskedRun run(folder);
    Parameter* const tied = run.Tied();
    ASSERT_EQ(tied == nullptr, std::string(folder).ends_with("untied"));
    if (tied == nullptr) continue;
    run.Step(3);
    const std::vector<float> gradient(tied->gradient.floats().begin(), tied->gradient.floats().end());
    size_t num_checked = 0;
    for (size_t i = 0; i < gradient.size(); i += 97) {
      constexpr float kStep = 1e-2f;
      float& value = tied->value.mutable_floats()[i];
      const float kept = value;
      value = kept + kStep;
      const double above = run.Step(3);
      value = kept - kStep;
      const double below = run.Step(3);
      value = kept;
      const double expected = (above - below) / (2.0 * kStep);
      EXPECT_NEAR(gradient[i], expected, 2e-3 * std::max(1.0, std::fabs(expected))) << "element " << i;
      num_checked += gradient[i] != 0;
    }
    EXPECT_GT(num_checked, 20u);
  }
}

TEST(MaskObjective, GivesTheSameBitsInPartsOfABatch) {
  for (const char* folder : kFolders) {
    SCOPED_TRACE(folder);
    MaskedRun run(folder);
    const double whole = run.Step(3);
    const std::vector<float> expected = run.Gradients();
    EXPECT_EQ(run.Step(1), whole);
    EXPECT_TRUE(SameBits(run.Gradients(), expected));
  }
}

TEST(MeasureMasks, CountsWhatIsGuessedAndNamesWhatIsNotFinite) {
  const TextsToMask texts = {
      JoinTexts(TheTokenizer(), std::vector<std::string>{"cat cat cat", "dog dog", "cat"}, 64, true), "a.txt", {1, 5, 9}};
  const size_t vocab_size = 144;
  const auto always_cat = [&](const TokenBatch&, std::span<const size_t> tokens) {
    std::vector<float> logits(tokens.size() * vocab_size, 0.0f);
    for (size_t i = 0; i < tokens.size(); ++i)
      logits[i * vocab_size + static_cast<size_t>(TheTokenizer().FindToken("cat"))] = std::log(143.0f);
    return logits;
  };
  const Figures figures = MeasureMasks(always_cat, MeasuringMasker(TheTokenizer()), texts, vocab_size);
  EXPECT_EQ(figures.num_examples, 3u);
  EXPECT_DOUBLE_EQ(figures.figures[1].value, 2.0 / 3);  // one token a block
  // "cat" has probability 1/2, "dog" 1/286.
  EXPECT_NEAR(*figures.loss, (2 * std::log(2.0) + std::log(286.0)) / 3, 1e-6);
  EXPECT_NEAR(figures.figures[0].value, std::exp(*figures.loss), 1e-9);
  EXPECT_LE(figures.figures[0].interval->low, figures.figures[0].value);
  const TextsToMask longer = {
      JoinTexts(TheTokenizer(), std::vector<std::string>{"cat", "cat cat cat cat cat", "dog"}, 5, true), "a.txt", {1, 5, 9}};
  const Figures of_blocks = MeasureMasks(always_cat, MeasuringMasker(TheTokenizer()), longer, vocab_size);
  ASSERT_EQ(of_blocks.by_row.size(), 2u);
  for (const RowFigure& figure : of_blocks.by_row) EXPECT_EQ(figure.rows, (std::vector<uint32_t>{0, 1, 1, 2})) << figure.name;
  const auto nan = [&](const TokenBatch&, std::span<const size_t> tokens) { return std::vector<float>(tokens.size() * vocab_size, NAN); };
  ExpectError(ErrorCode::kInvalidInput, "the logits of a.txt line 1 are not finite",
              [&] { MeasureMasks(nan, MeasuringMasker(TheTokenizer()), texts, vocab_size); });
}

}  // namespace
}  // namespace mlac
