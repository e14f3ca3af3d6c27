// Adapters: what is read and written, and that what a stranger's folder says is refused in one line, with the tensor or the key.
#include "models/adapter.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "models/inference.h"
#include "models/model_folder.h"
#include "tensor/safetensors.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;
using test::ExpectError;
using test::FixturePath;
using test::SameBits;

const std::string kBase = FixturePath("models/classifier");  // 2 layers, 32 wide, 3 labels
const std::string kQuery = "base_model.model.bert.encoder.layer.0.attention.self.query.";

Tensor Numbers(const Shape& shape, uint64_t seed) { return Tensor::FromValues(shape, test::RandomFloats(NumElements(shape), seed)); }

// An adapter of rank 2 at the queries of both layers, with a classifier of 3 labels, to be spoilt.
struct Folder {
  json config = {{"peft_type", "LORA"},
                 {"task_type", "SEQ_CLS"},
                 {"r", 2},
                 {"lora_alpha", 4},
                 {"bias", "none"},
                 {"target_modules", {"query"}},
                 {"modules_to_save", {"classifier", "score"}}};
  std::vector<NamedTensor> tensors;
  test::TemporaryFolder folder;

  Folder() {
    for (const char* layer : {"0", "1"}) {
      const std::string module = fmt::format("base_model.model.bert.encoder.layer.{}.attention.self.query.", layer);
      tensors.push_back({module + "lora_A.weight", Numbers({2, 32}, 1)});
      tensors.push_back({module + "lora_B.weight", Numbers({32, 2}, 2)});
    }
    tensors.push_back({"base_model.model.classifier.weight", Numbers({3, 32}, 3)});
    tensors.push_back({"base_model.model.classifier.bias", Numbers({3}, 4)});
  }

  Tensor& Find(const std::string& name) {
    return std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& tensor) { return tensor.name == name; })->tensor;
  }
  void Remove(const std::string& name) {
    std::erase_if(tensors, [&](const NamedTensor& tensor) { return tensor.name == name; });
  }

  std::unique_ptr<Model> Open() {
    folder.Write(kAdapterConfigFile, config.dump());
    WriteSafetensors(folder / kAdapterWeightsFile, tensors);
    return OpenAdapted(OpenBase(kBase), kBase, folder.path());
  }

  std::string weights() const { return folder / kAdapterWeightsFile; }
};

void Refused(ErrorCode code, const std::string& message, const std::function<void(Folder&)>& spoil) {
  Folder folder;
  spoil(folder);
  std::string text = message;
  for (const auto& [name, path] :
       {std::pair<std::string, std::string>{"WEIGHTS", folder.weights()}, {"CONFIG", folder.folder / kAdapterConfigFile}})
    if (text.starts_with(name)) text = path + text.substr(name.size());
  ExpectError(code, text, [&] { folder.Open(); });
}

TEST(Adapter, OpensWithItsScaleAndItsOwnHead) {
  Folder folder;
  const std::unique_ptr<Model> model = folder.Open();
  ASSERT_EQ(model->parameters().loras().size(), 2u);
  EXPECT_EQ(model->parameters().loras()[0].name, "bert.encoder.layer.0.attention.self.query");
  EXPECT_EQ(model->parameters().loras()[0].scale, 2);
  EXPECT_EQ(model->num_labels(), 3u);
  EXPECT_EQ(model->parameters().parameters().size(), 6u);
}

TEST(AdapterConfig, ScalesAsPeftDoes) {
  AdapterConfig config = {.rank = 4, .alpha = 16};
  config.rank_pattern = {{"query", 2}, {"layer.1.attention.self.value", 16}};
  config.alpha_pattern = {{"layer.0.attention.self.query", 6}};
  EXPECT_EQ(config.RankOf("bert.encoder.layer.0.attention.self.key"), 4u);
  EXPECT_EQ(config.ScaleOf("bert.encoder.layer.0.attention.self.key"), 4);
  EXPECT_EQ(config.ScaleOf("bert.encoder.layer.0.attention.self.query"), 3);
  EXPECT_EQ(config.ScaleOf("bert.encoder.layer.1.attention.self.query"), 8);
  config.rank_stabilized = true;
  EXPECT_EQ(config.ScaleOf("bert.encoder.layer.1.attention.self.value"), 4);
  EXPECT_TRUE(NamesModule("query", "query"));
  EXPECT_TRUE(NamesModule("self.query", "bert.self.query"));
  EXPECT_FALSE(NamesModule("query", "bert.subquery"));
  EXPECT_FALSE(NamesModule("bert.query", "query"));
}

