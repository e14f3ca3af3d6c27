// int8 folders of the tiny models that their libraries saved: what is written, that it is near, and that its answers have the same bits everywhere.
#include "optimize/int8_folder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"
#include "kernels/instruction_set.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "models/sentence_encoder.h"
#include "tensor/weight_files.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "train/fine_tune.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ExpectError;
using test::FixturePath;
using test::KernelChecksLinks;
using test::SameBits;
using test::TemporaryFolder;

// Bare encoders with and without a pooler, both heads, tied embeddings, shards, F16, BF16, TensorFlow's names, modules behind the encoder.
const std::vector<std::string> kModels = {"embedding", "embedding_no_pooler", "classifier", "classifier_relu",  "masked_lm",    "masked_lm_untied",
                                          "sharded",   "float16",             "bfloat16",   "old_names",        "st_mean",      "st_cls_dense",
                                          "st_max_dense", "st_version_two",   "vocab_only", "bfloat16_version_five"};

std::string Fixture(const std::string& name) { return FixturePath("models/" + name); }

TokenBatch BatchOf(const std::string& name) {
  const std::string base = name.ends_with("_version_five") ? name.substr(0, name.size() - std::string_view("_version_five").size()) : name;
  return test::ReadBatch(test::OpenFixture("models/" + base + ".expected.safetensors"));
}

std::string Optimized(const TemporaryFolder& folder, const std::string& model, Int8Summary* summary = nullptr) {
  const std::string out = folder / fs::path(model).filename().string();
  fs::create_directory(out);
  const Int8Summary found = WriteInt8Folder(model, out);
  if (summary != nullptr) *summary = found;
  return out;
}

// What the model answers for each sequence: the vectors of its tokens, its embedding and its logits, one after another.
std::vector<std::vector<float>> Answers(const std::string& folder, const TokenBatch& batch, size_t num_threads) {
  const std::unique_ptr<Model> model = OpenModel(folder);
  const SentenceEncoder encoder(folder, *model);
  Inference inference(num_threads);
  std::vector<std::vector<float>> answers(batch.num_sequences());
  inference.ForEachGroup(batch, [&](mlac::Run& run, const TokenBatch& group, size_t first) {
    const auto add = [&](const Tensor& rows, const Offsets& offsets) {  // rows offsets[s] to offsets[s + 1] belong to sequence s
      for (size_t s = 0; s < group.num_sequences(); ++s) {
        const std::span<const float> part = rows.floats().subspan(offsets[s] * rows.dim(1), (offsets[s + 1] - offsets[s]) * rows.dim(1));
        answers[first + s].insert(answers[first + s].end(), part.begin(), part.end());
      }
    };
    Offsets one_each;
    for (size_t s = 0; s <= group.num_sequences(); ++s) one_each.push_back(s);
    const Tensor hidden_states = model->Encode(run, group);
    add(hidden_states, group.offsets);
    add(encoder(run, hidden_states, group.offsets), one_each);
    if (model->head() == Head::kSequenceClassification)
      add(model->Classify(run, model->SequenceFeatures(run, hidden_states, group.offsets)), one_each);
    if (model->head() == Head::kMaskedLanguageModel) add(model->PredictTokens(run, hidden_states), group.offsets);
  });
  return answers;
}

void ExpectSameAnswers(const std::vector<std::vector<float>>& found, const std::vector<std::vector<float>>& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t s = 0; s < found.size(); ++s) EXPECT_TRUE(SameBits(found[s], expected[s])) << what << ", sequence " << s;
}

std::vector<float> HiddenStates(const std::string& folder, const TokenBatch& batch) {
  const std::unique_ptr<Model> model = OpenModel(folder);
  mlac::Run run;
  const Tensor hidden_states = model->Encode(run, batch);
  return {hidden_states.floats().begin(), hidden_states.floats().end()};
}

bool IsHead(const std::string& name) {
  for (const char* prefix : {"bert.pooler.", "pooler.", "classifier.", "cls."})
    if (name.starts_with(prefix)) return true;
  return false;
}

