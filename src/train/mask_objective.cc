#include "train/mask_objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "autograd/bf16_training.h"
#include "base/error.h"
#include "kernels/cross_entropy.h"
#include "kernels/double_math.h"
#include "kernels/vector_ops.h"
#include "models/inference.h"
#include "train/bootstrap.h"

namespace mlac {
namespace {

constexpr double kMeasuredShare = 0.15;

// The embeddings that are the decoder, too; nullptr where the decoder has a weight of its own.
Parameter* TiedWeightOf(Model& model) {
  for (const auto& [name, other] : model.tied_weights())
    for (Parameter& parameter : model.parameters().parameters())
      if (parameter.name == other) return &parameter;
  return nullptr;
}

class MaskObjective : public Objective {
 public:
  MaskObjective(Model& model, const TokenMasker& masker, const TextsToMask& train, const TokenMasker& measuring_masker,
                const TextsToMask& validation, uint64_t seed)
      : model_(model),
        masker_(masker),
        train_(train),
        measuring_masker_(measuring_masker),
        validation_(validation),
        seed_(seed),
        tied_(TiedWeightOf(model)) {}

  size_t num_examples() const override { return train_.blocks.size(); }
  size_t num_validation_examples() const override { return validation_.blocks.size(); }

  std::string Places(std::span<const size_t> examples) const override {
    std::vector<size_t> texts;
    for (const size_t block : examples) texts.push_back(train_.blocks.texts[block]);
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
    return PlacesOf(train_.source, train_.lines, {}, texts);
  }

  // Blocks in which nothing can be guessed, of unknown words alone, are left out. Their gradients are zero, but sums of bf16 depend on the
  // place of a row among all, and whether such a block is computed would depend on the part that it is in.
  TokenBatch Begin(std::span<const size_t> examples, size_t step) override {
    TokenBatch batch;
    places_.clear();
    labels_.clear();
    for (const size_t example : examples) {
      TokenBatch block = Slice(train_.blocks.tokens, example, example + 1);
      const std::vector<MaskedToken> masked = masker_.Mask(block.token_ids, MaskingDraw(seed_, step, example));
      if (masked.empty()) continue;
      for (const MaskedToken& token : masked) {
        places_.push_back(batch.num_tokens() + token.place);
        labels_.push_back(token.token_id);
      }
      batch.token_ids.insert(batch.token_ids.end(), block.token_ids.begin(), block.token_ids.end());
      batch.token_type_ids.insert(batch.token_type_ids.end(), block.token_type_ids.begin(), block.token_type_ids.end());
      batch.offsets.push_back(batch.token_ids.size());
    }
    offsets_ = batch.offsets;
    if (tied_ != nullptr) decoder_gradient_ = Tensor::Zeros(tied_->value.shape());
    return batch;
  }

  double total_weight() const override { return static_cast<double>(std::max<size_t>(1, places_.size())); }

  void AddGradients(Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    const size_t begin = offsets_[first_sequence];
    const auto from = std::lower_bound(places_.begin(), places_.end(), begin),
               to = std::lower_bound(from, places_.end(), begin + part.num_tokens());
    std::vector<size_t> rows;
    for (auto place = from; place != to; ++place) rows.push_back(*place - begin);
    const auto labels = std::span(labels_).subspan(static_cast<size_t>(from - places_.begin()), rows.size());
    // The decoder is as wide as the vocabulary: only the rows that are guessed pass through it.
    const Tensor logits = model_.PredictTokens(run, EndOfDecoder(run, model_.EncodeRows(run, part, rows)));
    Tensor gradient = run.NewTensor(logits.shape());
    AddLosses(run, logits, labels, gradient, loss);
    SwapGradients(true);
    tape.Backward(run, logits, gradient);
    SwapGradients(false);
    if (first_sequence + part.num_sequences() + 1 == offsets_.size()) AddDecoderGradient(run);
  }

  ValidationReport Validate(Run& run, const std::function<void()>& before_batch) override {
    const Figures figures =
        MeasureMasks(MaskedLogitsOf(model_, run, before_batch), measuring_masker_, validation_, model_.vocab_size(), {.intervals = false});
    return ReportOf(figures, /*is_telling=*/true, -figures.loss.value_or(0));
  }

