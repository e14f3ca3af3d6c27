#pragma once
// Tests that a model passes today, proposed from what it answers on its test data.
#include <atomic>
#include <string>

#include "project/model_task.h"

namespace mlac {

// A file of tests as YAML, with comments. Throws what reading and evaluating throw.
std::string ProposeTestsFor(const ModelTask& task, const std::string& folder, const ModelData& data, const std::string& name,
                            size_t num_threads, const std::atomic<bool>& stop);

}  // namespace mlac
