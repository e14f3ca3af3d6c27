#include "train/embedding_objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "kernels/vector_ops.h"
#include "models/inference.h"
#include "pipelines/text_model.h"
#include "train/ranking_metrics.h"
#include "train/regression_metrics.h"
#include "train/trainer.h"

namespace mlac {
namespace {

constexpr std::pair<EmbeddingLoss, std::string_view> kLosses[] = {{EmbeddingLoss::kMultipleNegativesRanking, "multiple-negatives-ranking"},
                                                                  {EmbeddingLoss::kCoSent, "cosent"},
                                                                  {EmbeddingLoss::kTriplet, "triplet"}};

// The vectors of some of the texts.
Tensor EmbedPart(const Model& model, const SentenceEncoder& encoder, Run& run, const TokenBatch& part, const TupleTokens& tuples) {
  return encoder(run, model, part, /*normalize=*/true, PooledFrom(part.offsets, encoder.pools_prompt() ? 0 : tuples.num_prompt_tokens));
}

class EmbeddingObjective : public Objective {
 public:
  EmbeddingObjective(Model& model, const SentenceEncoder& encoder, const TupleTokens& train, const TupleTokens& validation,
                     const EmbeddingObjectiveOptions& options)
      : model_(model),
        encoder_(encoder),
        train_(train),
        validation_(validation),
        options_(options),
        train_positives_(train),
        validation_positives_(validation) {}

  size_t num_examples() const override { return train_.size(); }
  size_t num_validation_examples() const override { return validation_.size(); }
  std::string Places(std::span<const size_t> examples) const override { return PlacesOf(train_.source, train_.lines, {}, examples); }

  TokenBatch Begin(std::span<const size_t> examples, size_t) override {
    examples_.assign(examples.begin(), examples.end());
    vectors_.assign(examples.size() * train_.columns * encoder_.embedding_size(), 0.0f);
    gradient_.clear();
    std::vector<size_t> sequences;
    for (const size_t example : examples)
      for (size_t column = 0; column < train_.columns; ++column) sequences.push_back(example * train_.columns + column);
    return GatherSequences(train_.tokens, sequences);
  }

  double total_weight() const override { return 1; }  // the loss is a batch's
  bool couples_examples() const override { return true; }

  void Observe(Run& run, const TokenBatch& part, size_t first_sequence) override { Keep(Embed(run, part), first_sequence); }

  // All vectors of the batch are known at the first part, seen now if it is the only one, else observed before: then the loss and its
  // gradient with respect to them are computed at once, and each part goes backward from its rows of it. Gao et al. 2021,
  // https://arxiv.org/abs/2101.06983.
  void AddGradients(Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    const Tensor vectors = Embed(run, part);
    if (gradient_.empty()) {
      Keep(vectors, first_sequence);
      gradient_.assign(vectors_.size(), 0.0f);
      loss += Loss(train_, train_positives_, examples_, vectors_, gradient_);
    }
    Tensor gradient = run.NewTensor(vectors.shape());
    const auto first = gradient_.begin() + static_cast<ptrdiff_t>(first_sequence * encoder_.embedding_size());
    std::copy_n(first, gradient.num_elements(), gradient.mutable_floats().begin());
    tape.Backward(run, vectors, gradient);
  }

  ValidationReport Validate(Run& run, const std::function<void()>& before_batch) override {
    const std::vector<float> vectors = EmbedTuples(model_, encoder_, run, validation_, before_batch);
    Figures figures =
        MeasureEmbeddings(vectors, encoder_.embedding_size(), validation_, run, {.intervals = false, .check_stop = before_batch});
    figures.loss = LossOfAll(vectors);
    return ReportOf(figures);
  }

 private:
  Tensor Embed(Run& run, const TokenBatch& part) const { return EmbedPart(model_, encoder_, run, part, train_); }

  void Keep(const Tensor& vectors, size_t first_sequence) {
    std::copy(vectors.floats().begin(), vectors.floats().end(),
              vectors_.begin() + static_cast<ptrdiff_t>(first_sequence * encoder_.embedding_size()));
  }

