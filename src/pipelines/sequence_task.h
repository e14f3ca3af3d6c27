#pragma once
// A task in two halves: what has to be computed for its texts, and what the rows that a model gives for that say. Between them a server computes sequences
// of many requests as one ragged batch.
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/rows.h"
#include "pipelines/task.h"

namespace mlac {

// The sequences of some texts (windows of long ones are sequences of their own), and what is asked of them.
struct TaskBatch {
  TokenBatch batch;
  Output output = Output::kSequence;
  std::vector<size_t> tokens = {};  // of Output::kMasks: those of the batch that are asked about, rising
  double num_answer_bytes = 0;      // about how long the answers may become where that is not in proportion to the texts

  RowsWanted wanted() const { return {output, tokens}; }
};

// Of what is computed at a time; of a sequence by itself there may be more. With some thousands of tokens all threads have work.
struct PartLimits {
  size_t num_tokens = 16'384;
  size_t num_values = size_t{1} << 23;  // in the rows (32 MiB): those of masks are as long as the vocabulary
};

// For one thread at a time, but for Take of different sequences. The model is the same from Ask to Write, the texts outlive both.
class SequenceTask : public Task {
 public:
  // Throws what is wrong with the texts, kUnsupported for a model that does not do the task.
  virtual TaskBatch Ask(const TextModel& model, std::span<const TextInput> texts) = 0;
  // The rows of a sequence of that batch. Each comes once, in any order; several may come at once, from several threads.
  virtual void Take(const TextModel& model, size_t sequence, std::span<const float> rows) = 0;
  // Appends the answers, when all rows were taken.
  virtual void Write(const TextModel& model, std::span<const TextInput> texts, std::string& out) = 0;

  // [rows, row_size()] of a part of the batch, as TextModel::Compute.
  using Compute = std::function<std::vector<float>(const TokenBatch& part, const RowsWanted& wanted)>;
  // Answers the texts, as Add. The sequences are computed in parts within the limits, and the rows of one are taken before the next is
  // computed: however long a text is, no more rows are in memory, and others who compute with the model may come between two.
  void AddInParts(const TextModel& model, std::span<const TextInput> texts, const Compute& compute, std::string& out,
                  const PartLimits& limits = {});

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) final;
};

// Of tasks that read single texts. Throws kInvalidArgument for a pair: what is found in it would be looked up in its first text.
void CheckSingleTexts(std::string_view task, std::span<const TextInput> texts);

std::unique_ptr<SequenceTask> MakeFillMask(const TaskOptions& options);
std::unique_ptr<SequenceTask> MakeQuestionAnswering(const TaskOptions& options);
std::unique_ptr<SequenceTask> MakeTokenClassification(const TaskOptions& options);
std::unique_ptr<SequenceTask> MakeZeroShotClassification(const TaskOptions& options);

}  // namespace mlac