TEST(AdapterConfig, RefusesWhatWouldChangeTheAnswersNamingTheKey) {
  const auto refused = [](ErrorCode code, const char* message, const char* key, const json& value) {
    Refused(code, std::string("CONFIG: ") + message, [&](Folder& folder) { folder.config[key] = value; });
  };
  const ErrorCode unsupported = ErrorCode::kUnsupported, invalid = ErrorCode::kInvalidInput;
  refused(unsupported, "peft_type is \"IA3\"; supported is \"LORA\"", "peft_type", "IA3");
  refused(unsupported, "peft_type is null; supported is \"LORA\"", "peft_type", nullptr);
  refused(unsupported, "use_dora is true, which is not supported", "use_dora", true);
  refused(unsupported, "lora_bias is true, which is not supported", "lora_bias", true);
  refused(unsupported, "fan_in_fan_out is true, which is not supported", "fan_in_fan_out", true);
  refused(unsupported, "layer_replication is set, which is not supported", "layer_replication", {{0, 1}});
  refused(unsupported, "trainable_token_indices is set, which is not supported", "trainable_token_indices", {1, 2});
  refused(unsupported, "use_something_new is true, which is not supported", "use_something_new", true);
  refused(unsupported, "bias is \"all\"; supported is \"none\"", "bias", "all");
  refused(unsupported,
          "task_type is \"CAUSAL_LM\"; supported is \"SEQ_CLS\", \"TOKEN_CLS\", \"QUESTION_ANS\", \"FEATURE_EXTRACTION\" or null",
          "task_type", "CAUSAL_LM");
  refused(
      unsupported,
      "init_lora_weights is \"pissa\"; supported is true, false, \"gaussian\", \"orthogonal\" or \"eva\", which leave the base as it is",
      "init_lora_weights", "pissa");
  refused(unsupported, "rank_pattern: '.*query' is a pattern; supported are names of modules", "rank_pattern", {{".*query", 2}});
  refused(unsupported, "rank_pattern: 'a\\nb' is a pattern; supported are names of modules", "rank_pattern", {{"a\nb", 2}});
  refused(unsupported, "use\\nthis is true, which is not supported", "use\nthis", true);
  refused(invalid, "rank_pattern: 'query': expected a number from 1 to 65536, found 0", "rank_pattern", {{"query", 0}});
  refused(invalid, "alpha_pattern: 'query': expected a number from 0 to 1000000000, found string", "alpha_pattern", {{"query", "x"}});
  refused(invalid, "alpha_pattern: expected an object, found array", "alpha_pattern", {1});
  refused(invalid, "target_modules: expected a list of names, found number", "target_modules", 7);
  refused(invalid, "target_modules: expected names, found number", "target_modules", {7});
  refused(invalid, "r is 0; expected a whole number from 1 to 65536", "r", 0);
  Folder fine;  // off, or nothing that counts
  fine.config.update({{"use_dora", false},
                      {"layer_replication", nullptr},
                      {"megatron_config", json::object()},
                      {"megatron_core", "megatron.core"},
                      {"a_new_number", 16},
                      {"init_lora_weights", "gaussian"},
                      {"loftq_config", {{"x", 1}}}});
  fine.Open();
}

TEST(AdapterConfig, RefusesTwoValuesForOneModule) {
  Folder folder;
  folder.config["rank_pattern"] = {{"query", 2}, {"layer.0.attention.self.query", 3}};
  ExpectError(ErrorCode::kUnsupported, "adapter_config.json: rank_pattern has two values for 'bert.encoder.layer.0.attention.self.query'",
              [&] { folder.Open(); });
}

