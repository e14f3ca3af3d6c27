#pragma once
// Sequences of several models over one base, a base and its adapters, computed as one ragged batch.
#include <memory>
#include <span>

#include "models/inference.h"
#include "pipelines/text_model.h"

namespace mlac {

// Sequences of one model, and what is asked for them.
struct JoinedPart {
  const TextModel* model = nullptr;
  const TokenBatch* batch = nullptr;
  RowsWanted wanted = {};
  std::span<float> out = {};  // [rows, row_size of the model]
};

// Whether the model differs from its base in low-rank adapters and in its head alone, so that its sequences can be computed with those of
// others.
bool CanJoin(const Model& model);

// Fills out of each part: the bits that its model gives alone. base: of all of them, an encoder. Throws as Model::Encode and TextModel::RowsOf.
void ComputeJoined(Inference& inference, const Model& base, std::span<const JoinedPart> parts);

}  // namespace mlac
