#include "autograd/run.h"

#include <algorithm>
#include <cassert>

#include "kernels/instruction_set.h"
#include "kernels/vector_ops.h"

namespace mlac {

Run::Run(RunOptions options)
    : team_(options.team), tape_(options.tape), dtype_(options.dtype), scratch_(num_threads()), recompute_(options.recompute) {
  kernels::InstructionSetInUse();  // obeys MLAC_ISA before the first kernel runs
}

void Run::ParallelFor(size_t count, size_t grain, const std::function<void(size_t, size_t, size_t)>& body) {
  if (team_ != nullptr) return team_->ParallelFor(count, grain, body);
  if (count > 0) body(0, count, 0);
}

void Run::ParallelTasks(size_t count, const std::function<void(size_t, size_t)>& body) {
  if (team_ != nullptr) return team_->ParallelTasks(count, body);
  for (size_t i = 0; i < count; ++i) body(i, 0);
}

float* Run::Scratch(size_t thread, size_t count) {
  constexpr size_t kAlignment = 64;
  std::vector<float>& memory = scratch_[thread];
  const size_t size = count + kAlignment / sizeof(float);
  if (memory.size() < size) memory.resize(size);
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  return memory.data() + ((kAlignment - address % kAlignment) % kAlignment) / sizeof(float);
}

const Run::Narrow& Run::NarrowInput(const Tensor& x, DType dtype, const std::function<void(Narrow&)>& round) {
  if (narrow_.source.data() == x.data() && narrow_.source.shape() == x.shape() && narrow_.values.dtype() == dtype) return narrow_;
  narrow_ = {};  // its memory can be used again
  narrow_.source = x;
  round(narrow_);
  return narrow_;
}

void Run::BeginDropout(uint64_t seed, uint32_t step, uint32_t first_token, uint32_t first_sequence) {
  dropout_ = {.on = true, .seed = seed, .step = step, .first_token = first_token, .first_sequence = first_sequence, .operation = 0};
}

kernels::DropoutKey Run::NextDropout(float probability) {
  return {.seed = dropout_.seed, .step = dropout_.step, .operation = dropout_.operation++, .probability = probability};
}

void Run::WithoutTape(const std::function<void()>& body) {
  struct Restore {
    bool& records;
    bool before;
    ~Restore() { records = before; }
  } restore = {records_, records_};
  records_ = false;
  body();
}

void Run::CloseSection(size_t num_kept_bytes) {
  assert(open_sections_ > 0);
  kept_bytes_ += num_kept_bytes;
  most_kept_bytes_ = std::max(most_kept_bytes_, num_kept_bytes);
  if (--open_sections_ > 0) return;
  // The peak holds what one section keeps; without recomputing all would keep theirs until the backward pass.
  bytes_without_recompute_ = std::max(bytes_without_recompute_, pool_.peak_bytes() + kept_bytes_ - most_kept_bytes_);
  kept_bytes_ = most_kept_bytes_ = 0;
}

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
