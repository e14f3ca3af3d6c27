#include "pipelines/sequence_task.h"

#include <fmt/format.h>

#include "base/error.h"
#include "models/inference.h"

namespace mlac {
namespace {

// Where the part ends that begins with sequence `begin`. row_size: numbers in a row.
size_t EndOfPart(const TaskBatch& asked, size_t row_size, size_t begin, const PartLimits& limits) {
  const Offsets& offsets = asked.batch.offsets;
  const size_t first_row = RowsBefore(offsets, asked.wanted(), begin);
  size_t end = begin + 1;
  while (end < asked.batch.num_sequences() && offsets[end + 1] - offsets[begin] <= limits.num_tokens &&
         (RowsBefore(offsets, asked.wanted(), end + 1) - first_row) * row_size <= limits.num_values)
    ++end;
  return end;
}

}  // namespace

void SequenceTask::AddInParts(const TextModel& model, std::span<const TextInput> texts, const Compute& compute, std::string& out,
                              const PartLimits& limits) {
  const TaskBatch asked = Ask(model, texts);
  const Offsets& offsets = asked.batch.offsets;
  const size_t size = model.row_size(asked.output);
  for (size_t begin = 0, end; begin < asked.batch.num_sequences(); begin = end) {
    end = EndOfPart(asked, size, begin, limits);
    const std::vector<size_t> tokens = TokensWithin(asked.wanted(), offsets[begin], offsets[end]);
    const std::vector<float> rows = compute(Slice(asked.batch, begin, end), {asked.output, tokens});
    RequireFinite(rows);
    const size_t first_row = RowsBefore(offsets, asked.wanted(), begin);
    for (size_t s = begin; s < end; ++s) {
      const size_t from = RowsBefore(offsets, asked.wanted(), s) - first_row, to = RowsBefore(offsets, asked.wanted(), s + 1) - first_row;
      Take(model, s, std::span(rows).subspan(from * size, (to - from) * size));
    }
  }
  Write(model, texts, out);
}

void SequenceTask::Add(TextModel& model, std::span<const TextInput> texts, std::string& out) {
  AddInParts(
      model, texts, [&](const TokenBatch& part, const RowsWanted& wanted) { return model.Compute(part, wanted); }, out);
}

void CheckSingleTexts(std::string_view task, std::span<const TextInput> texts) {
  for (const TextInput& text : texts)
    if (text.pair)
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("{}{}{}: expected a single text, found a pair", text.place, text.place.empty() ? "" : ": ", task));
}

}  // namespace mlac
