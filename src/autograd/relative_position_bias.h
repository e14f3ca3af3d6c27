#pragma once
// A bias of attention scores that depends on the head and on the distance from query to key, in buckets, one entry on the tape.
// Raffel et al. 2020, section 2.1, https://arxiv.org/abs/1910.10683; Song et al. 2020 (MPNet), https://arxiv.org/abs/2004.09297.
#include <cstddef>

#include "autograd/parameter.h"
#include "autograd/run.h"

namespace mlac {

// The bucket of a distance (position of the key less that of the query) in both directions: half of the buckets are for keys behind the query, half
// for those before it; in each half the first half holds one distance each, the rest grows by a constant factor up to max_distance.
// num_buckets: a multiple of 4.
size_t RelativePositionBucket(ptrdiff_t distance, size_t num_buckets, size_t max_distance);

// weight: [num_buckets, num_heads], f32, or in inference I8 with a scale a bucket. Returns [num_heads, 2 span - 1]: the bias of each distance from
// -(span - 1) to span - 1, for AttentionForward. Its gradient comes as [sequences, num_heads, 2 span - 1]. Throws kUnsupported for I8 in training.
Tensor RelativePositionBias(Run& run, Parameter& weight, size_t span, size_t max_distance);

}  // namespace mlac
