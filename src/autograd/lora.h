#pragma once
// What a low-rank adapter adds to a linear layer. Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models",
// https://arxiv.org/abs/2106.09685, section 4.1: h = W x + (alpha / r) B A x.
#include "autograd/parameter.h"
#include "autograd/run.h"

namespace mlac {

// z + B (scale * (A x)), one entry on the tape. x: [T, K] f32; z: [T, N], owned, which the sum is written into; a: [r, K]; b: [N, r].
// An element is one chain that goes on from z over rising r, so that rows computed alone, or in parts of a batch, have the same bits.
Tensor LoraForward(Run& run, const Tensor& x, Tensor z, Parameter& a, Parameter& b, float scale);

}  // namespace mlac