TEST(Int8Folder, HoldsEveryMatrixOfTheEncoderWithinHalfAStepAndAllElseAsItWas) {
  for (const std::string& name : kModels) {
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    Int8Summary summary;
    const std::string out = Optimized(folder, Fixture(name), &summary);
    const WeightFiles before = WeightFiles::Open(Fixture(name)), after = WeightFiles::Open(out);
    EXPECT_EQ(after.source(), out + "/model.safetensors");
    size_t num_quantized = 0;
    std::set<std::string> expected_ignore;
    for (const std::string& tensor : before.names()) {
      const TensorInfo& info = *before.Find(tensor);
      ASSERT_NE(after.Find(tensor), nullptr) << tensor;
      const Tensor original = before.Get(tensor), found = after.Get(tensor);
      ASSERT_EQ(found.shape(), original.shape()) << tensor;
      if (info.shape.size() != 2 || IsHead(tensor) || *info.dtype == DType::kI64) {
        if (info.shape.size() == 2 && tensor.ends_with(".weight")) expected_ignore.insert(tensor.substr(0, tensor.size() - 7));
        EXPECT_EQ(found.dtype(), original.dtype()) << tensor;
        EXPECT_EQ(std::memcmp(found.data(), original.data(), original.num_bytes()), 0) << tensor;
        EXPECT_EQ(after.Find(tensor + "_scale"), nullptr) << tensor;
        continue;
      }
      ++num_quantized;
      ASSERT_EQ(found.dtype(), DType::kI8) << tensor;
      const Tensor scale = after.Get(tensor + "_scale"), floats = original.ToF32();
      ASSERT_EQ(scale.shape(), (Shape{found.dim(0), 1})) << tensor;
      const auto* values = reinterpret_cast<const int8_t*>(found.data());
      size_t outside = 0;
      for (size_t i = 0; i < found.num_elements(); ++i) {
        const double step = scale.floats()[i / found.dim(1)];
        outside += !(std::fabs(values[i] * step - floats.floats()[i]) <= 0.5 * step * (1 + 1e-5));
      }
      EXPECT_EQ(outside, 0u) << tensor;
    }
    EXPECT_EQ(after.num_tensors(), before.num_tensors() + num_quantized + (name == "masked_lm" ? 1 : 0));  // the scales of the tied decoder
    EXPECT_EQ(summary.num_quantized, num_quantized);
    EXPECT_EQ(summary.num_tensors, before.num_tensors());
    EXPECT_EQ(summary.bytes_before, before.num_bytes());
    EXPECT_EQ(summary.bytes_after, after.num_bytes());
    const json config = ReadJsonFile(out + "/config.json");
    const auto ignore = config.at("quantization_config").at("ignore").get<std::set<std::string>>();
    for (const std::string& module : expected_ignore) EXPECT_TRUE(ignore.contains(module)) << module;
    json without = config;
    without.erase("quantization_config");
    EXPECT_EQ(without, ReadJsonFile(Fixture(name) + "/config.json"));
  }
}

// A step is 1/127 of a weight row's largest value and 1/254 of an activation row's range. What that makes of two layers whose weights are larger than a
// trained model's: 4.1 % of the largest value at most, over these folders. Bound: 5 %.
TEST(Int8Folder, HiddenStatesAreNearThoseOfF32) {
  constexpr double kBound = 0.05;  // of the largest value
  double worst = 0;
  for (const std::string& name : kModels) {
    const TemporaryFolder folder;
    const TokenBatch batch = BatchOf(name);
    const std::vector<float> before = HiddenStates(Fixture(name), batch), after = HiddenStates(Optimized(folder, Fixture(name)), batch);
    ASSERT_EQ(before.size(), after.size());
    const test::Difference difference = test::Compare(after, std::vector<double>(before.begin(), before.end()));
    EXPECT_TRUE(difference.within(kBound)) << name << ": " << difference.largest << " of " << difference.magnitude;
    EXPECT_GT(difference.largest, 0) << name << ": nothing was rounded";
    worst = std::max(worst, difference.largest / std::max(1.0, difference.magnitude));
  }
  std::printf("largest difference of int8 hidden states to f32: %.4f of the largest value\n", worst);
}

