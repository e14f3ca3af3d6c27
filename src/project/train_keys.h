#pragma once
// The keys of `train` of mlac.yaml. Each is one line of the table in train_keys.cc: reading, messages, what a revision was made with, the
// reference and the schema follow from it.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "project/yaml_keys.h"
#include "train/fine_tune.h"

namespace mlac {

std::vector<KeyInfo> TrainKeyInfos();

// Sets what the section says; of an adapter the learning rate, too, unless it is given. Throws as ReadSection, and kInvalidInput for keys
// that exclude or need each other.
void ReadTrainKeys(const YamlValue& section, FineTuneOptions& options);

// Throws kInvalidInput for a key that the task does not have, with the tasks that have it.
void CheckTrainKeys(const YamlValue& section, std::string_view task);

// Names and values, as the section has them, of what decides the weights; some keys are left out where they have their default. Read again
// by ReadTrainKeys they give the same.
std::vector<std::pair<std::string, std::string>> TrainKeyValues(const FineTuneOptions& options);

}  // namespace mlac
