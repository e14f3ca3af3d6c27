#include "autograd/tape.h"

#include <cassert>
#include <utility>

#include "autograd/run.h"
#include "kernels/vector_ops.h"

namespace mlac {

void Tape::Record(Tensor& output, BackwardFunction backward) {
  entries_.push_back({std::move(backward), {}});
  output.set_tape_id(static_cast<uint32_t>(entries_.size()));
}

void Tape::Accumulate(Run& run, uint32_t tape_id, Tensor gradient) {
  if (tape_id == 0) return;
  Tensor& held = entries_[tape_id - 1].gradient;
  if (!held.defined()) {
    held = std::move(gradient);
    return;
  }
  assert(held.num_elements() == gradient.num_elements());
  // A new tensor: one gradient may have been given to two inputs, which then share its storage.
  Tensor sum = run.NewTensor(held.shape());
  run.ParallelFor(sum.num_elements(), 4096, [&](size_t begin, size_t end, size_t) {
    kernels::Add(held.floats().data() + begin, gradient.floats().data() + begin, sum.mutable_floats().data() + begin, end - begin);
  });
  held = std::move(sum);
}

void Tape::Backward(Run& run, const Tensor& output, Tensor gradient) {
  Accumulate(run, output.tape_id(), std::move(gradient));
  while (!entries_.empty()) {
    const Entry entry = std::move(entries_.back());
    entries_.pop_back();  // what it kept is freed as soon as it has been used
    if (entry.gradient.defined()) entry.backward(run, entry.gradient);
  }
}

}  // namespace mlac