  // vectors: of the examples. gradient: added to.
  double Loss(const TupleTokens& tuples, const KnownPositives& known, std::span<const size_t> examples, std::span<const float> vectors,
              std::span<float> gradient) const {
    std::vector<std::vector<size_t>> candidates;
    std::vector<float> scores;
    if (options_.loss == EmbeddingLoss::kMultipleNegativesRanking) candidates = CandidatesOf(tuples, known, examples);
    if (options_.loss == EmbeddingLoss::kCoSent)
      for (const size_t example : examples) scores.push_back(tuples.scores[example]);
    const auto loss = [&](const EmbeddingRows& rows, std::span<float> out) {
      switch (options_.loss) {
        case EmbeddingLoss::kMultipleNegativesRanking:
          return MultipleNegativesRanking(rows, candidates, options_.scale, out);
        case EmbeddingLoss::kCoSent:
          return CoSent(rows, scores, options_.scale, out);
        case EmbeddingLoss::kTriplet:
          return TripletLoss(rows, options_.distance, options_.margin, out);
      }
      return 0.0;
    };
    const EmbeddingRows rows = {.values = vectors, .columns = tuples.columns, .size = encoder_.embedding_size()};
    return options_.matryoshka.empty() ? loss(rows, gradient) : Matryoshka(rows, options_.matryoshka, loss, gradient);
  }

  // The mean of the losses of batches of validation, in its order.
  double LossOfAll(std::span<const float> vectors) const {
    const size_t values_per_row = validation_.columns * encoder_.embedding_size();
    std::vector<float> unused;
    double sum = 0;
    size_t count = 0;
    for (size_t begin = 0; begin < validation_.size(); begin += options_.batch_size, ++count) {
      std::vector<size_t> examples;
      for (size_t i = begin; i < std::min(begin + options_.batch_size, validation_.size()); ++i) examples.push_back(i);
      unused.assign(examples.size() * values_per_row, 0.0f);
      sum += Loss(validation_, validation_positives_, examples, vectors.subspan(begin * values_per_row, unused.size()), unused);
    }
    return sum / static_cast<double>(count);
  }

