#include "train/masking.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace mlac {
namespace {

// Apart from what else is drawn under the seed: the shuffles, dropout and the split.
constexpr uint64_t kTrainingDraw = 0x6D61736B00000000, kMeasuringDraw = 0x6D61736B6D656173;  // "mask", "maskmeas"

constexpr float kMasked = 0.8f, kMaskedOrReplaced = 0.9f;

// What the post-processor puts around a text.
struct Frame {
  std::vector<int32_t> begin, end;
};

Frame FrameOf(const Tokenizer& tokenizer) {
  const Encoding empty = tokenizer.Encode("a");
  Frame frame;
  size_t t = 0;
  for (; t < empty.token_ids.size() && empty.special_tokens_mask[t]; ++t) frame.begin.push_back(empty.token_ids[t]);
  for (; t < empty.token_ids.size(); ++t)
    if (empty.special_tokens_mask[t]) frame.end.push_back(empty.token_ids[t]);
  return frame;
}

class BlockBuilder {
 public:
  BlockBuilder(const Tokenizer& tokenizer, size_t max_length) : frame_(FrameOf(tokenizer)) {
    const size_t around = frame_.begin.size() + frame_.end.size();
    if (max_length <= around)
      throw Error(ErrorCode::kInvalidArgument, fmt::format("blocks of {} tokens leave no room beside {} special ones", max_length, around));
    room_ = max_length - around;
  }

  void Add(std::span<const int32_t> tokens, size_t text) {
    if (tokens.empty()) return;
    if (!block_.empty()) {
      if (block_.size() + frame_.end.size() < room_)
        block_.insert(block_.end(), frame_.end.begin(), frame_.end.end());
      else
        EndBlock();
    }
    for (size_t begin = 0; begin < tokens.size();) {
      if (block_.empty()) first_text_ = text;
      const size_t count = std::min(room_ - block_.size(), tokens.size() - begin);
      block_.insert(block_.end(), tokens.begin() + static_cast<ptrdiff_t>(begin), tokens.begin() + static_cast<ptrdiff_t>(begin + count));
      begin += count;
      if (block_.size() == room_) EndBlock();
    }
  }

  void EndBlock() {
    if (block_.empty()) return;
    TokenBatch& tokens = blocks_.tokens;
    for (const std::vector<int32_t>* piece : {&frame_.begin, &block_, &frame_.end})
      tokens.token_ids.insert(tokens.token_ids.end(), piece->begin(), piece->end());
    tokens.token_type_ids.resize(tokens.token_ids.size());
    tokens.offsets.push_back(tokens.token_ids.size());
    blocks_.texts.push_back(first_text_);
    block_.clear();
  }

  TextBlocks Finish() {
    EndBlock();
    return std::move(blocks_);
  }

 private:
  Frame frame_;
  size_t room_ = 0, first_text_ = 0;
  std::vector<int32_t> block_;
  TextBlocks blocks_;
};

}  // namespace

TokenMasker::TokenMasker(const Tokenizer& tokenizer, double probability, bool whole_words)
    : tokenizer_(tokenizer), probability_(probability), whole_words_(whole_words) {
  if (tokenizer.special_ids().mask < 0)
    throw Error(ErrorCode::kUnsupported, "the tokenizer has no mask token", "take a model whose tokenizer has one, such as [MASK]");
  if (!(probability > 0 && probability < 1))
    throw Error(ErrorCode::kInvalidArgument, fmt::format("expected a share of tokens to mask between 0 and 1, found {}", probability));
  for (int32_t id = 0; id <= tokenizer.largest_id(); ++id)
    if (tokenizer.TokenOf(id).data() != nullptr && CanBeGuessed(id)) replacements_.push_back(id);
}

bool TokenMasker::CanBeGuessed(int32_t token_id) const {
  const SpecialTokenIds& special = tokenizer_.special_ids();
  return token_id != special.cls && token_id != special.sep && token_id != special.pad && token_id != special.mask &&
         token_id != special.unk;
}

std::vector<MaskedToken> TokenMasker::Mask(std::span<int32_t> token_ids, Random random) const {
  struct Word {
    size_t begin = 0, end = 0;
  };
  std::vector<Word> words;  // or single tokens
  size_t num_tokens = 0;
  for (size_t t = 0; t < token_ids.size(); ++t) {
    if (!CanBeGuessed(token_ids[t])) continue;
    ++num_tokens;
    if (whole_words_ && !words.empty() && words.back().end == t && tokenizer_.ContinuesWord(token_ids[t]))
      words.back().end = t + 1;
    else
      words.push_back({t, t + 1});
  }
  const auto wanted = static_cast<size_t>(std::floor(probability_ * static_cast<double>(num_tokens) + 0.5));
  Shuffle(std::span(words), random);
  std::vector<MaskedToken> masked;
  for (const Word& word : words) {
    if (!masked.empty() && masked.size() + (word.end - word.begin) > wanted) continue;
    for (size_t t = word.begin; t < word.end; ++t) masked.push_back({t, token_ids[t]});
  }
  std::sort(masked.begin(), masked.end(), [](const MaskedToken& a, const MaskedToken& b) { return a.place < b.place; });
  for (const MaskedToken& token : masked) {
    const float draw = random.Uniform();
    if (draw < kMasked)
      token_ids[token.place] = tokenizer_.special_ids().mask;
    else if (draw < kMaskedOrReplaced)
      token_ids[token.place] = replacements_[random.Below(replacements_.size())];
  }
  return masked;
}

Random MaskingDraw(uint64_t seed, size_t step, size_t example) { return Random(seed ^ kTrainingDraw, uint64_t{step} << 32 | example); }

Random MeasuringDraw(size_t example) { return Random(kMeasuringDraw, example); }

TextBlocks JoinTexts(const Tokenizer& tokenizer, std::span<const std::string> texts, size_t max_length, bool line_by_line) {
  BlockBuilder blocks(tokenizer, max_length);
  for (size_t i = 0; i < texts.size(); ++i) {
    blocks.Add(tokenizer.Encode(texts[i], {.add_special_tokens = false}).token_ids, i);
    if (line_by_line) blocks.EndBlock();
  }
  return blocks.Finish();
}

}  // namespace mlac
