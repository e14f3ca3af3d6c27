#pragma once
// The gradient of a parameter, and in which rows it may differ from zero. Of a table of 30,000 words a batch reads some hundred: a step that knows which
// neither clears, nor measures, nor learns from the others. And the gradient of a layer's weight is a product, which need not be added to zeros.
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
  bool any() const { return all_ || std::find(has_.begin(), has_.end(), uint8_t{1}) != has_.end(); }
  bool Has(size_t row) const { return all_ || (row < has_.size() && has_[row] != 0); }

 private:
  bool all_ = false;
  std::vector<uint8_t> has_;  // of no row beyond its end
};

// All calls from one thread; what they return may be used by all.
class Gradient {
 public:
  Gradient() = default;  // undefined
  // Of the parameter's shape; any element may differ from zero.
  Gradient(Tensor values) : values_(std::move(values)) { rows_.AddAll(); }  // implicit: a tensor is a gradient of which nothing more is known

  bool defined() const { return values_.defined(); }
  size_t num_elements() const { return values_.num_elements(); }
  std::span<const float> floats() const {
    WriteZeros();
    return values_.floats();
  }

  // To write any element.
  std::span<float> mutable_floats() {
    WriteZeros();
    rows_.AddAll();
    return values_.mutable_floats();
  }
  // All elements, of which the caller writes those of these rows alone. The gradient is [count, size].
  std::span<float> mutable_rows(std::span<const int32_t> rows) {
    WriteZeros();
    rows_.Add(rows, values_.dim(0));
    return values_.mutable_floats();
  }
  // For a product that writes every element: adds to what there is if `adds`, else takes its place, whatever stands there.
  struct Target {
    float* values;
    bool adds;
  };
  Target ForProduct() {
    const bool adds = rows_.any();
    if (!adds) began_with_product_ = true;
    awaits_zeros_ = false;
    rows_.AddAll();
    return {values_.mutable_floats().data(), adds};
  }

  // Outside of these all elements are zero.
  const RowSet& rows() const { return rows_; }

  // Every element is zero from here on. clear: writes zero to the elements of the rows that it is given. It is not called where a product came first since the
  // last time: there one is expected to come first again, and memory is left as it is until then, or until someone asks for it.
  template <class Clear>
  void SetToZero(const Clear& clear) {
    if (began_with_product_) {
      awaits_zeros_ = true;
    } else if (rows_.any()) {
      clear(values_.mutable_floats().data(), rows_);
    }
    began_with_product_ = false;
    rows_.Clear();
  }

 private:
  void WriteZeros() const {
    if (!awaits_zeros_) return;
    const std::span<float> values = values_.mutable_floats();
    std::fill(values.begin(), values.end(), 0.0f);
    awaits_zeros_ = false;
  }

  mutable Tensor values_;
  RowSet rows_;
  bool began_with_product_ = false;
  mutable bool awaits_zeros_ = false;
};

}  // namespace mlac
