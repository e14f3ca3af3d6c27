// quantization_config: what is taken, what is refused and in which words, and that int8 weights are what they stand for.
#include "models/quantization.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "kernels/instruction_set.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "optimize/int8_folder.h"
#include "tensor/weight_files.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ExpectError;
using test::FixturePath;
using test::SameBits;
using test::TemporaryFolder;

json Written(const std::vector<std::string>& ignore = {}) { return json::parse(Int8QuantizationConfig(ignore).dump()); }

Quantization Read(const json& quantization) { return ReadQuantization({{"quantization_config", quantization}}, "config.json"); }

// What mlac writes, with the value at a place of it.
json With(const std::string& pointer, const json& value) {
  json quantization = Written();
  quantization[json::json_pointer(pointer)] = value;
  return quantization;
}

json Without(const std::string& pointer) {
  json quantization = Written();
  const json::json_pointer place(pointer);
  quantization[place.parent_pointer()].erase(place.back());
  return quantization;
}

TEST(ReadQuantization, TakesWhatMlacWritesAndWhatMeansTheSame) {
  EXPECT_EQ(ReadQuantization(json::object(), "config.json"), Quantization::kNone);
  EXPECT_EQ(ReadQuantization({{"quantization_config", nullptr}}, "config.json"), Quantization::kNone);
  EXPECT_EQ(Read(Written()), Quantization::kInt8);
  EXPECT_EQ(Read(Written({"classifier", "bert.pooler.dense"})), Quantization::kInt8);
  const json symmetric = With("/config_groups/group_0/input_activations/symmetric", true);
  EXPECT_EQ(Read(symmetric), Quantization::kInt8);
  EXPECT_EQ(Read(With("/config_groups/group_0/weights/strategy", "tensor")), Quantization::kInt8);
  EXPECT_EQ(Read(With("/config_groups/group_0/format", "int-quantized")), Quantization::kInt8);
  EXPECT_EQ(Read(With("/config_groups/group_0/input_activations", nullptr)), Quantization::kInt8WeightOnly);
  EXPECT_EQ(Read(Without("/config_groups/group_0/input_activations")), Quantization::kInt8WeightOnly);
  EXPECT_EQ(Read(Without("/config_groups/group_1")), Quantization::kInt8);
  // compressed-tensors' defaults: 8 bits, int, symmetric, one scale a tensor.
  EXPECT_EQ(Read(With("/config_groups/group_0/weights", json::object())), Quantization::kInt8);
  EXPECT_EQ(Read(With("/sparsity_config", json::object())), Quantization::kInt8);
  EXPECT_EQ(Read(With("/transform_config", json::object())), Quantization::kInt8);
}

