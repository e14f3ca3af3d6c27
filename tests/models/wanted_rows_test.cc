// Rows that are wanted of the last layer: results and gradients have the bits of a pass that computes all rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "autograd/gather_rows.h"
#include "base/json.h"
#include "models/inference.h"
#include "models/model_folder.h"
#include "tests/support/numbers.h"
#include "tests/support/reference.h"

namespace mlac {
namespace {

using test::ForEachBound;
using test::SameBits;

struct Folder {
  std::string name, path;
  TokenBatch batch;
};

// A tiny model of each family with each head.
std::vector<Folder> Families() {
  std::vector<Folder> folders;
  for (const nlohmann::json& entry : ReadJsonFile(test::FixturePath("families/families.json")))
    folders.push_back({entry.at("name"), test::FixturePath("families/" + entry.at("folder").get<std::string>()),
                       test::ReadBatch(test::OpenFixture("families/" + entry.at("expected").get<std::string>()))});
  for (const char* name : {"classifier", "masked_lm"})
    folders.push_back({name, test::FixturePath(std::string("models/") + name),
                       test::ReadBatch(test::OpenFixture(std::string("models/") + name + ".expected.safetensors"))});
  return folders;
}

// First tokens; some tokens, of which some sequences have none and one has all; a single one; all of them.
std::vector<std::vector<size_t>> Choices(const TokenBatch& batch) {
  const Offsets& offsets = batch.offsets;
  std::vector<size_t> all(batch.num_tokens()), some;
  for (size_t t = 0; t < all.size(); ++t) all[t] = t;
  for (size_t t = offsets[1]; t < all.size(); ++t)
    if (t < offsets[2] || t % 5 == 0) some.push_back(t);
  return {{offsets.begin(), offsets.end() - 1}, some, {all.back()}, all};
}

TEST(WantedRows, HaveTheBitsOfAllRowsInEveryFamilyAndType) {
  for (const Folder& folder : Families())
    for (const DType dtype : {DType::kF32, DType::kBF16})
      ForEachBound([&](std::string_view path) {
        const std::unique_ptr<Model> model = OpenModel(folder.path);
        mlac::Run run({.dtype = dtype});
        const Tensor all = model->Encode(run, folder.batch);
        for (const std::vector<size_t>& rows : Choices(folder.batch)) {
          const Tensor found = model->EncodeRows(run, folder.batch, rows), expected = GatherRows(run, all, rows);
          EXPECT_TRUE(SameBits(found.floats(), expected.floats())) << folder.name << ", " << path << ", " << rows.size() << " rows";
        }
        EXPECT_TRUE(SameBits(model->SequenceFeatures(run, folder.batch).floats(), model->SequenceFeatures(run, all, folder.batch.offsets).floats()))
            << folder.name << ", " << path;
      });
}

// The gradients of all parameters, end to end, of a pass with dropout over the batch in parts of `sequences` each.
std::vector<float> Gradients(Model& model, const TokenBatch& batch, const std::vector<size_t>& rows, size_t sequences, bool all_rows,
                             bool recompute = false) {
  ThreadTeam team(2);
  Tape tape;
  mlac::Run run({.team = &team, .tape = &tape, .recompute = recompute});
  for (Parameter& parameter : model.parameters().parameters()) parameter.gradient = Tensor::Zeros(parameter.value.shape());
  for (size_t begin = 0; begin < batch.num_sequences(); begin += sequences) {
    const size_t end = std::min(batch.num_sequences(), begin + sequences), first = batch.offsets[begin];
    const TokenBatch part = Slice(batch, begin, end);
    std::vector<size_t> own;
    for (const size_t row : rows)
      if (row >= first && row < batch.offsets[end]) own.push_back(row - first);
    if (own.empty()) continue;
    run.dropout().Begin(/*seed=*/3, /*step=*/7, static_cast<uint32_t>(first), static_cast<uint32_t>(begin));
    const Tensor found = all_rows ? GatherRows(run, model.Encode(run, part), own) : model.EncodeRows(run, part, own);
    Tensor gradient = run.NewTensor(found.shape());
    for (size_t i = 0; i < own.size(); ++i)  // by the row's number in the whole batch
      for (size_t c = 0; c < found.dim(1); ++c)
        gradient.mutable_floats()[i * found.dim(1) + c] = 0.01f * static_cast<float>((first + own[i]) * 31 % 17) - 0.002f * static_cast<float>(c);
    tape.Backward(run, found, gradient);
  }
  std::vector<float> gradients;
  for (const Parameter& parameter : model.parameters().parameters())
    gradients.insert(gradients.end(), parameter.gradient.floats().begin(), parameter.gradient.floats().end());
  return gradients;
}

TEST(WantedRows, HaveTheGradientsOfAllRowsWithDropoutAndInParts) {
  for (const Folder& folder : Families()) {
    const std::unique_ptr<Model> model = OpenModel(folder.path);
    for (Parameter& parameter : model->parameters().parameters()) {
      parameter.trainable = true;
      parameter.value = Tensor::FromValues(parameter.value.shape(), parameter.value.floats());
    }
    for (const std::vector<size_t>& rows : Choices(folder.batch)) {
      const size_t sequences = folder.batch.num_sequences();
      const std::vector<float> expected = Gradients(*model, folder.batch, rows, sequences, /*all_rows=*/true);
      EXPECT_TRUE(std::any_of(expected.begin(), expected.end(), [](float x) { return x != 0; }));
      EXPECT_TRUE(SameBits(Gradients(*model, folder.batch, rows, sequences, false), expected)) << folder.name << ", " << rows.size() << " rows";
      EXPECT_TRUE(SameBits(Gradients(*model, folder.batch, rows, 2, false), expected)) << folder.name << ", " << rows.size() << " rows, in parts";
      EXPECT_TRUE(SameBits(Gradients(*model, folder.batch, rows, 2, false, true), expected)) << folder.name << ", " << rows.size() << " rows, recomputed";
    }
  }
}

}  // namespace
}  // namespace mlac