  Model& model_;
  const SentenceEncoder& encoder_;
  const TupleTokens &train_, &validation_;
  const EmbeddingObjectiveOptions options_;
  const KnownPositives train_positives_, validation_positives_;
  std::vector<size_t> examples_;           // of this step
  std::vector<float> vectors_, gradient_;  // of their texts; gradient_ is empty until the loss is known
};

// What the cosines of anchors and positives rank: for each anchor its figures.
std::vector<QueryFigures> RankPositives(const EmbeddingRows& unit, const TupleTokens& tuples, Run& run,
                                        const std::function<void()>& check_stop) {
  constexpr size_t kAnchorsAtOnce = 64;  // between two calls of check_stop
  // The first row of each different anchor and positive.
  std::vector<size_t> anchors, documents;
  std::vector<bool> seen_anchor(tuples.text_ids.size()), seen_document(tuples.text_ids.size());
  for (size_t row = 0; row < tuples.size(); ++row) {
    const uint32_t anchor = tuples.id(row, 0), document = tuples.id(row, 1);
    if (!seen_anchor[anchor]) anchors.push_back(row);
    if (!seen_document[document]) documents.push_back(row);
    seen_anchor[anchor] = seen_document[document] = true;
  }
  const KnownPositives known(tuples);
  std::vector<QueryFigures> figures(anchors.size());
  std::vector<std::vector<float>> scores(run.num_threads()), gains(run.num_threads());
  const auto rank = [&](size_t i, size_t thread) {
    std::vector<float>&s = scores[thread], &g = gains[thread];
    s.resize(documents.size());
    g.resize(documents.size());
    const float* query = unit.row(anchors[i] * tuples.columns).data();
    for (size_t d = 0; d < documents.size(); ++d) {
      s[d] = kernels::Dot(query, unit.row(documents[d] * tuples.columns + 1).data(), unit.size);
      g[d] = known.Contain(tuples.id(anchors[i], 0), tuples.id(documents[d], 1)) ? 1.0f : 0.0f;
    }
    figures[i] = MeasureRanking(s, g);
    figures[i].row = static_cast<uint32_t>(anchors[i]);
  };
  for (size_t begin = 0; begin < anchors.size(); begin += kAnchorsAtOnce) {
    if (check_stop) check_stop();
    run.ParallelTasks(std::min(kAnchorsAtOnce, anchors.size() - begin), [&](size_t i, size_t thread) { rank(begin + i, thread); });
  }
  return figures;
}

Figures Correlations(const EmbeddingRows& unit, const TupleTokens& tuples, const MetricsOptions& options) {
  std::vector<float> cosines;
  for (size_t row = 0; row < unit.num_rows(); row += unit.columns)
    cosines.push_back(kernels::Dot(unit.row(row).data(), unit.row(row + 1).data(), unit.size));
  Figures all = ComputeRegressionMetrics(tuples.scores, cosines, options), kept = {.num_examples = all.num_examples, .figures = {}};
  for (const char* name : {"spearman", "pearson"})  // errors say nothing: cosines need not have the range of the scores
    for (Figure& figure : all.figures)
      if (figure.name == name) kept.figures.push_back(std::move(figure));
  for (const char* name : {"spearman", "pearson"})
    if (const RowFigure* by_row = FindByRow(all, name)) kept.by_row.push_back(*by_row);
  return kept;
}

}  // namespace

std::string_view Name(EmbeddingLoss loss) {
  for (const auto& [known, name] : kLosses)
    if (known == loss) return name;
  return "";
}

EmbeddingLoss EmbeddingLossNamed(std::string_view name) {
  for (const auto& [loss, known] : kLosses)
    if (known == name) return loss;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("there is no loss '{}'; known are multiple-negatives-ranking, cosent and triplet", name));
}

TupleTokens TokenizeTuples(const Tokenizer& tokenizer, size_t max_length, const TextTuples& tuples, const std::string& prompt) {
  TupleTokens tokens = {.tokens = {},
                        .columns = tuples.num_columns(),
                        .text_ids = {},
                        .scores = tuples.scores,
                        .source = tuples.texts.source,
                        .lines = tuples.texts.lines,
                        .num_prompt_tokens = NumPromptTokens(tokenizer, prompt, max_length)};
  TextNumbers numbers;
  for (size_t row = 0; row < tuples.size(); ++row) {
    bool cut = false;
    for (size_t column = 0; column < tokens.columns; ++column) {
      const std::string& text = tuples.text(row, column);
      const Encoding encoding = tokenizer.Encode(prompt + text, {.max_length = max_length, .truncate = true});
      if (encoding.token_ids.empty()) RefuseTextWithoutTokens(tuples.texts.Place(row));
      Append(encoding, tokens.tokens);
      tokens.text_ids.push_back(numbers.Of(text));
      cut = cut || encoding.truncated;
    }
    tokens.num_cut += cut ? 1 : 0;
  }
  return tokens;
}

KnownPositives::KnownPositives(const TupleTokens& tuples) : of_(tuples.text_ids.size()) {  // numbers are below the number of texts
  for (size_t row = 0; row < tuples.size(); ++row) of_[tuples.id(row, 0)].push_back(tuples.id(row, 1));
  for (std::vector<uint32_t>& texts : of_) {
    std::sort(texts.begin(), texts.end());
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  }
}

bool KnownPositives::Contain(uint32_t anchor, uint32_t text) const {
  return std::binary_search(of_[anchor].begin(), of_[anchor].end(), text);
}

