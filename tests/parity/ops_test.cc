// Each operator against PyTorch in float64: outputs within 1e-5 x max(1, largest absolute value), gradients within 2e-5: in the case of large
// scores a rounding of 2^-24 of a score is multiplied by that score on its way back.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/embedding.h"
#include "autograd/layer_norm.h"
#include "autograd/linear.h"
#include "autograd/pooling.h"
#include "base/json.h"
#include "kernels/cross_entropy.h"
#include "nn/layers.h"
#include "tests/support/reference.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::Compare;
using test::Doubles;
using test::Integers;

constexpr double kBound = 1e-5, kGradientBound = 2e-5;

// One case of ops.json: its inputs by name, and the check of what comes out.
class Case {
 public:
  Case(const json& entry) : file_(test::OpenFixture("ops/" + entry.at("file").get<std::string>())), name_(entry.at("case")), attributes_(entry.at("attributes")) {}

  const json& attributes() const { return attributes_; }
  std::string Full(const std::string& name) const { return name_ + "/" + name; }
  bool Has(const std::string& name) const { return file_.Find(Full(name)) != nullptr; }
  Tensor Input(const std::string& name) const { return file_.Get(Full(name)).ToF32(); }
  std::vector<int32_t> Ids(const std::string& name) const { return Integers(file_, Full(name)); }
  Offsets ReadOffsets() const { return test::ReadOffsets(file_, Full("offsets")); }
  std::vector<double> Expected(const std::string& name) const { return Doubles(file_, Full(name)); }

  void Check(std::span<const float> found, const std::string& name) const {
    const test::Difference difference = Compare(found, Expected(name));
    EXPECT_TRUE(difference.within(name.starts_with("gradient") ? kGradientBound : kBound)) << file_.name() << ", " << Full(name) << ": " << difference.largest << " of " << difference.magnitude;
  }

  // Runs forward on the named inputs as leaves and parameters, checks y and every gradient.
  void Run(const std::vector<std::string>& inputs, const std::vector<std::string>& parameter_names,
           const std::function<Tensor(mlac::Run&, std::vector<Tensor>&, std::vector<Parameter>&)>& forward) const {
    Tape tape;
    mlac::Run run({.team = nullptr, .tape = &tape});
    std::vector<Tensor> leaves;
    std::map<std::string, std::vector<float>> gradients;
    for (const std::string& name : inputs) {
      leaves.push_back(Input(name));
      tape.Record(leaves.back(), [&gradients, name](mlac::Run&, const Tensor& gradient) {
        gradients[name].assign(gradient.floats().begin(), gradient.floats().end());
      });
    }
    std::vector<Parameter> parameters;
    for (const std::string& name : parameter_names) {
      const Tensor value = Input(name);
      parameters.push_back({name, value, Tensor::Zeros(value.shape()), true, {}});
    }
    const Tensor y = forward(run, leaves, parameters);
    Check(y.floats(), "y");
    if (!Has("gradient_y")) return;  // the reference has no gradient there (the length of a row of zeros)
    tape.Backward(run, y, Tensor::FromValues(y.shape(), Input("gradient_y").floats()));
    for (const std::string& name : inputs) Check(gradients[name], "gradient_" + name);
    for (const Parameter& parameter : parameters) Check(parameter.gradient.floats(), "gradient_" + parameter.name);
  }

 private:
  SafetensorsFile file_;
  std::string name_;
  json attributes_;
};

void RunLinear(const Case& test) {
  std::vector<std::string> parameters = {"weight"};
  if (test.attributes().at("bias")) parameters.emplace_back("bias");
  const std::string activation = test.attributes().at("activation");
  test.Run({"x"}, parameters, [&](Run& run, std::vector<Tensor>& in, std::vector<Parameter>& p) {
    PackedWeight packed;
    return LinearForward(run, in[0], p[0], p.size() > 1 ? &p[1] : nullptr,
                         activation == "none" ? kernels::Activation::kNone : ActivationFromName(activation), packed);
  });
}

void RunActivation(const Case& test) {
  const kernels::Activation activation = ActivationFromName(test.attributes().at("activation"));
  const Tensor x = test.Input("x"), gradient_y = test.Input("gradient_y");
  std::vector<float> y(x.num_elements()), gradient(x.num_elements());
  kernels::Activate(activation, x.floats().data(), y.data(), y.size());
  kernels::ActivateBackward(activation, x.floats().data(), gradient_y.floats().data(), gradient.data(), y.size());
  test.Check(y, "y");
  test.Check(gradient, "gradient_x");
}

