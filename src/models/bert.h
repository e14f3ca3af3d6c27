#pragma once
// BERT and its heads: one function, called through the registry.
#include <memory>
#include <string>

#include "models/config.h"
#include "models/registry.h"

namespace mlac {

std::unique_ptr<Model> MakeBert(const ConfigReader& config, WeightLookup weights, const std::string& source, const HeadRequest& request);

}  // namespace mlac
