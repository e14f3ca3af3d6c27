#pragma once
// Classification of the words of a text: the label of a word is learnt at its first token, as transformers' examples do it.
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/check.h"
#include "text/tokenizer.h"
#include "train/figures.h"
#include "train/objective.h"
#include "train/tagged_texts.h"

namespace mlac {

// A token that begins no word is not learnt.
inline constexpr int32_t kNoTag = -1;

// Texts as tokens with a label each.
struct TaggedTokens {
  TokenBatch tokens;
  std::vector<int32_t> labels;           // of each token, or kNoTag
  std::vector<size_t> words;             // of each token that has a label, in order: which word of its text it begins
  std::vector<std::vector<int32_t>> truth;  // of each text the labels of all its words, those that were cut off too
  size_t num_cut = 0;                    // texts that were longer than max_length
  std::vector<size_t> torn;              // texts with a word that has a tag other than O and begins or ends within a token
  std::string source;
  std::vector<size_t> lines;

  size_t size() const { return truth.size(); }
};

// The tags of words at the tokens that begin them. label_names: what the labels are indices of. Throws kInvalidInput with the place of a tag that is not
// among them.
TaggedTokens AlignTags(const Tokenizer& tokenizer, size_t max_length, const TaggedTexts& texts, const std::vector<std::string>& label_names);

// What is to be said of entities that begin or end within a token. name: "train".
std::vector<Finding> CheckTags(const TaggedTokens& texts, const std::string& name);

// Cross-entropy of the labelled tokens, the mean over those of a batch. All outlive the objective.
std::unique_ptr<Objective> MakeTokenObjective(Model& model, const TaggedTokens& train, const TaggedTokens& validation,
                                              const std::vector<std::string>& label_names);

// [tokens, labels] of all texts, in batches of some thousand tokens. Throws kInvalidInput for logits that are not finite, naming the text.
std::vector<float> PredictTokenLabels(const Model& model, Run& run, const TaggedTokens& texts, const std::function<void()>& before_batch = nullptr);

// The sequence that the token with this number stands in.
size_t TextOf(const Offsets& offsets, size_t token);

// Precision, recall and F1 of entities, as seqeval (https://github.com/chakki-works/seqeval, its default mode) counts them: one is right where its words
// and its type are. A word behind what was cut, or without a token of its own, has the label "O" in the prediction. logits: [tokens, labels].
Figures MeasureTokens(std::span<const float> logits, const TaggedTokens& texts, const std::vector<std::string>& label_names,
                      const MetricsOptions& options = {});

// An entity: words [begin, end) of a text.
struct EntitySpan {
  std::string type;
  size_t begin = 0, end = 0;
  bool operator==(const EntitySpan&) const = default;
};
// The entities of a sequence of tags in IOB1, IOB2 or IOE and the like: "B-" begins one, "I-" goes on with one of its type, else begins one.
std::vector<EntitySpan> EntitiesOf(std::span<const std::string> tags);

}  // namespace mlac