void RunLayerNorm(const Case& test) {
  std::vector<std::string> inputs = {"x"};
  if (test.attributes().at("residual")) inputs.emplace_back("residual");
  const std::string gamma = test.Has("weight") ? "weight" : "gamma", beta = test.Has("bias") ? "bias" : "beta";
  test.Run(inputs, {gamma, beta}, [&](Run& run, std::vector<Tensor>& in, std::vector<Parameter>& p) {
    return LayerNormForward(run, in[0], in.size() > 1 ? &in[1] : nullptr, p[0], p[1], test.attributes().at("eps"));
  });
}

void RunAttention(const Case& test) {
  test.Run({"q", "k", "v"}, {}, [&](Run& run, std::vector<Tensor>& in, std::vector<Parameter>&) {
    return AttentionForward(run, in[0], in[1], in[2], test.ReadOffsets(), test.attributes().at("num_heads"), 0);
  });
}

void RunPooling(const Case& test) {
  const std::string mode = test.attributes().at("mode");
  test.Run({"x"}, {}, [&](Run& run, std::vector<Tensor>& in, std::vector<Parameter>&) {
    return PoolForward(run, in[0], test.ReadOffsets(), mode == "mean" ? Pooling::kMean : mode == "cls" ? Pooling::kCls : Pooling::kMax);
  });
}

void RunNormalize(const Case& test) {
  test.Run({"x"}, {}, [&](Run& run, std::vector<Tensor>& in, std::vector<Parameter>&) { return NormalizeForward(run, in[0]); });
}

void RunEmbeddingSum(const Case& test) {
  const std::vector<int32_t> words = test.Ids("token_ids"), types = test.Ids("token_type_ids"), positions = PositionIds(test.ReadOffsets());
  test.Run({}, {"word", "token_type", "position"}, [&](Run& run, std::vector<Tensor>&, std::vector<Parameter>& p) {
    return Sum(run, EmbeddingForward(run, p[0], words), EmbeddingForward(run, p[1], types), EmbeddingForward(run, p[2], positions));
  });
}

void RunCrossEntropy(const Case& test) {
  const Tensor logits = test.Input("logits");
  const std::vector<int32_t> labels = test.Ids("labels");
  const size_t rows = labels.size(), classes = logits.dim(1);
  std::vector<float> weights(classes, 1.0f), scales(rows), gradient(rows * classes), probabilities(rows * classes), losses32;
  if (test.attributes().at("class_weights")) {
    const Tensor given = test.Input("class_weights");
    weights.assign(given.floats().begin(), given.floats().end());
  }
  double total = 0;
  for (const int32_t label : labels) total += weights[static_cast<size_t>(label)];
  if (test.attributes().at("reduction") == "sum") total = 1;
  for (size_t r = 0; r < rows; ++r)
    scales[r] = static_cast<float>(weights[static_cast<size_t>(labels[r])] / total) * test.Input("gradient_y").floats()[0];
  std::vector<double> losses(rows);
  kernels::CrossEntropy(logits.floats().data(), labels.data(), rows, classes, losses.data(), scales.data(), gradient.data());
  kernels::Softmax(logits.floats().data(), rows, classes, probabilities.data());
  for (size_t r = 0; r < rows; ++r) losses32.push_back(static_cast<float>(losses[r]));
  test.Check(losses32, "losses");
  test.Check(probabilities, "probabilities");
  test.Check(gradient, "gradient_logits");
}

TEST(OperatorParity, OutputsAndGradientsAreThoseOfPyTorch) {
  const std::map<std::string, void (*)(const Case&)> runners = {{"linear", RunLinear},   {"activation", RunActivation}, {"layer_norm", RunLayerNorm},
                                                                {"attention", RunAttention}, {"pooling", RunPooling}, {"l2_normalize", RunNormalize},
                                                                {"embedding_sum", RunEmbeddingSum}, {"cross_entropy", RunCrossEntropy}};
  std::map<std::string, int> counts;
  for (const json& entry : ReadJsonFile(test::FixturePath("ops/ops.json"))) {
    const std::string op = entry.at("op");
    ++counts[op];
    if (const auto runner = runners.find(op); runner != runners.end()) runner->second(Case(entry));
  }
  for (const auto& [op, runner] : runners) EXPECT_GT(counts[op], 0) << op;
}

}  // namespace
}  // namespace mlac