TEST(Int8Folder, GivesTheSameBitsForAnyThreadsBatchAndPath) {
  for (const std::string name : {"embedding_no_pooler", "classifier", "masked_lm", "st_cls_dense", "sharded"}) {
    SCOPED_TRACE(name);
    const TemporaryFolder folder;
    const std::string out = Optimized(folder, Fixture(name));
    const TokenBatch batch = BatchOf(name);
    std::vector<std::vector<float>> first;
    test::ForEachBound([&](std::string_view bound) {
      const std::string path(kernels::Name(kernels::Int8PathInUse()));
      if (first.empty()) first = Answers(out, batch, 1);
      for (const size_t threads : {1, 2, 3})
        ExpectSameAnswers(Answers(out, batch, threads), first, std::string(bound) + " (" + path + "), " + std::to_string(threads) + " threads");
      std::vector<std::vector<float>> alone;
      for (size_t s = 0; s < batch.num_sequences(); ++s) alone.push_back(Answers(out, Slice(batch, s, s + 1), 2).front());
      ExpectSameAnswers(alone, first, std::string(bound) + ", one by one");
    });
  }
}

// Many sequences: groups that run on one thread each, products of many rows, rows of other sequences in the same tile.
TEST(Int8Folder, GivesASequenceTheSameBitsInALargeBatch) {
  const TemporaryFolder folder;
  const std::string out = Optimized(folder, Fixture("classifier"));
  const TokenBatch few = BatchOf("classifier");
  TokenBatch many;
  for (size_t i = 0; i < 40; ++i)
    for (size_t s = 0; s < few.num_sequences(); ++s) {
      const TokenBatch one = Slice(few, (s + i) % few.num_sequences(), (s + i) % few.num_sequences() + 1);
      many.token_ids.insert(many.token_ids.end(), one.token_ids.begin(), one.token_ids.end());
      many.token_type_ids.insert(many.token_type_ids.end(), one.token_type_ids.begin(), one.token_type_ids.end());
      many.offsets.push_back(many.token_ids.size());
    }
  const std::vector<std::vector<float>> expected = Answers(out, few, 1);
  for (const size_t threads : {1, 2, 3}) {
    const std::vector<std::vector<float>> found = Answers(out, many, threads);
    for (size_t i = 0; i < found.size(); ++i) {
      const size_t s = (i % few.num_sequences() + i / few.num_sequences()) % few.num_sequences();
      EXPECT_TRUE(SameBits(found[i], expected[s])) << threads << " threads, sequence " << i;
    }
  }
}

TEST(Int8Folder, CarriesOverWhatStaysTrueAndLeavesMeasurementsBehind) {
  const TemporaryFolder folder;
  const std::string model = folder / "model";
  fs::copy(Fixture("classifier"), model);
  for (const char* name : {"README.md", "LICENSE", "metrics.json", "training.json", "optimization.json", "learning-curves.svg", "notes.txt",
                           "pytorch_model.bin"})
    folder.Write(std::string("model/") + name, std::string("content of ") + name);
  const TemporaryFolder written;
  const std::string out = Optimized(written, model);
  for (const char* name : {"LICENSE", "notes.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"})
    EXPECT_EQ(test::ReadWhole(out + "/" + name), test::ReadWhole(model + "/" + name)) << name;
  for (const char* name : {"README.md", "metrics.json", "training.json", "optimization.json", "learning-curves.svg", "pytorch_model.bin"})
    EXPECT_FALSE(fs::exists(out + "/" + name)) << name;
}

// What is written may be published. Links inside the folder, as the caches of models have them, are files like any other.
TEST(Int8Folder, CarriesNothingOverFromOutsideTheFolder) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  const TemporaryFolder folder;
  const std::string model = folder / "model";
  fs::copy(Fixture("classifier"), model);
  folder.Write("secret", "a key");
  fs::rename(model + "/vocab.txt", model + "/words");
  fs::create_symlink("words", model + "/vocab.txt");
  const TemporaryFolder written;
  EXPECT_EQ(test::ReadWhole(Optimized(written, model) + "/vocab.txt"), test::ReadWhole(model + "/words"));
  fs::create_symlink("../secret", model + "/notes.txt");
  test::ExpectError(ErrorCode::kInvalidInput, model + "/notes.txt: is a link that leads out of the folder", [&] { Optimized(written, model); });
}