TEST(AdapterWeights, RefusesTensorsThatDoNotFitNamingThem) {
  const ErrorCode invalid = ErrorCode::kInvalidInput;
  Refused(invalid, "WEIGHTS: tensor '" + kQuery + "lora_A.weight' is [2, 31]; adapter_config.json and the base ask for [2, 32]",
          [](Folder& folder) {
            folder.Find(kQuery + "lora_A.weight") = Numbers({2, 31}, 1);
          });
  Refused(invalid, "WEIGHTS: tensor '" + kQuery + "lora_A.weight' is [2, 32]; adapter_config.json and the base ask for [3, 32]",
          [](Folder& folder) { folder.config["r"] = 3; });
  Refused(invalid, "WEIGHTS: tensor '" + kQuery + "lora_B.weight' is [64]; adapter_config.json and the base ask for [32, 2]",
          [](Folder& folder) { folder.Find(kQuery + "lora_B.weight") = Numbers({64}, 1); });
  Refused(invalid, "WEIGHTS: tensor '" + kQuery + "lora_A.weight' is I32; expected F32, F16 or BF16", [](Folder& folder) {
    folder.Find(kQuery + "lora_A.weight") = Tensor::Zeros({2, 32}, DType::kI32);
  });
  Refused(invalid, "WEIGHTS: tensor 'classifier.weight' is [3, 31]; config.json asks for [3, 32]", [](Folder& folder) {
    folder.Find("base_model.model.classifier.weight") = Numbers({3, 31}, 1);
  });
  Refused(invalid, "WEIGHTS: tensor 'base_model.model.classifier.bias' is a single number; expected a weight or a bias",
          [](Folder& folder) { folder.Find("base_model.model.classifier.bias") = Numbers({}, 1); });
}

TEST(AdapterWeights, RefusesWhatIsMissing) {
  const ErrorCode invalid = ErrorCode::kInvalidInput;
  Refused(invalid, "WEIGHTS: tensor '" + kQuery + "lora_A.weight' is missing; target_modules names it", [](Folder& folder) {
    folder.Remove(kQuery + "lora_A.weight");
    folder.Remove(kQuery + "lora_B.weight");
  });
  Refused(invalid, "WEIGHTS: tensor '" + kQuery + "lora_B.weight' is missing; its other half is there",
          [](Folder& folder) { folder.Remove(kQuery + "lora_B.weight"); });
  Refused(invalid, "WEIGHTS: tensor 'base_model.model.classifier.weight' is missing; the bias of its layer is there",
          [](Folder& folder) { folder.Remove("base_model.model.classifier.weight"); });
  Refused(invalid, "WEIGHTS: there is no tensor of 'qa_outputs', which modules_to_save of adapter_config.json names",
          [](Folder& folder) { folder.config["modules_to_save"].push_back("qa_outputs"); });
  Refused(invalid, "WEIGHTS: expected tensors that end in lora_A.weight, found none", [](Folder& folder) {
    folder.tensors.erase(folder.tensors.begin(), folder.tensors.begin() + 4);
    folder.config["target_modules"] = "all-linear";
  });
}

TEST(AdapterWeights, RefusesWhatBelongsToNoLayer) {
  const ErrorCode invalid = ErrorCode::kInvalidInput;
  const std::string ninth = "base_model.model.bert.encoder.layer.9.attention.self.query.lora_A.weight";
  Refused(invalid, "WEIGHTS: tensor '" + ninth + "' belongs to no layer of the model", [&](Folder& folder) {
    folder.tensors.push_back({ninth, Numbers({2, 32}, 1)});
  });
  Refused(invalid, "WEIGHTS: tensor 'base_model.model.classifier.other.weight' belongs to no layer of the model", [&](Folder& folder) {
    folder.tensors.push_back({"base_model.model.classifier.other.weight", Numbers({2, 32}, 1)});
  });
  Refused(invalid,
          "WEIGHTS: tensor 'base_model.model.bert.pooler.dense.weight' is neither lora_A nor lora_B, and modules_to_save of "
          "adapter_config.json "
          "does not name it",
          [](Folder& folder) {
            folder.tensors.push_back({"base_model.model.bert.pooler.dense.weight", Numbers({32, 32}, 1)});
          });
  Refused(invalid, "WEIGHTS: tensor 'classifier.weight' has no name that begins with 'base_model.model.'", [](Folder& folder) {
    folder.tensors.push_back({"classifier.weight", Numbers({3, 32}, 1)});
  });
  Refused(ErrorCode::kUnsupported,
          "WEIGHTS: tensor '" + kQuery + "lora_magnitude_vector.weight' is not supported; supported are lora_A and lora_B of linear layers",
          [](Folder& folder) {
            folder.tensors.push_back({kQuery + "lora_magnitude_vector.weight", Numbers({32}, 1)});
          });
}