 private:
  // A weight that is decoder and embedding gets two sums: a chain over the masked rows, and one over all tokens. Each goes on from part to
  // part of a batch, but one after the other in one buffer they would add up in an order that the parts decide. So the decoder has a buffer
  // of its own, in place of the parameter's while the gradients of the head are computed; what flows back into the encoder's rows passes
  // this entry, which puts the parameter's back.
  Tensor EndOfDecoder(Run& run, Tensor rows) {
    if (tied_ == nullptr || rows.tape_id() == 0) return rows;
    const uint32_t id = rows.tape_id();
    run.tape()->Record(rows, [this, id](Run& run, const Tensor& gradient) {
      SwapGradients(false);
      run.tape()->Accumulate(run, id, gradient);
    });
    return rows;
  }

  void SwapGradients(bool to_decoder) {
    if (tied_ == nullptr || !tied_->trainable || swapped_ == to_decoder) return;
    std::swap(tied_->gradient, decoder_gradient_);
    swapped_ = to_decoder;
  }

  void AddDecoderGradient(Run& run) {
    if (tied_ == nullptr || !tied_->trainable) return;
    SwapGradients(true);
    FinishWeightGradient(run, *tied_);  // what still waits is the decoder's: embeddings add f32 at once
    SwapGradients(false);
    float* sum = tied_->gradient.mutable_floats().data();
    const float* summand = decoder_gradient_.floats().data();
    run.ParallelFor(decoder_gradient_.num_elements(), 4096,
                    [&](size_t begin, size_t end, size_t) { kernels::Add(sum + begin, summand + begin, sum + begin, end - begin); });
  }

  void AddLosses(Run& run, const Tensor& logits, std::span<const int32_t> labels, Tensor& gradient, double& loss) const {
    const size_t vocab_size = logits.dim(1);
    std::vector<double> losses(labels.size());
    const std::vector<float> scales(labels.size(), static_cast<float>(1 / total_weight()));
    run.ParallelFor(labels.size(), 1, [&](size_t begin, size_t end, size_t) {
      kernels::CrossEntropy(logits.floats().data() + begin * vocab_size, labels.data() + begin, end - begin, vocab_size,
                            losses.data() + begin, scales.data() + begin, gradient.mutable_floats().data() + begin * vocab_size);
    });
    for (const double each : losses) loss += each;
  }