TEST(Int8Folder, KeepsTheModulesBehindAnEncoderInAFolderOfItsOwn) {
  const TemporaryFolder folder;
  const std::string model = folder / "nested";
  fs::copy(Fixture("st_cls_dense"), model, fs::copy_options::recursive);
  fs::create_directory(model + "/0_Transformer");
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt",
                           "sentence_bert_config.json"})
    fs::rename(model + "/" + name, model + "/0_Transformer/" + name);
  json modules = ReadJsonFile(model + "/modules.json");
  modules[0]["path"] = "0_Transformer";
  folder.Write("nested/modules.json", modules.dump());
  folder.Write("nested/notes.txt", "what it is for");

  const TemporaryFolder written;
  const std::string out = Optimized(written, model);
  std::vector<std::string> expected;
  for (const auto& entry : fs::recursive_directory_iterator(model)) expected.push_back("nested/" + entry.path().lexically_relative(model).string());
  expected.push_back("nested");
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(written.List(), expected);
  for (const char* name : {"modules.json", "notes.txt", "2_Dense/config.json", "2_Dense/model.safetensors", "1_Pooling/config.json",
                           "0_Transformer/tokenizer.json"})
    EXPECT_EQ(test::ReadWhole(out + "/" + name), test::ReadWhole(model + "/" + name)) << name;
  // The same weights in either layout, so the same bits.
  const TokenBatch batch = BatchOf("st_cls_dense");
  ExpectSameAnswers(Answers(out, batch, 1), Answers(Optimized(written, Fixture("st_cls_dense")), batch, 1), "nested and flat");
}

// transformers ties the decoder's weight to the embeddings and wants its scales under the decoder's name. A second copy of the weight is no part of the model.
TEST(Int8Folder, GivesATiedDecoderTheScalesOfTheEmbeddingsAndNoWeight) {
  const TemporaryFolder once, twice, source;
  const std::string model = source / "masked_lm", decoder = "cls.predictions.decoder.weight", table = "bert.embeddings.word_embeddings.weight";
  fs::copy(Fixture("masked_lm"), model);
  {
    const WeightFiles weights = WeightFiles::Open(Fixture("masked_lm"));
    std::vector<NamedTensor> tensors = {{decoder, weights.Get(table)}};
    for (const std::string& name : weights.names()) tensors.push_back({name, weights.Get(name)});
    WriteSafetensors(model + "/model.safetensors", tensors);
  }
  const std::string first = Optimized(once, Fixture("masked_lm")), second = Optimized(twice, model);
  EXPECT_EQ(test::ReadWhole(first + "/model.safetensors"), test::ReadWhole(second + "/model.safetensors"));
  EXPECT_EQ(test::ReadWhole(first + "/config.json"), test::ReadWhole(second + "/config.json"));
  const WeightFiles weights = WeightFiles::Open(first);
  EXPECT_EQ(weights.Find(decoder), nullptr);
  EXPECT_TRUE(SameBits(weights.Get(decoder + "_scale").floats(), weights.Get(table + "_scale").floats()));
}

TEST(Int8Folder, RefusesWhatIsQuantisedAlready) {
  const TemporaryFolder folder, again;
  const std::string out = Optimized(folder, Fixture("embedding"));
  const Error error = ExpectError(ErrorCode::kUnsupported, out + "/config.json: the model is quantised already", [&] { Optimized(again, out); });
  EXPECT_EQ(error.hint(), "give the model that it was made from");
  EXPECT_EQ(again.List(), std::vector<std::string>{"embedding"});
}

