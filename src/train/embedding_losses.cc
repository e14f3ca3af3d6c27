#include "train/embedding_losses.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>

#include "kernels/cross_entropy.h"
#include "kernels/vector_ops.h"

namespace mlac {
namespace {

constexpr float kSmallestNorm = 1e-12f;  // as torch.nn.functional.normalize has it

// to += factor * from
void AddScaled(std::span<const float> from, float factor, std::span<float> to) {
  for (size_t i = 0; i < to.size(); ++i) to[i] += factor * from[i];
}

// Rows of length 1, and how a gradient of them becomes one of the rows that they were made from.
class Normalized {
 public:
  explicit Normalized(const EmbeddingRows& vectors)
      : size_(vectors.size), values_(vectors.values.size()), gradient_(vectors.values.size()) {
    for (size_t i = 0; i < vectors.num_rows(); ++i) {
      const std::span<const float> from = vectors.row(i);
      inverse_norms_.push_back(1.0f / std::max(std::sqrt(kernels::Dot(from.data(), from.data(), size_)), kSmallestNorm));
      kernels::Scale(from.data(), inverse_norms_.back(), values_.data() + i * size_, size_);
    }
  }

  std::vector<float>& values() { return values_; }
  std::vector<float>& gradient() { return gradient_; }
  std::span<const float> row(size_t i) const { return std::span(values_).subspan(i * size_, size_); }
  std::span<float> row_gradient(size_t i) { return std::span(gradient_).subspan(i * size_, size_); }

  float Cosine(size_t a, size_t b) const { return kernels::Dot(row(a).data(), row(b).data(), size_); }
  // The loss changes by `factor` times the cosine of two rows.
  void AddCosineGradient(size_t a, size_t b, float factor) {
    AddScaled(row(b), factor, row_gradient(a));
    AddScaled(row(a), factor, row_gradient(b));
  }

  // With y = x / |x|: dx = (dy - y (y dy)) / |x|. Adds to the first values of each row of `out`, whose rows are out_size long.
  void AddGradient(std::span<float> out, size_t out_size) {
    for (size_t i = 0; i < inverse_norms_.size(); ++i) {
      const std::span<const float> y = row(i), dy = row_gradient(i);
      const float projection = kernels::Dot(y.data(), dy.data(), size_);
      float* to = out.data() + i * out_size;
      for (size_t k = 0; k < size_; ++k) to[k] += inverse_norms_[i] * std::fma(-projection, y[k], dy[k]);
    }
  }

 private:
  size_t size_;
  std::vector<float> values_, gradient_, inverse_norms_;
};

double EuclideanDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return std::sqrt(sum);
}

// The loss changes by `factor` times the distance of a and b.
void AddDistanceGradient(std::span<const float> a, std::span<const float> b, double distance, double factor, std::span<float> to_a,
                         std::span<float> to_b) {
  if (distance == 0) return;
  const double scale = factor / distance;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto change = static_cast<float>(scale * (static_cast<double>(a[i]) - static_cast<double>(b[i])));
    to_a[i] += change;
    to_b[i] -= change;
  }
}

double EuclideanTripletLoss(const EmbeddingRows& vectors, double margin, std::span<float> gradient) {
  const size_t size = vectors.size;
  const auto to = [&](size_t row) { return gradient.subspan(row * size, size); };
  const auto count = static_cast<double>(vectors.num_examples());
  double sum = 0;
  for (size_t anchor = 0; anchor < vectors.num_rows(); anchor += vectors.columns) {
    const size_t positive = anchor + 1, negative = anchor + 2;
    const double near = EuclideanDistance(vectors.row(anchor), vectors.row(positive)),
                 far = EuclideanDistance(vectors.row(anchor), vectors.row(negative));
    if (near - far + margin <= 0) continue;
    sum += near - far + margin;
    AddDistanceGradient(vectors.row(anchor), vectors.row(positive), near, 1 / count, to(anchor), to(positive));
    AddDistanceGradient(vectors.row(anchor), vectors.row(negative), far, -1 / count, to(anchor), to(negative));
  }
  return sum / count;
}

}  // namespace

