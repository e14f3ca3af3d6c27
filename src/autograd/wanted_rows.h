#pragma once
// The last layer of an encoder need not compute what nobody looks at: a classifier reads the first token of each sequence, a masked language model the
// masked ones. Keys and values are those of all tokens; queries, and all that follows them, only those of the wanted ones. A row depends on no other row
// behind the keys and values, so results and gradients have the bits of the whole.
#include "autograd/run.h"

namespace mlac {

// While it lives, the rows of the run's tensors stand for the wanted tokens.
class WantedRows {
 public:
  // x: [T, size]. rows: at least one, each below T (asserted); null: nothing changes.
  WantedRows(Run& run, const Tensor& x, const TokenRows& rows);
  ~WantedRows();
  WantedRows(const WantedRows&) = delete;
  WantedRows& operator=(const WantedRows&) = delete;

  const Tensor& x() const { return x_; }  // [rows, size]; x itself where all are wanted

 private:
  Run& run_;
  Tensor x_;
};

}  // namespace mlac