TEST(Int8Folder, RefusesAWeightThatIsNotFiniteNamingIt) {
  const std::string name = "encoder.layer.1.output.dense.weight";
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    const TemporaryFolder folder, written;
    const std::string model = folder / "model";
    fs::copy(Fixture("embedding"), model);
    std::vector<NamedTensor> tensors;
    {
      const WeightFiles weights = WeightFiles::Open(Fixture("embedding"));
      for (const std::string& tensor : weights.names()) tensors.push_back({tensor, weights.Get(tensor).ToF32()});
    }
    for (NamedTensor& tensor : tensors)
      if (tensor.name == name) tensor.tensor.mutable_floats()[77] = bad;
    WriteSafetensors(model + "/model.safetensors", tensors);
    ExpectError(ErrorCode::kInvalidInput, model + "/model.safetensors: tensor '" + name + "' holds NaN or infinity", [&] { Optimized(written, model); });
    EXPECT_EQ(written.List(), std::vector<std::string>{"model"}) << "something was written";
  }
}

TEST(Int8Folder, RefusesWhatIsNoModel) {
  const TemporaryFolder folder;
  ExpectError(ErrorCode::kNotFound, folder / "nothing" + ": there is no such folder", [&] { WriteInt8Folder(folder / "nothing", folder.path()); });
}

struct NoObserver : FineTuneObserver {
  void OnNote(const std::string&) override {}
  void OnFinding(const Finding&) override {}
  void OnStart(size_t, size_t, size_t, size_t) override {}
  void OnResume(size_t) override {}
  void OnStep(const StepReport&) override {}
  void OnSpike(const SpikeReport&) override {}
  void OnEpoch(const EpochReport&) override {}
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t) override {}
};

// An epoch on forty short texts, into folder/out.
FineTuneOptions TrainingOf(const std::string& model, const TemporaryFolder& folder) {
  std::string rows = "text,label\n";
  for (int i = 0; i < 40; ++i) rows += (i % 2 == 0 ? "cat word " : "red night ") + std::to_string(i) + (i % 2 == 0 ? ",animal\n" : ",colour\n");
  FineTuneOptions options;
  options.model = model;
  options.data = folder.Write("train.csv", rows);
  options.out = folder / "out";
  options.training = {.num_epochs = 1, .batch_size = 8};
  return options;
}

TEST(Int8Folder, CannotBeTrainedAndSaysSo) {
  const TemporaryFolder folder;
  const std::string model = Optimized(folder, Fixture("classifier"));
  FineTuneOptions options = TrainingOf(model, folder);
  NoObserver observer;
  const std::atomic<bool> stop = false;
  const Error error = ExpectError(ErrorCode::kUnsupported, model + ": 'bert.embeddings.word_embeddings.weight' is int8, which cannot be trained",
                                  [&] { FineTune("text-classification", options, observer, stop); });
  EXPECT_EQ(error.hint(), "train the model that it was made from, and optimise the result");
  EXPECT_FALSE(fs::exists(options.out));

  // Nor do the operators take part in a training run.
  const std::unique_ptr<Model> opened = OpenModel(model);
  Tape tape;
  mlac::Run run({.tape = &tape});
  ExpectError(ErrorCode::kUnsupported, "'bert.embeddings.position_embeddings.weight' is int8, which cannot be trained",
              [&] { opened->Encode(run, BatchOf("classifier")); });
}

// Weights alone were rounded: they are f32 once loaded, and what is trained from them is an f32 folder that does not claim otherwise.
TEST(Int8Folder, WithoutRoundedActivationsCanBeTrained) {
  const TemporaryFolder folder;
  const std::string model = Optimized(folder, Fixture("classifier"));
  json config = ReadJsonFile(model + "/config.json");
  config["quantization_config"]["config_groups"]["group_0"]["input_activations"] = nullptr;
  folder.Write("classifier/config.json", config.dump());
  FineTuneOptions options = TrainingOf(model, folder);
  NoObserver observer;
  const std::atomic<bool> stop = false;
  FineTune("text-classification", options, observer, stop);
  EXPECT_FALSE(ReadJsonFile(options.out + "/config.json").contains("quantization_config"));
  const WeightFiles weights = WeightFiles::Open(options.out);
  for (const std::string& name : weights.names()) EXPECT_EQ(weights.Find(name)->dtype, DType::kF32) << name;
}

}  // namespace
}  // namespace mlac