TEST(ReadQuantization, NamesTheFieldThatItDoesNotSupport) {
  const std::string group = "/config_groups/group_0";
  const std::vector<std::tuple<json, std::string>> cases = {
      {{{"quant_method", "bitsandbytes"}, {"load_in_8bit", true}}, R"(quant_method is "bitsandbytes"; supported is "compressed-tensors")"},
      {Without("/quant_method"), R"(quant_method is null; supported is "compressed-tensors")"},
      {With("/quant_method", 8), R"(quant_method is 8; supported is "compressed-tensors")"},
      {With("/format", "pack-quantized"), R"(format is "pack-quantized"; supported is "int-quantized")"},
      {Without("/format"), R"(format is null; supported is "int-quantized")"},
      {With("/kv_cache_scheme", {{"num_bits", 8}}), R"(kv_cache_scheme is {"num_bits":8}; supported is null)"},
      {With("/sparsity_config", {{"format", "sparse-24-bitmask"}}), R"(sparsity_config is {"format":"sparse-24-bitmask"}; supported is null)"},
      {With("/transform_config", {{"config_groups", {{"R1", json::object()}}}}),
       R"(transform_config is {"config_groups":{"R1":{}}}; supported is null)"},
      {Without("/config_groups"), "config_groups is null; supported is an object with a group"},
      {With("/config_groups", json::object()), "config_groups is {}; supported is an object with a group"},
      {With("/config_groups", json::array({"W8A8"})), R"(config_groups is ["W8A8"]; supported is an object with a group)"},
      {With(group, "W8A8"), "config_groups.group_0.weights is null; supported is an object"},
      {With(group, json::array({"Linear"})), "config_groups.group_0.weights is null; supported is an object"},
      {With(group + "/weights", nullptr), "config_groups.group_0.weights is null; supported is an object"},
      {With(group + "/weights", "int8"), R"(config_groups.group_0.weights is "int8"; supported is an object)"},
      {With(group + "/format", "pack-quantized"), R"(config_groups.group_0.format is "pack-quantized"; supported is "int-quantized")"},
      {With(group + "/weights/num_bits", 4), "config_groups.group_0.weights.num_bits is 4; supported is 8"},
      {With(group + "/weights/num_bits", "8"), R"(config_groups.group_0.weights.num_bits is "8"; supported is 8)"},
      {With(group + "/weights/type", "float"), R"(config_groups.group_0.weights.type is "float"; supported is "int")"},
      {With(group + "/weights/symmetric", false), "config_groups.group_0.weights.symmetric is false; supported is true"},
      {With(group + "/weights/strategy", "group"), R"(config_groups.group_0.weights.strategy is "group"; supported is "channel" or "tensor")"},
      {With(group + "/output_activations", {{"num_bits", 8}}), R"(config_groups.group_0.output_activations is {"num_bits":8}; supported is null)"},
      {With(group + "/input_activations", "dynamic"), R"(config_groups.group_0.input_activations is "dynamic"; supported is an object or null)"},
      {With(group + "/input_activations/num_bits", 4), "config_groups.group_0.input_activations.num_bits is 4; supported is 8"},
      {With(group + "/input_activations/type", "float"), R"(config_groups.group_0.input_activations.type is "float"; supported is "int")"},
      {With(group + "/input_activations/strategy", "tensor"),
       R"(config_groups.group_0.input_activations.strategy is "tensor"; supported is "token")"},
      {Without(group + "/input_activations/strategy"), R"(config_groups.group_0.input_activations.strategy is null; supported is "token")"},
      {With(group + "/input_activations/dynamic", false), "config_groups.group_0.input_activations.dynamic is false; supported is true"},
      {With(group + "/input_activations/dynamic", "local"), R"(config_groups.group_0.input_activations.dynamic is "local"; supported is true)"},
      {Without(group + "/input_activations/dynamic"), "config_groups.group_0.input_activations.dynamic is null; supported is true"},
      {With("/config_groups/group_1/weights/symmetric", false), "config_groups.group_1.weights.symmetric is false; supported is true"},
  };
  for (const auto& [quantization, message] : cases)
    ExpectError(ErrorCode::kUnsupported, "config.json: quantization_config." + message, [&] { Read(quantization); });
}

TEST(ReadQuantization, RefusesWhatIsNoObjectAndActivationsThatAreRoundedHereAndNotThere) {
  ExpectError(ErrorCode::kInvalidInput, "config.json: quantization_config is string; expected an object", [] { Read("int8"); });
  ExpectError(ErrorCode::kInvalidInput, "config.json: quantization_config is array; expected an object", [] { Read(json::array()); });
  json mixed = Written();
  mixed["config_groups"]["group_2"] = mixed["config_groups"]["group_0"];
  mixed["config_groups"]["group_2"]["targets"] = {"re:.*output.*"};
  mixed["config_groups"]["group_2"]["input_activations"] = nullptr;
  ExpectError(ErrorCode::kUnsupported, "config.json: quantization_config quantises activations in one group and not in another", [&] { Read(mixed); });
}

TEST(Int8QuantizationConfig, IsThisText) {
  EXPECT_EQ(Int8QuantizationConfig({"classifier"}).dump(1), R"({
 "quant_method": "compressed-tensors",
 "format": "int-quantized",
 "quantization_status": "compressed",
 "config_groups": {
  "group_0": {
   "targets": [
    "Linear"
   ],
   "format": "int-quantized",
   "weights": {
    "num_bits": 8,
    "type": "int",
    "symmetric": true,
    "strategy": "channel",
    "dynamic": false
   },
   "input_activations": {
    "num_bits": 8,
    "type": "int",
    "symmetric": false,
    "strategy": "token",
    "dynamic": true
   },
   "output_activations": null
  },
  "group_1": {
   "targets": [
    "Embedding"
   ],
   "format": "int-quantized",
   "weights": {
    "num_bits": 8,
    "type": "int",
    "symmetric": true,
    "strategy": "channel",
    "dynamic": false
   },
   "input_activations": null,
   "output_activations": null
  }
 },
 "ignore": [
  "classifier"
 ],
 "kv_cache_scheme": null,
 "global_compression_ratio": null
})");
}

