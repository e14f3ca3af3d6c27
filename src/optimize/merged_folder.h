#pragma once
// A base and its adapter as one plain model folder.
#include <cstddef>
#include <string>

namespace mlac {

struct MergeSummary {
  size_t num_layers = 0;      // whose weights took the adapter in
  size_t num_parameters = 0;  // of the adapter, with what it keeps of the head
  size_t rank = 0;
  double alpha = 0;
};

// Writes W + scale B A for each layer of the adapter, and all else as the base or the adapter has it, into the empty folder `out`: weights
// in F32, config.json with the adapter's head and labels, the tokenizer that the two have together, and the modules of
// sentence-transformers where the model has no head. No card: merged_card.h makes one. Throws as OpenAdapted and MergeAdapter.
MergeSummary WriteMergedFolder(const std::string& model, const std::string& adapter, const std::string& out);

}  // namespace mlac