double MultipleNegativesRanking(const EmbeddingRows& vectors, std::span<const std::vector<size_t>> candidates, double scale,
                                std::span<float> gradient) {
  Normalized unit(vectors);
  const auto factor = static_cast<float>(scale), share = 1.0f / static_cast<float>(candidates.size());
  const int32_t positive = 0;  // the first candidate
  std::vector<float> logits, logit_gradient;
  double sum = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    const size_t anchor = i * vectors.columns;
    logits.clear();
    for (const size_t row : candidates[i]) logits.push_back(factor * unit.Cosine(anchor, row));
    logit_gradient.resize(logits.size());
    double loss = 0;
    kernels::CrossEntropy(logits.data(), &positive, 1, logits.size(), &loss, &share, logit_gradient.data());
    sum += loss;
    for (size_t k = 0; k < logits.size(); ++k) unit.AddCosineGradient(anchor, candidates[i][k], factor * logit_gradient[k]);
  }
  unit.AddGradient(gradient, vectors.size);
  return sum / static_cast<double>(candidates.size());
}

double CoSent(const EmbeddingRows& vectors, std::span<const float> scores, double scale, std::span<float> gradient) {
  Normalized unit(vectors);
  const auto factor = static_cast<float>(scale);
  std::vector<float> cosines;
  for (size_t row = 0; row < vectors.num_rows(); row += vectors.columns) cosines.push_back(factor * unit.Cosine(row, row + 1));
  // log(1 + sum exp(x)) is the cross-entropy of the logits 0 and all x with the label of the 0.
  std::vector<float> logits = {0};
  for (size_t i = 0; i < scores.size(); ++i)
    for (size_t j = 0; j < scores.size(); ++j)
      if (scores[i] < scores[j]) logits.push_back(cosines[i] - cosines[j]);
  std::vector<float> logit_gradient(logits.size()), cosine_gradient(scores.size());
  const int32_t label = 0;
  const float all = 1;
  double loss = 0;
  kernels::CrossEntropy(logits.data(), &label, 1, logits.size(), &loss, &all, logit_gradient.data());
  size_t next = 1;
  for (size_t i = 0; i < scores.size(); ++i)
    for (size_t j = 0; j < scores.size(); ++j)
      if (scores[i] < scores[j]) {
        cosine_gradient[i] += logit_gradient[next];
        cosine_gradient[j] -= logit_gradient[next++];
      }
  for (size_t i = 0; i < scores.size(); ++i)
    unit.AddCosineGradient(i * vectors.columns, i * vectors.columns + 1, factor * cosine_gradient[i]);
  unit.AddGradient(gradient, vectors.size);
  return loss;
}

double TripletLoss(const EmbeddingRows& vectors, EmbeddingDistance distance, double margin, std::span<float> gradient) {
  if (distance == EmbeddingDistance::kEuclidean) return EuclideanTripletLoss(vectors, margin, gradient);
  Normalized unit(vectors);
  const auto count = static_cast<double>(vectors.num_examples());
  const auto share = static_cast<float>(1 / count);
  double sum = 0;
  for (size_t anchor = 0; anchor < vectors.num_rows(); anchor += vectors.columns) {
    const float near = unit.Cosine(anchor, anchor + 1), far = unit.Cosine(anchor, anchor + 2);
    const double loss = static_cast<double>(far) - static_cast<double>(near) + margin;
    if (loss <= 0) continue;
    sum += loss;
    unit.AddCosineGradient(anchor, anchor + 1, -share);
    unit.AddCosineGradient(anchor, anchor + 2, share);
  }
  unit.AddGradient(gradient, vectors.size);
  return sum / count;
}

double Matryoshka(const EmbeddingRows& vectors, std::span<const size_t> sizes,
                  const std::function<double(const EmbeddingRows& vectors, std::span<float> gradient)>& loss, std::span<float> gradient) {
  double sum = 0;
  for (const size_t size : sizes) {
    assert(size > 0 && size <= vectors.size);
    std::vector<float> cut;
    for (size_t i = 0; i < vectors.num_rows(); ++i)
      cut.insert(cut.end(), vectors.row(i).begin(), vectors.row(i).begin() + static_cast<ptrdiff_t>(size));
    Normalized unit({.values = cut, .columns = vectors.columns, .size = size});
    sum += loss({.values = unit.values(), .columns = vectors.columns, .size = size}, unit.gradient());
    unit.AddGradient(gradient, vectors.size);
  }
  return sum;
}

std::vector<float> NormalizedRows(const EmbeddingRows& vectors) { return std::move(Normalized(vectors).values()); }

}  // namespace mlac