std::vector<std::vector<size_t>> CandidatesOf(const TupleTokens& tuples, const KnownPositives& known, std::span<const size_t> examples) {
  struct Candidate {
    size_t row;
    uint32_t text;
  };
  std::vector<Candidate> all;
  std::set<uint32_t> seen;
  for (size_t column = 1; column < tuples.columns; ++column)
    for (size_t i = 0; i < examples.size(); ++i)
      if (const uint32_t text = tuples.id(examples[i], column); seen.insert(text).second)
        all.push_back({i * tuples.columns + column, text});
  std::vector<std::vector<size_t>> candidates;
  for (size_t i = 0; i < examples.size(); ++i) {
    const uint32_t anchor = tuples.id(examples[i], 0);
    std::vector<size_t>& rows = candidates.emplace_back(1, i * tuples.columns + 1);
    for (const Candidate& candidate : all)
      if (candidate.text != anchor && !known.Contain(anchor, candidate.text)) rows.push_back(candidate.row);
  }
  return candidates;
}

std::unique_ptr<Objective> MakeEmbeddingObjective(Model& model, const SentenceEncoder& encoder, const TupleTokens& train,
                                                  const TupleTokens& validation, const EmbeddingObjectiveOptions& options) {
  return std::make_unique<EmbeddingObjective>(model, encoder, train, validation, options);
}

std::vector<float> EmbedTuples(const Model& model, const SentenceEncoder& encoder, Run& run, const TupleTokens& tuples,
                               const std::function<void()>& before_batch) {
  const size_t size = encoder.embedding_size();
  std::vector<float> vectors;
  vectors.reserve(tuples.tokens.num_sequences() * size);
  ForEachPart(tuples.tokens.offsets, kTokensPerEvaluationBatch, [&](size_t begin, size_t end) {
    if (before_batch) before_batch();
    const TokenBatch batch = Slice(tuples.tokens, begin, end);
    const Tensor part = EmbedPart(model, encoder, run, batch, tuples);
    const std::span<const float> values = part.floats();
    if (const std::optional<size_t> bad = FindRowNotFinite(values, size)) {
      const size_t row = (begin + *bad) / tuples.columns;
      RefuseOverflow(fmt::format("the embedding of {} is not finite; {}", PlacesOf(tuples.source, tuples.lines, {}, std::span(&row, 1)),
                                 LargestWeight(model)));
    }
    vectors.insert(vectors.end(), values.begin(), values.end());
  });
  return vectors;
}

Figures MeasureEmbeddings(std::span<const float> vectors, size_t size, const TupleTokens& tuples, Run& run, const MetricsOptions& options) {
  const std::vector<float> normalized = NormalizedRows({.values = vectors, .columns = tuples.columns, .size = size});
  const EmbeddingRows unit = {.values = normalized, .columns = tuples.columns, .size = size};
  if (!tuples.scores.empty()) return Correlations(unit, tuples, options);
  Figures figures = ComputeRankingMetrics(RankPositives(unit, tuples, run, options.check_stop), options);
  figures.num_examples = tuples.size();
  if (tuples.columns < 3) return figures;
  std::vector<double> is_right;
  for (size_t anchor = 0; anchor < unit.num_rows(); anchor += tuples.columns) {
    const auto cosine = [&](size_t row) { return kernels::Dot(unit.row(anchor).data(), unit.row(row).data(), size); };
    is_right.push_back(cosine(anchor + 1) > cosine(anchor + 2) ? 1 : 0);
  }
  const auto num_right = static_cast<size_t>(std::count(is_right.begin(), is_right.end(), 1.0));
  Figure accuracy = {"accuracy", "accuracy of triples", static_cast<double>(num_right) / static_cast<double>(tuples.size())};
  if (options.intervals) {
    accuracy.interval = WilsonInterval(num_right, tuples.size());
    figures.by_row.push_back({.name = "accuracy",
                              .form = RowFigure::Form::kRatio,
                              .num_units = tuples.size(),
                              .a = is_right,
                              .b = std::vector<double>(tuples.size(), 1)});
  }
  figures.figures.push_back(std::move(accuracy));
  return figures;
}

}  // namespace mlac
