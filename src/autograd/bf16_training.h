#pragma once
// Linear layers of training in bf16: the products of the forward and of the backward pass take operands rounded to bf16 and sum in f32.
// Weights, what stands between the layers, and gradients stay f32. Micikevicius et al. 2017, https://arxiv.org/abs/1710.03740; with bf16,
// which needs no scaling of the loss: Kalamkar et al. 2019, https://arxiv.org/abs/1905.12322.
//
// T: rows. K: inputs. N: outputs.
#include "autograd/linear.h"

namespace mlac {

// x W^T + b, [T, N] f32. x: [T, K] f32; bias: [N] or nullptr; packed: the weight's own, used where the weight stands still.
Tensor Bf16TrainingProduct(Run& run, const Tensor& x, const Parameter& weight, const Parameter* bias, PackedWeight& packed);

// From dZ [T, N] f32: adds dZ^T X to the weight's gradient if that is trainable, and returns dX = dZ W, [T, K], if x has a tape_id, else
// an undefined tensor.
// Rows are added in blocks of 128 from the first row of the batch on; what does not fill a block waits in the run for the next part of the
// batch, so that the parts change no bit. FinishWeightGradient adds what still waits.
Tensor Bf16LinearGradients(Run& run, const Tensor& x, const Tensor& gradient_z, Parameter& weight);

// Behind the last part of a batch, for every weight: its gradient is complete. Nothing to do in f32.
void FinishWeightGradient(Run& run, Parameter& weight);

}  // namespace mlac
