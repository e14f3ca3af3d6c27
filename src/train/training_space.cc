#include "train/training_space.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace mlac {
namespace {

uint64_t BytesOf(const Parameter& parameter) { return uint64_t{parameter.value.num_elements()} * sizeof(float); }

std::string InMegabytes(uint64_t num_bytes) { return fmt::format("{:.1f} MB", static_cast<double>(num_bytes) / 1e6); }

}  // namespace

uint64_t TrainingSpace::BytesNeeded() const {
  const size_t at_once = std::min<size_t>(num_checkpoints + has_checkpoint, 2);
  const uint64_t while_training = at_once * checkpoint, at_the_end = result + (at_once > 0 ? checkpoint : 0);
  return std::max(while_training, at_the_end) - (has_checkpoint ? checkpoint : 0);
}

TrainingSpace SpaceOf(const Model& model, const TrainingOptions& options, size_t num_examples, bool has_validation, bool adapter,
                      bool has_checkpoint) {
  TrainingSpace space = {.has_checkpoint = has_checkpoint};
  for (const Parameter& parameter : model.parameters().parameters()) {
    if (!options.freeze || StartsWithAny(parameter.name, model.head_prefixes())) space.checkpoint += BytesOf(parameter) * (has_validation ? 4 : 3);
    if (adapter) space.result += BytesOf(parameter);
  }
  if (!adapter)
    for (const Parameter* parameter : model.parameters().All()) space.result += BytesOf(*parameter);
  const size_t num_steps = (num_examples + options.step_size() - 1) / options.step_size() * options.num_epochs;
  if (options.save_steps > 0 && num_steps > 0) space.num_checkpoints = (num_steps - 1) / options.save_steps;
  return space;
}

void CheckSpace(const TrainingSpace& space, const std::string& folder,
                const std::function<std::optional<uint64_t>(const std::string& path)>& free_bytes, bool as_keys) {
  const std::optional<uint64_t> free = free_bytes(folder);
  const uint64_t needed = space.BytesNeeded();
  if (!free || *free >= needed) return;
  const bool saves = space.num_checkpoints > 0 && !space.has_checkpoint;
  std::string hint = as_keys ? "free some space there" : "free some space there, or choose another --out";
  if (saves && !as_keys) hint += fmt::format("; with --save-steps 0, without checkpoints, it needs {}", InMegabytes(space.result));
  throw Error(ErrorCode::kResourceExhausted,
              fmt::format("{}: the trained weights{} need {}, {} are free there", folder, saves ? " and checkpoints" : "",
                          InMegabytes(needed), InMegabytes(*free)),
              hint);
}

}  // namespace mlac