// An int8 folder of a fixture, whose files can be changed.
class Int8Model : public testing::Test {
 protected:
  void Make(const std::string& fixture) { MakeOf("models/" + fixture); }
  void MakeOf(const std::string& fixture) {
    fs::remove_all(path());
    fs::create_directory(path());
    WriteInt8Folder(FixturePath(fixture), path());
    const WeightFiles weights = WeightFiles::Open(path());
    tensors.clear();
    for (const std::string& name : weights.names()) tensors[name] = Owned(weights.Get(name));
  }

  static Tensor Owned(const Tensor& tensor) {
    Tensor copy = Tensor::Uninitialized(tensor.shape(), tensor.dtype());
    std::copy_n(tensor.data(), tensor.num_bytes(), copy.mutable_bytes().data());
    return copy;
  }

  void Save() {
    std::vector<NamedTensor> list;
    for (const auto& [name, tensor] : tensors) list.push_back({name, tensor});
    WriteSafetensors(path() + "/model.safetensors", list);
  }
  void SetConfig(const std::string& pointer, const json& value) {
    json config = ReadJsonFile(path() + "/config.json");
    config[json::json_pointer(pointer)] = value;
    folder.Write("model/config.json", config.dump());
  }
  void MakeWeightOnly() { SetConfig("/quantization_config/config_groups/group_0/input_activations", nullptr); }
  // The int8 weight as f32, without its scales.
  void Dequantize(const std::string& name) {
    const Tensor scale = tensors.at(name + "_scale");
    Tensor floats = tensors.at(name).ToF32();
    for (size_t i = 0; i < floats.num_elements(); ++i) floats.mutable_floats()[i] *= scale.floats()[i / floats.dim(1)];
    tensors[name] = floats;
    tensors.erase(name + "_scale");
  }
  std::string path() const { return folder / "model"; }

  std::vector<float> Answers(const std::string& model_folder, const TokenBatch& batch, DType dtype = DType::kF32) {
    const std::unique_ptr<Model> model = OpenModel(model_folder);
    mlac::Run run({.dtype = dtype});
    const Tensor hidden_states = model->Encode(run, batch);
    std::vector<float> answers(hidden_states.floats().begin(), hidden_states.floats().end());
    if (model->head() == Head::kSequenceClassification) {
      const Tensor logits = model->Classify(run, model->SequenceFeatures(run, hidden_states, batch.offsets));
      answers.insert(answers.end(), logits.floats().begin(), logits.floats().end());
    }
    return answers;
  }

  TemporaryFolder folder;
  std::map<std::string, Tensor> tensors;
};

const char kQuery[] = "bert.encoder.layer.0.attention.self.query.weight";

TokenBatch ClassifierBatch() { return test::ReadBatch(test::OpenFixture("models/classifier.expected.safetensors")); }

TEST_F(Int8Model, WithoutRoundedActivationsAnswersAsTheF32ModelOfItsWeightsBitForBit) {
  const TokenBatch batch = ClassifierBatch();
  Make("classifier");
  MakeWeightOnly();
  const std::vector<float> found = Answers(path(), batch);
  std::vector<std::string> quantized;
  for (const auto& [name, tensor] : tensors)
    if (tensor.dtype() == DType::kI8) quantized.push_back(name);
  ASSERT_GT(quantized.size(), 10u);
  for (const std::string& name : quantized) Dequantize(name);
  Save();
  SetConfig("/quantization_config", nullptr);
  EXPECT_TRUE(SameBits(found, Answers(path(), batch)));
}

TEST_F(Int8Model, TakesScalesOfEveryShapeThatMeansTheSame) {
  const TokenBatch batch = ClassifierBatch();
  Make("classifier");
  const std::vector<float> first = Answers(path(), batch);
  const size_t rows = tensors.at(kQuery).dim(0);
  tensors[kQuery + std::string("_scale")] = Tensor::FromValues({rows}, tensors.at(kQuery + std::string("_scale")).floats());
  Save();
  EXPECT_TRUE(SameBits(Answers(path(), batch), first)) << "[rows]";

  Tensor& scale = tensors[kQuery + std::string("_scale")];
  scale = Tensor::Zeros({rows});
  for (float& x : scale.mutable_floats()) x = 0.0125f;
  Save();
  const std::vector<float> each = Answers(path(), batch);
  for (const Shape& shape : {Shape{}, Shape{1}, Shape{1, 1}}) {
    scale = Tensor::Zeros(shape);
    scale.mutable_floats()[0] = 0.0125f;
    Save();
    EXPECT_TRUE(SameBits(Answers(path(), batch), each)) << ToString(shape);
  }
}