TEST(AdapterFolder, IsNoModelAndSaysWhatToDo) {
  Folder folder;
  folder.config["base_model_name_or_path"] = "some/base";
  folder.Open();
  const Error error = ExpectError(ErrorCode::kInvalidArgument, folder.folder.path() + ": is an adapter, not a model",
                                  [&] { OpenModel(folder.folder.path()); });
  EXPECT_EQ(error.hint(), "give the model that it was made for, and it as --adapter: its writer called that model 'some/base'");
  const Error other =
      ExpectError(ErrorCode::kNotFound, kBase + ": there is no adapter_config.json", [&] { OpenAdapted(OpenBase(kBase), kBase, kBase); });
  EXPECT_EQ(other.hint(), "an adapter is a folder with adapter_config.json and adapter_model.safetensors, as PEFT writes it");
}

TEST(AdapterFolder, OfPicklesIsRefused) {
  const test::TemporaryFolder folder;
  folder.Write(kAdapterConfigFile, R"({"peft_type": "LORA"})");
  folder.Write("adapter_model.bin", "x");
  ExpectError(ErrorCode::kUnsupported,
              folder.path() + ": has its weights in adapter_model.bin, a pickle, which can run code; mlac reads safetensors",
              [&] { OpenAdapted(OpenBase(kBase), kBase, folder.path()); });
}

TEST(AdapterFolder, TakesNothingButLabelsFromAConfigBesideIt) {
  Folder folder;
  json config = {
      {"architectures", {"BertForSequenceClassification"}}, {"id2label", {{"0", "x"}, {"1", "y"}, {"2", "z"}}}, {"hidden_size", 7}};
  folder.folder.Write("config.json", config.dump());
  folder.Open();
  EXPECT_EQ(LabelNamesOf(kBase, folder.folder.path()), (std::vector<std::string>{"x", "y", "z"}));
  config["id2label"].erase("2");  // another number than the classifier has
  folder.folder.Write("config.json", config.dump());
  try {
    folder.Open();
    FAIL() << "no error";
  } catch (const Error& error) {  // weight or bias, whichever the compiler asks for first
    EXPECT_NE(error.message().find("; config.json asks for [2"), std::string::npos) << error.message();
  }
}

// ---- New ones ----

std::unique_ptr<Model> NewAdapter(const std::string& folder, const LoraOptions& lora, AdapterConfig& config,
                                  Head head = Head::kSequenceClassification) {
  return MakeAdapted(OpenBase(folder), folder, {.head = head, .num_labels = 3, .seed = 5}, lora, config);
}

TEST(NewAdapter, ChangesNothingBeforeItLearns) {
  AdapterConfig config;
  const std::unique_ptr<Model> model = NewAdapter(kBase, {.rank = 4, .targets = {kAllLinear}}, config);
  EXPECT_EQ(model->parameters().loras().size(), 12u);  // 6 a layer
  const TokenBatch batch = {{2, 40, 41, 3, 2, 50, 3}, std::vector<int32_t>(7), {0, 4, 7}};
  mlac::Run run;
  EXPECT_TRUE(SameBits(model->Encode(run, batch).floats(), OpenBase(kBase)->Encode(run, batch).floats()));
}

TEST(NewAdapter, BeginsAsPeftDoes) {
  AdapterConfig config;
  const std::unique_ptr<Model> model = NewAdapter(kBase, {.rank = 8}, config);
  EXPECT_EQ(config.targets, (std::vector<std::string>{"query", "value"}));
  EXPECT_EQ(config.alpha, 16);
  EXPECT_EQ(config.modules_to_save, std::vector<std::string>{"classifier"});  // the pooler is the base's
  double sum = 0, sum_of_squares = 0;
  size_t count = 0;
  for (const LoraModule& module : model->parameters().loras()) {
    EXPECT_EQ(module.scale, 2);
    for (const float x : module.b->value.floats()) EXPECT_EQ(x, 0);
    for (const float x : module.a->value.floats()) {
      EXPECT_LE(std::fabs(x), 1 / std::sqrt(32.0f));
      sum += x;
      sum_of_squares += static_cast<double>(x) * x;
      ++count;
    }
  }
  EXPECT_EQ(count, 4u * 8 * 32);
  EXPECT_NEAR(sum / static_cast<double>(count), 0, 0.02);
  EXPECT_NEAR(sum_of_squares / static_cast<double>(count), 1.0 / 32 / 3, 0.001);  // the variance of a uniform distribution
  const auto& loras = model->parameters().loras();
  EXPECT_FALSE(SameBits(loras[0].a->value.floats(), loras[1].a->value.floats()));
}

