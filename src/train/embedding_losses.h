#pragma once
// What sentence embeddings learn by: losses over the vectors of a batch, with their gradients, by the names and defaults of
// sentence-transformers. An example is two texts (anchor and positive, or two sentences) or three (a negative behind): rows of vectors,
// those of an example together. All functions add the gradient of the loss to `gradient`, of the size of the vectors. One thread, one order
// of sums: the same bits everywhere.
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace mlac {

// [examples, columns, size]
struct EmbeddingRows {
  std::span<const float> values;
  size_t columns = 2, size = 0;

  size_t num_rows() const { return values.size() / size; }
  size_t num_examples() const { return num_rows() / columns; }
  std::span<const float> row(size_t i) const { return values.subspan(i * size, size); }
};

enum class EmbeddingDistance { kEuclidean, kCosine };  // kCosine: 1 less the cosine

// Cross-entropy of the anchor's cosines with its candidates, times scale: van den Oord et al. 2018, https://arxiv.org/abs/1807.03748; the
// mean over the examples. candidates: rows for each example, its positive first.
double MultipleNegativesRanking(const EmbeddingRows& vectors, std::span<const std::vector<size_t>> candidates, double scale,
                                std::span<float> gradient);

// log(1 + the sum of exp(scale (s_i - s_j)) over pairs with score i < score j), s the cosine of a pair: Huang et al. 2024,
// https://doi.org/10.1109/TASLP.2024.3402087. scores: one an example.
double CoSent(const EmbeddingRows& vectors, std::span<const float> scores, double scale, std::span<float> gradient);

// max(0, d(anchor, positive) - d(anchor, negative) + margin), the mean over the examples. The gradient of a Euclidean distance of 0 is
// taken as 0.
double TripletLoss(const EmbeddingRows& vectors, EmbeddingDistance distance, double margin, std::span<float> gradient);

// The sum of `loss` over vectors cut to each of `sizes` and normalised: Kusupati et al. 2022, https://arxiv.org/abs/2205.13147. No size is
// above the vectors' (asserted).
double Matryoshka(const EmbeddingRows& vectors, std::span<const size_t> sizes,
                  const std::function<double(const EmbeddingRows& vectors, std::span<float> gradient)>& loss, std::span<float> gradient);

// Each row divided by its length, at least 1e-12.
std::vector<float> NormalizedRows(const EmbeddingRows& vectors);

}  // namespace mlac
