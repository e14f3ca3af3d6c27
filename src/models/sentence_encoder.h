#pragma once
// From texts to one vector each: an encoder and the modules that sentence-transformers puts behind it.
// Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084; the folders of sentence-transformers 2 to 6.
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "autograd/pooling.h"
#include "models/model.h"

namespace mlac {

// A line of modules.json: kind is the class without its package ("Transformer", "Pooling", "Dense", "Normalize"), path a folder inside.
struct SentenceModule {
  std::string kind, path;
};

// The modules of a folder in their order; none where there is no modules.json. Throws kInvalidInput for a path that leaves the folder, by itself or
// as a link, kUnsupported for a kind that is not known.
std::vector<SentenceModule> ReadSentenceModules(const std::string& folder);
// The same of the content of a modules.json, where there is no folder yet to look for links in. file: its name, for messages.
std::vector<SentenceModule> ParseSentenceModules(const nlohmann::json& list, const std::string& file);

// The folder of the encoder inside that of the model; "" for that one itself.
std::string TransformerPath(const std::vector<SentenceModule>& modules);

// What stands behind the encoder. Without modules.json: the mean of the tokens.
class SentenceEncoder {
 public:
  // Throws kUnsupported for a pooling, an activation or an order that is not known, kInvalidInput for files outside and weights that do not fit.
  SentenceEncoder(const std::string& folder, const Model& model);
  ~SentenceEncoder();

  size_t embedding_size() const { return embedding_size_; }
  bool normalizes() const { return normalizes_; }
  Pooling pooling() const { return pooling_; }
  // Whether the tokens of a prompt count (include_prompt): false where they are only read, by what attends to them.
  bool pools_prompt() const { return pools_prompt_; }

  // [sequences, embedding_size] of a batch that the model encodes. normalize: false leaves out the normalising at the end, if there is one.
  // pooled_from: tokens of the batch, rising, one a sequence at most: the sequence is pooled from there on instead of from its beginning.
  Tensor operator()(Run& run, const Model& model, const TokenBatch& batch, bool normalize = true,
                    std::span<const size_t> pooled_from = {}) const;
  // The same from the model's hidden states.
  Tensor operator()(Run& run, const Tensor& hidden_states, const Offsets& offsets, bool normalize = true,
                    std::span<const size_t> pooled_from = {}) const;

 private:
  class Step;
  // What the steps from `first` on make of x.
  Tensor RunSteps(Run& run, Tensor x, const Offsets& offsets, size_t first, bool normalize) const;

  Pooling pooling_ = Pooling::kMean;
  bool normalizes_ = false, pools_first_ = true, pools_prompt_ = true;
  size_t embedding_size_;
  std::vector<std::unique_ptr<Step>> steps_;
};

// "mean", "cls" or "max".
std::string_view Name(Pooling pooling);

}  // namespace mlac
