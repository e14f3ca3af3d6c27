#pragma once
// The families of models, one function and one file each, called through the registry.
#include <memory>
#include <string>

#include "models/config.h"
#include "models/model.h"
#include "nn/weights.h"

namespace mlac {

// Builds the model that config describes. source: the weights' name, for messages. Throws kInvalidInput for absurd values and weights that do
// not fit, kUnsupported for what the family's code does not compute.
using MakeFamily = std::unique_ptr<Model>(const ConfigReader& config, WeightSource weights, const std::string& source, const HeadRequest& request);

MakeFamily MakeBert;
MakeFamily MakeDistilBert;
MakeFamily MakeElectra;
MakeFamily MakeMpnet;

constexpr size_t kMpnetReservedPositions = 2;  // up to that of padding; the first token has the next

}  // namespace mlac
