#pragma once
// A model folder in int8: linear layers and embedding tables with one scale a row, heads and norms as they were.
#include <cstddef>
#include <string>

namespace mlac {

struct Int8Summary {
  size_t num_quantized = 0, num_tensors = 0;  // tensors that became int8, of all that the weights hold
  size_t bytes_before = 0, bytes_after = 0;   // of the weights
};

// Writes the copy of `model` (a folder that OpenModel opens) into the empty folder `out`, in compressed-tensors' format "int-quantized":
// "NAME.weight" I8 and "NAME.weight_scale" F32 [rows, 1]. Of a decoder that is tied to the embeddings only the scales are stored.
// Tokenizer, pooling and the like are copied; measurements of the f32 model (metrics.json, pictures) and its card, which speaks of them,
// are not: int8_card.h makes another. Throws kUnsupported for a folder that is quantised already, kInvalidInput for a weight with NaN or
// infinity.
Int8Summary WriteInt8Folder(const std::string& model, const std::string& out);

}  // namespace mlac