  Model& model_;
  const TokenMasker& masker_;
  const TextsToMask& train_;
  const TokenMasker& measuring_masker_;
  const TextsToMask& validation_;
  const uint64_t seed_;
  Parameter* const tied_;
  Gradient decoder_gradient_;
  bool swapped_ = false;
  Offsets offsets_;             // of this step's batch
  std::vector<size_t> places_;  // of the tokens to guess, in the batch
  std::vector<int32_t> labels_;
};

// What a block counts.
struct BlockCount {
  double loss = 0;  // sum
  size_t num_right = 0, num_tokens = 0;
};

// texts: of each block the text that it begins with.
Figures FiguresOf(std::span<const BlockCount> counts, std::span<const size_t> texts, const MetricsOptions& options) {
  const auto sum_of = [&](std::span<const size_t> blocks) {
    BlockCount sum;
    for (const size_t b : blocks) {
      sum.loss += counts[b].loss;
      sum.num_right += counts[b].num_right;
      sum.num_tokens += counts[b].num_tokens;
    }
    return sum;
  };
  std::vector<size_t> all(counts.size());
  for (size_t b = 0; b < all.size(); ++b) all[b] = b;
  const BlockCount sum = sum_of(all);
  Figures figures;
  figures.num_examples = counts.size();
  figures.loss = Ratio(sum.loss, sum.num_tokens);
  figures.figures = {{"perplexity", "perplexity", kernels::Exp(*figures.loss)},
                     {"accuracy", "accuracy of masked tokens", Ratio(sum.num_right, sum.num_tokens)}};
  if (!options.intervals || counts.empty()) return figures;
  const std::vector<uint32_t> rows(texts.begin(), texts.end());
  RowFigure perplexity = {
      .name = "perplexity", .form = RowFigure::Form::kExpRatio, .num_units = counts.size(), .a = {}, .b = {}, .rows = rows};
  RowFigure accuracy = {.name = "accuracy", .form = RowFigure::Form::kRatio, .num_units = counts.size(), .a = {}, .b = {}, .rows = rows};
  for (const BlockCount& count : counts) {
    perplexity.a.push_back(count.loss);
    accuracy.a.push_back(static_cast<double>(count.num_right));
    accuracy.b.push_back(static_cast<double>(count.num_tokens));
  }
  perplexity.b = accuracy.b;
  figures.by_row = {std::move(perplexity), std::move(accuracy)};
  std::vector<double> losses, accuracies;
  const auto add = [&](std::span<const size_t> blocks) {
    const BlockCount sample = sum_of(blocks);
    losses.push_back(Ratio(sample.loss, sample.num_tokens));
    accuracies.push_back(Ratio(sample.num_right, sample.num_tokens));
  };
  ForEachResample(counts.size(), add, options.check_stop);
  const Interval loss = Percentiles(losses);
  figures.figures[0].interval = Interval{kernels::Exp(loss.low), kernels::Exp(loss.high)};
  figures.figures[1].interval = Percentiles(accuracies);
  return figures;
}

}  // namespace

LabelledTexts ReadTextsToMask(const std::string& path, const std::string& text_column) {
  Texts read = ReadTexts(path, text_column);
  LabelledTexts texts;
  texts.source = std::filesystem::path(path).filename().string();
  texts.label_names = {""};
  texts.notes = std::move(read.notes);
  for (size_t i = 0; i < read.texts.size(); ++i) {
    if (IsBlank(read.texts[i])) continue;
    texts.texts.push_back(std::move(read.texts[i]));
    texts.lines.push_back(read.lines[i]);
  }
  texts.labels.assign(texts.texts.size(), 0);
  texts.targets.assign(texts.texts.size(), "");
  if (texts.texts.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected texts, found only blank ones", path));
  return texts;
}

TextsToMask JoinTextsToMask(const Tokenizer& tokenizer, const LabelledTexts& texts, size_t max_length, bool line_by_line) {
  return {JoinTexts(tokenizer, texts.texts, max_length, line_by_line), texts.source, texts.lines};
}

std::unique_ptr<Objective> MakeMaskObjective(Model& model, const TokenMasker& masker, const TextsToMask& train,
                                             const TokenMasker& measuring_masker, const TextsToMask& validation, uint64_t seed) {
  return std::make_unique<MaskObjective>(model, masker, train, measuring_masker, validation, seed);
}

MaskedLogits MaskedLogitsOf(const Model& model, Run& run, const std::function<void()>& before_batch) {
  return [&model, &run, before_batch](const TokenBatch& batch, std::span<const size_t> tokens) {
    if (before_batch) before_batch();
    const Tensor logits = model.PredictTokens(run, model.EncodeRows(run, batch, tokens));
    return std::vector<float>(logits.floats().begin(), logits.floats().end());
  };
}

TokenMasker MeasuringMasker(const Tokenizer& tokenizer) { return TokenMasker(tokenizer, kMeasuredShare, /*whole_words=*/false); }

Figures MeasureMasks(const MaskedLogits& predict, const TokenMasker& masker, const TextsToMask& texts, size_t vocab_size,
                     const MetricsOptions& options) {
  const TextBlocks& blocks = texts.blocks;
  std::vector<BlockCount> counts(blocks.size());
  ForEachPart(blocks.tokens.offsets, kTokensPerEvaluationBatch, [&](size_t first, size_t last) {
    TokenBatch batch = Slice(blocks.tokens, first, last);
    std::vector<size_t> places, block_of;
    std::vector<int32_t> labels;
    for (size_t b = first; b < last; ++b) {
      const size_t begin = batch.offsets[b - first], end = batch.offsets[b - first + 1];
      for (const MaskedToken& token : masker.Mask(std::span(batch.token_ids).subspan(begin, end - begin), MeasuringDraw(b))) {
        places.push_back(begin + token.place);
        labels.push_back(token.token_id);
        block_of.push_back(b);
      }
    }
    if (places.empty()) return;
    const std::vector<float> logits = predict(batch, places);
    if (const std::optional<size_t> bad = FindRowNotFinite(logits, vocab_size))
      RefuseOverflow(
          fmt::format("the logits of {} are not finite", PlacesOf(texts.source, texts.lines, {}, std::span(&blocks.texts[block_of[*bad]], 1))));
    for (size_t i = 0; i < places.size(); ++i) {
      const auto row = std::span(logits).subspan(i * vocab_size, vocab_size);
      double loss = 0;
      kernels::CrossEntropy(row.data(), &labels[i], 1, vocab_size, &loss, nullptr, nullptr);
      BlockCount& count = counts[block_of[i]];
      count.loss += loss;
      count.num_right += std::max_element(row.begin(), row.end()) - row.begin() == labels[i];
      ++count.num_tokens;
    }
  });
  return FiguresOf(counts, blocks.texts, options);
}

}  // namespace mlac
