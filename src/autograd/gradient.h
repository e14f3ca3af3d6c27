#pragma once
// The gradient of a parameter, and in which rows it may differ from zero. Of a table of 30,000 words a batch reads some hundred: a step that knows which
// neither clears, nor measures, nor learns from the others.
#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace mlac {

// Rows of a matrix: those that were added, or all.
class RowSet {
 public:
  void Add(std::span<const int32_t> rows, size_t num_rows) {
    if (all_) return;
    has_.resize(num_rows);
    for (const int32_t row : rows) has_[static_cast<size_t>(row)] = 1;
  }
  void Add(const RowSet& other) {
    all_ = all_ || other.all_;
    if (all_) return;
    has_.resize(std::max(has_.size(), other.has_.size()));
    for (size_t row = 0; row < other.has_.size(); ++row) has_[row] |= other.has_[row];
  }
  void AddAll() { all_ = true; }
  void Clear() {
    all_ = false;
    std::fill(has_.begin(), has_.end(), uint8_t{0});
  }

  bool all() const { return all_; }
  bool Has(size_t row) const { return all_ || (row < has_.size() && has_[row] != 0); }

 private:
  bool all_ = false;
  std::vector<uint8_t> has_;  // of no row beyond its end
};

class Gradient {
 public:
  Gradient() = default;  // undefined
  // Of the parameter's shape; any element may differ from zero.
  Gradient(Tensor values) : values_(std::move(values)) { rows_.AddAll(); }  // implicit: a tensor is a gradient of which nothing more is known

  bool defined() const { return values_.defined(); }
  size_t num_elements() const { return values_.num_elements(); }
  std::span<const float> floats() const { return values_.floats(); }

  // To write any element.
  std::span<float> mutable_floats() {
    rows_.AddAll();
    return values_.mutable_floats();
  }
  // All elements, of which the caller writes those of these rows alone. The gradient is [count, size].
  std::span<float> mutable_rows(std::span<const int32_t> rows) {
    rows_.Add(rows, values_.dim(0));
    return values_.mutable_floats();
  }

  // Outside of these all elements are zero.
  const RowSet& rows() const { return rows_; }
  // The caller has written zero to each element of rows().
  void IsZero() { rows_.Clear(); }

 private:
  Tensor values_;
  RowSet rows_;
};

}  // namespace mlac
