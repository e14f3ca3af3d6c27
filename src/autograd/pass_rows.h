#pragma once
// What the rows of a layer stand for, where they are not all tokens of the batch with the weights of one model.
#include <cstddef>
#include <memory>
#include <vector>

namespace mlac {

class ParameterStore;

// Rows of a pass that belong to one of several adapters over a base: those from where the ones before end up to `end`. adapter: the store of its
// model, which only layers look into (nn/layers.h); null: none.
struct AdapterRows {
  size_t end = 0;
  const ParameterStore* adapter = nullptr;
};

// Numbers of tokens of a batch, counted from its first, rising, none twice; null: all of them.
using TokenRows = std::shared_ptr<const std::vector<size_t>>;

struct PassRows {
  std::vector<AdapterRows> adapters;  // of the encoder's layers, in inference; empty: those of the model that is run
  // Set by WantedRows (wanted_rows.h), asked by what needs to know where a row stands: attention and dropout.
  TokenRows tokens;
};

}  // namespace mlac
