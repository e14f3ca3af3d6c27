#pragma once
// Sentence embeddings: texts that belong together are to have near vectors.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/sentence_encoder.h"
#include "text/tokenizer.h"
#include "train/embedding_losses.h"
#include "train/figures.h"
#include "train/objective.h"
#include "train/text_tuples.h"

namespace mlac {

enum class EmbeddingLoss {
  kMultipleNegativesRanking,  // of pairs and triples
  kCoSent,                    // of scored pairs
  kTriplet,                   // of triples
};
// "multiple-negatives-ranking", "cosent", "triplet".
std::string_view Name(EmbeddingLoss loss);
// Throws kInvalidArgument for another name.
EmbeddingLoss EmbeddingLossNamed(std::string_view name);

struct EmbeddingObjectiveOptions {
  EmbeddingLoss loss = EmbeddingLoss::kMultipleNegativesRanking;
  double scale = 20;  // what cosines are multiplied by
  double margin = 5;  // of kTriplet, likewise:
  EmbeddingDistance distance = EmbeddingDistance::kEuclidean;
  std::vector<size_t> matryoshka = {};  // the loss is summed over vectors cut to these sizes; empty: whole vectors
  size_t batch_size = 32;               // of the loss of validation
};

// Rows of texts as tokens.
struct TupleTokens {
  TokenBatch tokens;  // column c of row r is sequence r * columns + c
  size_t columns = 2;
  std::vector<uint32_t> text_ids;  // [rows, columns]: equal where the texts are
  std::vector<float> scores;       // of scored pairs; else empty
  size_t num_cut = 0;              // rows with a text that was longer than max_length
  std::string source;
  std::vector<size_t> lines;
  size_t num_prompt_tokens = 0;  // with which each text begins (NumPromptTokens); an encoder may not count them

  size_t size() const { return text_ids.size() / columns; }
  uint32_t id(size_t row, size_t column) const { return text_ids[row * columns + column]; }
};
// prompt: put before each text.
TupleTokens TokenizeTuples(const Tokenizer& tokenizer, size_t max_length, const TextTuples& tuples, const std::string& prompt = "");

// Which texts are positives of an anchor, by numbers, in a whole part of the data.
class KnownPositives {
 public:
  explicit KnownPositives(const TupleTokens& tuples);
  bool Contain(uint32_t anchor, uint32_t text) const;

 private:
  std::vector<std::vector<uint32_t>> of_;  // by anchor, sorted
};

// The rows of a batch that each of `examples` is compared with, its positive first: the positives and negatives of all examples, each text
// once, without those that are a positive of the anchor in any row, or the anchor itself. So what is known to belong to an anchor is never
// taken as a negative, whatever stands in its batch, and a batch has the examples that the shuffle gave it.
std::vector<std::vector<size_t>> CandidatesOf(const TupleTokens& tuples, const KnownPositives& known, std::span<const size_t> examples);

// All outlive the objective.
std::unique_ptr<Objective> MakeEmbeddingObjective(Model& model, const SentenceEncoder& encoder, const TupleTokens& train,
                                                  const TupleTokens& validation, const EmbeddingObjectiveOptions& options);

// [rows, columns, embedding_size], in batches of some thousand tokens; before_batch, if any, is called before each and may throw. Throws
// kInvalidInput for numbers that are not finite, naming the row.
std::vector<float> EmbedTuples(const Model& model, const SentenceEncoder& encoder, Run& run, const TupleTokens& tuples,
                               const std::function<void()>& before_batch = nullptr);

// vectors: of the rows' texts, as EmbedTuples gives them. Of scored pairs "spearman" and "pearson", the correlations of cosines and scores.
// Of pairs and triples ComputeRankingMetrics' figures: for each different anchor all different positives are ranked by cosine, its own are
// relevant; of triples "accuracy" behind: the share with the positive nearer than the negative.
Figures MeasureEmbeddings(std::span<const float> vectors, size_t size, const TupleTokens& tuples, Run& run,
                          const MetricsOptions& options = {});

}  // namespace mlac
