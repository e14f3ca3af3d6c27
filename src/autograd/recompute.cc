#include "autograd/recompute.h"

#include <algorithm>
#include <utility>

namespace mlac {
namespace {

// Computes the section again; the tape goes on with what that has recorded.
void RecomputedBackward(Run& run, const std::function<Tensor(Run&)>& section, const DropoutStream& place, const Tensor& gradient) {
  const DropoutStream now = run.dropout();
  const size_t bytes_before = run.bytes_in_use();
  run.dropout() = place;
  Tensor again = section(run);
  run.dropout() = now;
  // Its result was there already. Operators may also have let go of something that was kept from before.
  const size_t kept = std::max(run.bytes_in_use(), bytes_before + again.num_bytes()) - bytes_before - again.num_bytes();
  run.section_memory().Close(kept, run.memory_use().peak);
  run.tape()->Accumulate(run, again.tape_id(), gradient);
}

}  // namespace

Tensor Recomputed(Run& run, std::function<Tensor(Run& run)> section) {
  if (!run.recomputes()) return section(run);
  const DropoutStream place = run.dropout();
  Tensor y;
  run.WithoutTape([&] { y = section(run); });
  run.section_memory().Open();
  run.tape()->Record(
      y, [section = std::move(section), place](Run& run, const Tensor& gradient) { RecomputedBackward(run, section, place, gradient); });
  return y;
}

}  // namespace mlac
