#include "autograd/run.h"

#include "kernels/instruction_set.h"

namespace mlac {

Run::Run(RunOptions options)
    : team_(options.team), tape_(options.tape), dtype_(options.dtype), recompute_(options.recompute), scratch_(num_threads()) {
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

void Run::WithoutTape(const std::function<void()>& body) {
  struct Restore {
    bool& records;
    bool before;
    ~Restore() { records = before; }
  } restore = {records_, records_};
  records_ = false;
  body();
}

}  // namespace mlac