TEST_F(Int8Model, ScalesThatAreMissingOrOfAnotherShapeAreRefusedByName) {
  const std::string scale = kQuery + std::string("_scale");
  for (const bool weight_only : {false, true}) {
    SCOPED_TRACE(weight_only ? "weight only" : "activations too");
    Make("classifier");
    if (weight_only) MakeWeightOnly();
    const std::string file = path() + "/model.safetensors: ";
    const auto refused = [&](ErrorCode code, const std::string& message) {
      Save();
      ExpectError(code, file + message, [&] { OpenModel(path()); });
    };
    for (const auto& [shape, name] : {std::pair<Shape, std::string>{{31, 1}, "[31, 1]"}, {{32, 2}, "[32, 2]"}, {{1, 32}, "[1, 32]"}, {{64}, "[64]"},
                                      {{0}, "[0]"}}) {
      tensors[scale] = Tensor::Zeros(shape);
      refused(ErrorCode::kInvalidInput, "tensor '" + scale + "' is " + name + "; expected [32, 1] for '" + kQuery + "' [32, 32]");
    }
    tensors.erase(scale);
    refused(ErrorCode::kInvalidInput, "tensor '" + std::string(kQuery) + "' is I8, but there is no '" + scale + "'");

    Make("classifier");
    if (weight_only) MakeWeightOnly();
    const std::string norm = "bert.embeddings.LayerNorm.weight";
    tensors[norm] = Tensor::Zeros({32}, DType::kI8);
    tensors[norm + "_scale"] = Tensor::Zeros({1});
    refused(ErrorCode::kUnsupported, "tensor '" + norm + "' is I8 of shape [32]; int8 weights have two dimensions");
  }
  Make("classifier");
  tensors[kQuery] = Tensor::Zeros({32, 16, 2}, DType::kI8);
  Save();
  ExpectError(ErrorCode::kInvalidInput,
              path() + "/model.safetensors: tensor '" + kQuery + "' is [32, 16, 2]; config.json asks for [32, 32]", [&] { OpenModel(path()); });
}

// mlac leaves MPNet's bias of attention in f32; others, to whom it is one more embedding, do not.
TEST_F(Int8Model, TakesABiasOfAttentionInInt8) {
  const TokenBatch batch = test::ReadBatch(test::OpenFixture("families/mpnet.expected.safetensors"));
  MakeOf("families/mpnet");
  const auto bias = std::find_if(tensors.begin(), tensors.end(), [](const auto& entry) { return entry.first.ends_with("relative_attention_bias.weight"); });
  ASSERT_NE(bias, tensors.end());
  const std::string name = bias->first;
  const Shape shape = bias->second.shape();
  Tensor values = Tensor::Uninitialized(shape, DType::kI8), scales = Tensor::Uninitialized({shape[0], 1});
  for (size_t i = 0; i < values.num_elements(); ++i) values.mutable_bytes()[i] = static_cast<std::byte>(i * 31);
  for (size_t r = 0; r < shape[0]; ++r) scales.mutable_floats()[r] = 0.01f + 0.001f * static_cast<float>(r);
  tensors[name] = values;
  tensors[name + "_scale"] = scales;
  Save();
  const std::vector<float> found = Answers(path(), batch);
  Dequantize(name);
  Save();
  EXPECT_TRUE(SameBits(found, Answers(path(), batch)));
}

// Folders of others leave some layers as they are. Beside int8 ones they run in bf16 where that was asked for: the two share inputs, and one feeds
// the other. Within 10 % of the largest value of what the f32 model answers, as int8 and bf16 each are.
TEST_F(Int8Model, LayersLeftInF32RunInBf16BesideThoseInInt8) {
  const TokenBatch batch = ClassifierBatch();
  const std::vector<float> f32 = Answers(FixturePath("models/classifier"), batch);
  const std::vector<double> expected(f32.begin(), f32.end());
  for (const std::vector<std::string>& left : {std::vector<std::string>{"attention.self.query"}, {"attention.self.key"}, {"intermediate.dense"},
                                               {"output.dense"}, {"attention.self.value", "intermediate.dense"}}) {
    Make("classifier");
    for (const std::string& layer : {std::string("0"), std::string("1")})
      for (const std::string& name : left) Dequantize("bert.encoder.layer." + layer + "." + name + ".weight");
    Save();
    test::ForEachBound([&](std::string_view bound) {
      const test::Difference difference = test::Compare(Answers(path(), batch, DType::kBF16), expected);
      EXPECT_TRUE(difference.within(0.1)) << bound << ", " << left[0] << " in bf16: " << difference.largest << " of " << difference.magnitude;
    });
  }
}

}  // namespace
}  // namespace mlac
