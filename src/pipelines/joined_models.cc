#include "pipelines/joined_models.h"

#include <algorithm>
#include <vector>

#include "models/model.h"

namespace mlac {
namespace {

// Where the sequences of all parts stand in the batch that they make together.
struct JoinedBatch {
  TokenBatch batch;
  std::vector<size_t> part_of;  // of each sequence
  std::vector<size_t> first;    // of each part: its first sequence
};

JoinedBatch Join(std::span<const JoinedPart> parts) {
  JoinedBatch joined;
  for (size_t p = 0; p < parts.size(); ++p) {
    const TokenBatch& batch = *parts[p].batch;
    joined.first.push_back(joined.batch.num_sequences());
    const size_t begin = joined.batch.num_tokens();
    joined.batch.token_ids.insert(joined.batch.token_ids.end(), batch.token_ids.begin(), batch.token_ids.end());
    joined.batch.token_type_ids.insert(joined.batch.token_type_ids.end(), batch.token_type_ids.begin(), batch.token_type_ids.end());
    for (size_t s = 0; s < batch.num_sequences(); ++s) joined.batch.offsets.push_back(begin + batch.offsets[s + 1]);
    joined.part_of.insert(joined.part_of.end(), batch.num_sequences(), p);
  }
  return joined;
}

// Sequences [begin, end) of a group, all of one part.
struct Stretch {
  size_t part, begin, end;
};

std::vector<Stretch> StretchesOf(std::span<const size_t> part_of) {
  std::vector<Stretch> stretches;
  for (size_t s = 0; s < part_of.size(); ++s) {
    if (stretches.empty() || stretches.back().part != part_of[s]) stretches.push_back({part_of[s], s, s});
    stretches.back().end = s + 1;
  }
  return stretches;
}

}  // namespace

bool CanJoin(const Model& model) {
  const auto& parameters = model.parameters().parameters();
  return model.parameters().has_base() && std::all_of(parameters.begin(), parameters.end(), [&](const Parameter& parameter) {
           return IsOfAdapter(parameter.name) || StartsWithAny(parameter.name, model.head_prefixes());
         });
}

namespace {

// Says whose rows the encoder's are, until it is gone: a head has what its own model gives it, and so has the next pass after one that failed.
class OfAdapters {
 public:
  OfAdapters(Run& run, std::vector<AdapterRows> rows) : run_(run) { run_.rows().adapters = std::move(rows); }
  OfAdapters(const OfAdapters&) = delete;
  OfAdapters& operator=(const OfAdapters&) = delete;
  ~OfAdapters() { run_.rows().adapters.clear(); }

 private:
  Run& run_;
};

}  // namespace

void ComputeJoined(Inference& inference, const Model& base, std::span<const JoinedPart> parts) {
  const JoinedBatch joined = Join(parts);
  inference.ForEachGroup(joined.batch, [&](Run& run, const TokenBatch& group, size_t first) {
    const std::vector<Stretch> stretches = StretchesOf(std::span(joined.part_of).subspan(first, group.num_sequences()));
    std::vector<AdapterRows> rows;
    for (const Stretch& stretch : stretches) rows.push_back({group.offsets[stretch.end], &parts[stretch.part].model->model().parameters()});
    const Tensor hidden_states = [&] {
      const OfAdapters of_adapters(run, std::move(rows));
      return base.Encode(run, group);
    }();
    for (const Stretch& stretch : stretches) {
      const JoinedPart& part = parts[stretch.part];
      const size_t begin = first + stretch.begin - joined.first[stretch.part],
                   end = begin + stretch.end - stretch.begin;  // in its own batch
      const Offsets& offsets = part.batch->offsets;
      const size_t row = RowsBefore(offsets, part.wanted, begin);
      if (row == RowsBefore(offsets, part.wanted, end)) continue;
      const std::vector<size_t> tokens = TokensWithin(part.wanted, offsets[begin], offsets[end]);
      const Tensor answer = part.model->RowsOf(run, hidden_states.Rows(group.offsets[stretch.begin], group.offsets[stretch.end]),
                                               Slice(group, stretch.begin, stretch.end).offsets, {part.wanted.output, tokens});
      std::copy(answer.floats().begin(), answer.floats().end(), part.out.begin() + static_cast<ptrdiff_t>(row * answer.dim(1)));
    }
  });
}

}  // namespace mlac
