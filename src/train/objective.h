#pragma once
// What is learnt: examples, the loss of a batch with its gradients, and how good the model is on the examples set aside. One file a kind.
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autograd/run.h"
#include "models/model.h"
#include "tensor/token_batch.h"
#include "train/figures.h"

namespace mlac {

// What a model does on the examples set aside, after an epoch.
struct ValidationReport {
  double loss = 0;
  std::vector<std::pair<std::string, double>> figures;  // by the names of metrics.json: {"accuracy", 0.9}
  double score = 0;                                     // what the best epoch has most of
  bool is_telling =
      true;  // false: the score is no better than that of always giving one and the same answer; then the loss says which epoch is better
};

// Figures that were measured, by their names, and their loss or 0. The score is the first of them, unless one is given.
ValidationReport ReportOf(const Figures& figures, bool is_telling = true, std::optional<double> score = std::nullopt);

// Throws kUnsupported: what is learnt has no head over one vector an example, so it has no use for an encoder that stands still.
[[noreturn]] void RefuseFrozenEncoder();

// Owned by one training run, used by its thread. Examples are numbered from 0; each is one sequence of tokens or several.
class Objective {
 public:
  virtual ~Objective() = default;

  virtual size_t num_examples() const = 0;
  virtual size_t num_validation_examples() const = 0;  // 0: the last epoch is kept
  // Where examples stand, for messages: "train.csv lines 2, 7 and 11".
  virtual std::string Places(std::span<const size_t> examples) const = 0;

  // Begins a step: the sequences of these examples, end to end, in this order. step: from 0, for what is drawn anew in each.
  virtual TokenBatch Begin(std::span<const size_t> examples, size_t step) = 0;
  // Runs the model forward and backward over `part`, sequences from number `first_sequence` of the batch on, and adds what its losses sum up to to
  // `loss`, one summand after another; so the parts that a batch is computed in change no bit.
  virtual void AddGradients(Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) = 0;
  // What the sum of losses is divided by.
  virtual double total_weight() const = 0;

  // Where the loss of one example depends on the others of its batch: Observe is called for each part, without a tape and with the dropout of
  // AddGradients, before the first AddGradients, if there is more than one part.
  virtual bool couples_examples() const { return false; }
  virtual void Observe(Run&, const TokenBatch&, size_t) {}

  // With an encoder that does not learn: computes once what the head sees of each example. before_batch may throw. Throws kUnsupported for an objective
  // that has no such thing.
  virtual void CacheFeatures(Run& run, const std::function<void()>& before_batch);
  // Not called without examples set aside. before_batch may throw.
  virtual ValidationReport Validate(Run& run, const std::function<void()>& before_batch) = 0;
};

// Sequences of `tokens`, in the order of `indices`.
TokenBatch GatherSequences(const TokenBatch& tokens, std::span<const size_t> indices);

// Calls body(begin, end) for runs of at most max_sequences whole sequences of at most max_tokens tokens together (one sequence at least).
void ForEachPart(const Offsets& offsets, size_t max_tokens, size_t max_sequences, const std::function<void(size_t begin, size_t end)>& body);
inline void ForEachPart(const Offsets& offsets, size_t max_tokens, const std::function<void(size_t begin, size_t end)>& body) {
  ForEachPart(offsets, max_tokens, /*max_sequences=*/static_cast<size_t>(-1), body);
}

// The row of the first number that is not finite, of rows of row_size numbers; nothing where all are finite.
std::optional<size_t> FindRowNotFinite(std::span<const float> values, size_t row_size);
// Throws kInvalidInput: what the model in training gives for a text is not finite. found: "the logits of train.csv line 3 are not finite".
[[noreturn]] void RefuseOverflow(const std::string& found);

// Tokens that an evaluation computes at once.
inline constexpr size_t kTokensPerEvaluationBatch = 4096;

// "train.csv lines 2, 7 and 11", "reviews texts pos/1.txt and neg/4.txt"; of many the first 50. lines, files: of all rows; files is empty unless
// source is a folder.
std::string PlacesOf(const std::string& source, std::span<const size_t> lines, std::span<const std::string> files, std::span<const size_t> rows);

}  // namespace mlac
