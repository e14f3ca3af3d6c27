#pragma once
// AdamW with clipping, and the learning rate's course.
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "autograd/parameter.h"
#include "autograd/run.h"

namespace mlac {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0.01;  // not for biases and norms
  double max_grad_norm = 1.0;  // 0: no clipping
  // The learning rate of a layer is that of the one above it times this, so that what lies deeper changes less; 1: all learn alike. Head and top layer
  // have the full rate, the embeddings are below all layers. Sun et al. 2019, https://arxiv.org/abs/1905.05583, section 5.3.3.
  double layer_decay = 1.0;
  std::vector<std::string> head_prefixes = {};  // names of the head's parameters begin with one of these
};

// layer_decay to the power of the layers that stand above each of these parameters.
std::vector<double> LayerRates(const std::vector<std::string>& names, const std::vector<std::string>& head_prefixes, double layer_decay);

// Linear warm-up from 0, then linear decay to 0, as transformers' get_linear_schedule_with_warmup. step counts from 0 and is below num_steps.
double LearningRate(double peak, size_t step, size_t num_warmup_steps, size_t num_steps);

// The moments of the parameters that learn. Loshchilov and Hutter 2017; the formula of torch.optim.AdamW.
class Optimizer {
 public:
  // Takes those of `parameters` that are trainable; they must stay where they are.
  Optimizer(std::deque<Parameter>& parameters, const AdamWOptions& options);

  // Sets all gradients to zero, making them at first.
  void ZeroGradients(Run& run);
  // The Euclidean length of all gradients together, before clipping. Throws kInvalidInput naming the first parameter whose gradient is not
  // finite, or so large that its square overflows f32.
  double GradientNorm(Run& run) const;
  // One step, the t-th from 1, with gradients of this length.
  void Step(Run& run, double learning_rate, uint64_t t, double gradient_norm);

  // The name of the parameter whose gradient is the longest, for messages.
  std::string LargestGradient(Run& run) const;

  class Slot {
   public:
    Slot(Parameter& parameter, bool decays, double rate);
    Parameter* parameter;
    bool decays;
    double rate;  // of the learning rate: layer_decay
    // Of the parameter's shape.
    const Tensor& moment1() const { return moment1_; }
    const Tensor& moment2() const { return moment2_; }
    void SetMoments(Tensor moment1, Tensor moment2);

   private:
    friend class Optimizer;
    Tensor moment1_, moment2_;
    RowSet moving_;  // outside of these rows both moments are zero
  };
  std::vector<Slot>& slots() { return slots_; }

 private:
  AdamWOptions options_;
  std::vector<Slot> slots_;
};

}  // namespace mlac