TEST(NewAdapter, FindsQueriesAndValuesInEachFamily) {
  for (const auto& [folder, targets] : {std::pair<std::string, std::vector<std::string>>{"families/distilbert", {"q_lin", "v_lin"}},
                                        {"families/electra", {"query", "value"}},
                                        {"families/mpnet", {"q", "v"}}}) {
    AdapterConfig config;
    const std::unique_ptr<Model> model = NewAdapter(FixturePath(folder), {.rank = 2}, config);
    EXPECT_EQ(config.targets, targets) << folder;
    EXPECT_EQ(model->parameters().loras().size(), 4u) << folder;
  }
}

TEST(NewAdapter, NamesLayersInFullWhereTheHeadHasOneOfThatName) {
  AdapterConfig config;
  NewAdapter(kBase, {.rank = 2, .targets = {"attention.output.dense"}}, config);
  EXPECT_EQ(config.targets, std::vector<std::string>{"attention.output.dense"});
  NewAdapter(kBase, {.rank = 2, .targets = {"dense"}}, config);  // the pooler has a "dense" as well
  EXPECT_EQ(config.targets.size(), 6u);
  EXPECT_EQ(config.targets[0], "bert.encoder.layer.0.attention.output.dense");
}

TEST(NewAdapter, RefusesTargetsThatAreNotThere) {
  AdapterConfig config;
  const Error near = ExpectError(ErrorCode::kInvalidArgument, "--lora-targets: no linear layer of the encoder is called 'qeury'", [&] {
    NewAdapter(kBase, {.rank = 2, .targets = {"value", "qeury"}}, config);
  });
  EXPECT_EQ(near.hint(), "did you mean 'query'?");
  const Error far = ExpectError(ErrorCode::kInvalidArgument, "--lora-targets: no linear layer of the encoder is called 'classifier'",
                                [&] { NewAdapter(kBase, {.rank = 2, .targets = {"classifier"}}, config); });
  EXPECT_EQ(far.hint(), "known are all-linear, dense, key, query, value");
}

TEST(NewAdapter, KeepsTheHeadOfAMaskedLanguageModelAndMakesNone) {
  AdapterConfig config;
  const std::unique_ptr<Model> model = NewAdapter(FixturePath("models/masked_lm"), {.rank = 2}, config, Head::kMaskedLanguageModel);
  EXPECT_TRUE(config.modules_to_save.empty());
  EXPECT_EQ(config.task_type, "");
  ExpectError(ErrorCode::kUnsupported, kBase + ": has no head of a masked language model, and an adapter cannot hold one",
              [&] { NewAdapter(kBase, {.rank = 2}, config, Head::kMaskedLanguageModel); });
}

TEST(NewAdapter, IsReadAsItWasWritten) {
  for (const Head head : {Head::kSequenceClassification, Head::kTokenClassification, Head::kNone}) {
    AdapterConfig config;
    const std::unique_ptr<Model> model =
        NewAdapter(kBase, {.rank = 4, .alpha = 10, .dropout = 0.25, .targets = {kAllLinear}}, config, head);
    for (Parameter& parameter : model->parameters().parameters()) parameter.value = Numbers(parameter.value.shape(), 9);
    const test::TemporaryFolder folder;
    WriteAdapter(folder.path(), *model, config);
    const std::unique_ptr<Model> again = OpenAdapted(OpenBase(kBase), kBase, folder.path());
    EXPECT_EQ(again->head(), head);
    if (head != Head::kNone) {
      EXPECT_EQ(again->num_labels(), model->num_labels());
    }
    const auto &before = model->parameters().parameters(), &after = again->parameters().parameters();
    ASSERT_EQ(after.size(), before.size());
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_EQ(after[i].name, before[i].name);
      EXPECT_TRUE(SameBits(after[i].value.floats(), before[i].value.floats())) << before[i].name;
    }
    EXPECT_EQ(again->parameters().loras()[0].scale, 2.5f);
  }
}

}  // namespace
}  // namespace mlac
