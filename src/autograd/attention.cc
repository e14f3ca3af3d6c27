#include "autograd/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <optional>
#include <vector>

#include "autograd/narrow_product.h"
#include "kernels/attention.h"
#include "kernels/bf16_attention.h"
#include "kernels/instruction_set.h"

namespace mlac {
namespace {

struct Heads {
  Tensor q, k, v;
  Offsets offsets;
  size_t num_heads;
  std::optional<kernels::DropoutKey> dropout;
  uint32_t first_token;
  Tensor position_bias;                   // [num_heads, 2 span - 1], or undefined
  std::vector<uint32_t> query_positions;  // of all sequences, each counted from its sequence's begin; empty: all tokens ask
  Offsets query_offsets;                  // where those of a sequence begin, in q and the output
  size_t longest = 0;                     // of the sequences

  size_t num_tasks() const { return (offsets.size() - 1) * num_heads; }

  void SetQueries(const TokenRows& rows) {
    if (rows == nullptr) {
      query_offsets = offsets;
      return;
    }
    query_offsets.assign(1, 0);
    size_t r = 0;
    for (size_t s = 0; s + 1 < offsets.size(); ++s) {
      for (; r < rows->size() && (*rows)[r] < offsets[s + 1]; ++r) query_positions.push_back(static_cast<uint32_t>((*rows)[r] - offsets[s]));
      query_offsets.push_back(r);
    }
  }

  float scale() const { return 1.0f / std::sqrt(static_cast<float>(q.dim(1) / num_heads)); }
  const uint32_t* positions(size_t sequence) const { return query_positions.empty() ? nullptr : query_positions.data() + query_offsets[sequence]; }
  size_t num_queries(size_t sequence) const { return query_offsets[sequence + 1] - query_offsets[sequence]; }

