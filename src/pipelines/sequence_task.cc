#include "pipelines/sequence_task.h"

namespace mlac {

void SequenceTask::Add(TextModel& model, std::span<const TextInput> texts, std::string& out) {
  const TaskBatch asked = Ask(model, texts);
  const std::vector<float> rows = model.Compute(asked.batch, asked.wanted());
  RequireFinite(rows);
  const size_t size = model.row_size(asked.output);
  for (size_t s = 0; s < asked.batch.num_sequences(); ++s) {
    const size_t begin = RowsBefore(asked.batch.offsets, asked.wanted(), s), end = RowsBefore(asked.batch.offsets, asked.wanted(), s + 1);
    Take(model, s, std::span(rows).subspan(begin * size, (end - begin) * size));
  }
  Write(model, texts, out);
}

}  // namespace mlac