  // Task i is head i % num_heads of sequence i / num_heads. `first` is where that begins in k and v, `first_query` in q and the output.
  kernels::AttentionArguments Task(size_t i, size_t& first, size_t& first_query) const {
    const size_t sequence = i / num_heads, head = i % num_heads, size = q.dim(1), head_dim = size / num_heads;
    const size_t begin = offsets[sequence], num_tokens = offsets[sequence + 1] - begin, query = query_offsets[sequence];
    first = begin * size + head * head_dim;
    first_query = query * size + head * head_dim;
    const size_t blocks = (num_tokens + kernels::kDropoutBlock - 1) / kernels::kDropoutBlock;
    return {.q = q.floats().data() + first_query, .k = k.floats().data() + first, .v = v.floats().data() + first, .stride = size,
            .num_tokens = num_tokens, .head_dim = head_dim, .scale = scale(), .query_positions = positions(sequence),
            .num_queries = num_queries(sequence), .dropout = dropout ? &*dropout : nullptr,
            .dropout_row = static_cast<uint32_t>(first_token + begin), .dropout_block = static_cast<uint32_t>(head * blocks),
            .position_bias = position_bias.defined() ? position_bias.floats().data() + Middle(head) : nullptr};
  }
  // Where distance 0 stands in row `row` of a tensor of biases.
  size_t Middle(size_t row) const { return row * position_bias.dim(1) + position_bias.dim(1) / 2; }
};

// [sequences, num_heads, 2 span - 1]: a sequence each, because only their sum over all parts of a batch is free of where the parts begin.
Tensor NewBiasGradient(Run& run, const Heads& heads) {
  if (heads.position_bias.tape_id() == 0) return {};
  Tensor gradient = run.NewTensor({heads.offsets.size() - 1, heads.num_heads, heads.position_bias.dim(1)});
  std::fill(gradient.mutable_floats().begin(), gradient.mutable_floats().end(), 0.0f);
  return gradient;
}

void AttentionBackward(Run& run, const Heads& heads, uint32_t q_id, uint32_t k_id, uint32_t v_id, const Tensor& gradient) {
  const size_t size = heads.q.dim(1), head_dim = size / heads.num_heads;
  Tensor gradient_q = run.NewTensor(heads.q.shape()), gradient_k = run.NewTensor(heads.k.shape()), gradient_v = run.NewTensor(heads.k.shape());
  Tensor gradient_bias = NewBiasGradient(run, heads);
  const size_t scratch = kernels::AttentionBackwardScratchSize(heads.longest, head_dim);
  run.ParallelTasks(heads.num_tasks(), [&](size_t task, size_t thread) {
    size_t first, first_query;
    const kernels::AttentionArguments arguments = heads.Task(task, first, first_query);
    kernels::AttentionBackward(arguments, gradient.floats().data() + first_query, size, gradient_q.mutable_floats().data() + first_query,
                               gradient_k.mutable_floats().data() + first, gradient_v.mutable_floats().data() + first,
                               gradient_bias.defined() ? gradient_bias.mutable_floats().data() + heads.Middle(task) : nullptr,
                               run.Scratch(thread, scratch));
  });
  run.tape()->Accumulate(run, q_id, gradient_q);
  run.tape()->Accumulate(run, k_id, gradient_k);
  run.tape()->Accumulate(run, v_id, gradient_v);
  if (gradient_bias.defined()) run.tape()->Accumulate(run, heads.position_bias.tape_id(), gradient_bias);
}

const kernels::Bf16* Bf16Of(const Tensor& x) { return reinterpret_cast<const kernels::Bf16*>(x.data()); }

bool IsNarrow(const Heads& heads) { return heads.q.dtype() == DType::kBF16; }

// What ComputeHeads fills: bf16 where a linear layer would round it to that next.
Tensor NewContext(Run& run, const Heads& heads) {
  const size_t rows = heads.q.dim(0), size = heads.q.dim(1);
  const bool narrow = IsNarrow(heads) && run.dtype() == DType::kBF16 && kernels::Bf16PathInUse() != kernels::Bf16Path::kNone &&
                      kernels::Bf16RowSize(size) == size;
  return narrow ? run.NewTensor({WholeTiles(rows), size}, DType::kBF16).Rows(0, rows) : run.NewTensor({rows, size});
}

// Heads [begin, end) of a sequence, in f32.
void ComputeF32Heads(Run& run, size_t thread, const Heads& heads, size_t sequence, size_t begin, size_t end, Tensor& y) {
  const size_t size = heads.q.dim(1), scratch = kernels::AttentionScratchSize(heads.longest, size / heads.num_heads);
  for (size_t head = begin; head < end; ++head) {
    size_t first, first_query;
    const kernels::AttentionArguments arguments = heads.Task(sequence * heads.num_heads + head, first, first_query);
    kernels::Attention(arguments, 0, arguments.num_queries, y.mutable_floats().data() + first_query, size, run.Scratch(thread, scratch));
  }
}

// Likewise, in bf16.
void ComputeBf16Heads(Run& run, size_t thread, const Heads& heads, size_t sequence, size_t begin, size_t end, Tensor& y) {
  const size_t size = heads.q.dim(1), head_dim = size / heads.num_heads, column = begin * head_dim;
  const size_t first = heads.offsets[sequence] * size + column, first_query = heads.query_offsets[sequence] * size + column;
  kernels::Bf16AttentionArguments arguments = {.q = Bf16Of(heads.q) + first_query,
                                               .k = Bf16Of(heads.k) + first,
                                               .v = Bf16Of(heads.v) + first,
                                               .stride = size,
                                               .num_heads = end - begin,
                                               .num_tokens = heads.offsets[sequence + 1] - heads.offsets[sequence],
                                               .head_dim = head_dim,
                                               .scale = heads.scale(),
                                               .query_positions = heads.positions(sequence),
                                               .num_queries = heads.num_queries(sequence),
                                               .out_stride = size};
  if (heads.position_bias.defined()) {
    arguments.position_bias = heads.position_bias.floats().data() + heads.Middle(begin);
    arguments.position_bias_stride = heads.position_bias.dim(1);
  }
  if (y.dtype() == DType::kBF16) {
    arguments.out_bf16 = reinterpret_cast<kernels::Bf16*>(y.mutable_bytes().data()) + first_query;
  } else {
    arguments.out = y.mutable_floats().data() + first_query;
  }
  kernels::Bf16Attention(arguments, run.Scratch(thread, kernels::Bf16AttentionScratchSize(heads.longest, head_dim)));
}

void ComputeHeads(Run& run, size_t thread, const Heads& heads, size_t sequence, size_t begin, size_t end, Tensor& y) {
  IsNarrow(heads) ? ComputeBf16Heads(run, thread, heads, sequence, begin, end, y) : ComputeF32Heads(run, thread, heads, sequence, begin, end, y);
}

// A task is some heads of a sequence.
Tensor ComputeAll(Run& run, const Heads& heads) {
  Tensor y = NewContext(run, heads);
  // In bf16 heads share what is packed of them, as long as each thread has some.
  const size_t parts = IsNarrow(heads) ? std::min(heads.num_heads, run.num_threads()) : heads.num_heads;
  run.ParallelTasks((heads.offsets.size() - 1) * parts, [&](size_t task, size_t thread) {
    const size_t part = task % parts;
    ComputeHeads(run, thread, heads, task / parts, heads.num_heads * part / parts, heads.num_heads * (part + 1) / parts, y);
  });
  return y;
}

Tensor ComputeHeadByHead(Run& run, const Heads& heads, const LinearProduct& q, const LinearProduct& k, const LinearProduct& v, size_t grain) {
  Tensor y = NewContext(run, heads);
  const size_t head_dim = q.y.dim(1) / heads.num_heads;
  run.ParallelFor(heads.num_heads, grain, [&](size_t begin, size_t end, size_t thread) {
    for (const LinearProduct* product : {&v, &k, &q}) {
      const size_t last = end == heads.num_heads ? product->num_panels : end * head_dim / product->panel_width;
      product->compute(thread, 0, product->num_rows(), begin * head_dim / product->panel_width, last);
    }
    for (size_t sequence = 0; sequence + 1 < heads.offsets.size(); ++sequence) ComputeHeads(run, thread, heads, sequence, begin, end, y);
  });
  return y;
}

}  // namespace

size_t HeadsAtOnce(const Run& run, const AttentionInput& q, const AttentionInput& k, const AttentionInput& v, size_t num_heads) {
  const size_t threads = run.num_threads();
  if (q.is_computed() || k.is_computed() || v.is_computed() || threads == 1 || k.num_rows() >= kRowsPerThread * threads) return 0;
  if (q.is_narrow(run) != k.is_narrow(run) || q.is_narrow(run) != v.is_narrow(run)) return 0;
  const size_t columns = ColumnGrain(run, q.weight()), head_dim = q.size() / num_heads;
  const size_t heads = columns % head_dim == 0 ? columns / head_dim : head_dim % columns == 0 ? 1 : 0;
  if (heads == 0) return 0;
  const size_t parts = (num_heads + heads - 1) / heads;
  return parts % threads == 0 || parts >= 4 * threads ? heads : 0;
}

LinearProduct AttentionInput::Prepare(Run& run) const {
  return PrepareLinear(run, layer_->x, *layer_->weight, layer_->bias, kernels::Activation::kNone, *layer_->packed, Reader::kAttention);
}

Tensor AttentionForward(Run& run, const AttentionInput& q, const AttentionInput& k, const AttentionInput& v, const Offsets& offsets, size_t num_heads,
                        float dropout, const Tensor* position_bias) {
  Heads heads = {.q = {}, .k = {}, .v = {}, .offsets = offsets, .num_heads = num_heads, .dropout = std::nullopt, .first_token = run.dropout().first_token(),
                 .position_bias = position_bias == nullptr ? Tensor() : *position_bias, .query_positions = {}, .query_offsets = {}};
  for (size_t s = 0; s + 1 < offsets.size(); ++s) heads.longest = std::max(heads.longest, offsets[s + 1] - offsets[s]);
  heads.SetQueries(run.rows().tokens);
  assert(q.num_rows() == heads.query_offsets.back());
  assert(!heads.position_bias.defined() || heads.position_bias.dim(1) >= 2 * heads.longest - 1);
  if (const size_t heads_at_once = HeadsAtOnce(run, q, k, v, num_heads); heads_at_once > 0) {
    const LinearProduct values = v.Prepare(run), keys = k.Prepare(run), queries = q.Prepare(run);
    heads.q = queries.y, heads.k = keys.y, heads.v = values.y;
    return ComputeHeadByHead(run, heads, queries, keys, values, heads_at_once);
  }
  heads.v = v.Rows(run), heads.k = k.Rows(run), heads.q = q.Rows(run);
  if (heads.q.dtype() == DType::kBF16 || heads.k.dtype() == DType::kBF16 || heads.v.dtype() == DType::kBF16) {
    assert(!run.training());  // it has no gradient
    for (Tensor* x : {&heads.q, &heads.k, &heads.v})
      if (x->dtype() != DType::kBF16) *x = AsBf16(run, *x);
    return ComputeAll(run, heads);
  }
  if (run.dropout().on() && dropout > 0) heads.dropout = run.dropout().Next(dropout);
  Tensor y = ComputeAll(run, heads);
  const uint32_t q_id = heads.q.tape_id(), k_id = heads.k.tape_id(), v_id = heads.v.tape_id();
  if (run.tape() != nullptr && (q_id != 0 || k_id != 0 || v_id != 0))
    run.tape()->Record(y, [heads = std::move(heads), q_id, k_id, v_id](Run& run, const Tensor& gradient) {
      AttentionBackward(run, heads, q_id, k_id, v_id, gradient);
    });
  return y;
}

}  // namespace mlac
