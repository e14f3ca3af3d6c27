// What training a sentence encoder asks of the files that its base brings: what could not be written behind a training is refused before
// it.
#include "train/sentence_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "tensor/safetensors.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"
#include "tests/train/silent_training.h"
#include "train/fine_tune.h"

namespace mlac {
namespace {

using test::ExpectError;
using test::KernelChecksLinks;

// A copy of a sentence encoder, and pairs to train it on.
struct Base {
  Base() {
    std::filesystem::copy(test::FixturePath("models/st_mean"), folder.path() + "/base", std::filesystem::copy_options::recursive);
    folder.Write("pairs.csv", "anchor,positive\na cat,a dog\nred,blue\nopen,small\nnight,light\n");
  }
  void Train() {
    FineTuneOptions options;
    options.model = folder / "base";
    options.data = folder / "pairs.csv";
    options.out = folder / "out";
    options.validation_split = 0;
    options.training = {.num_epochs = 1, .batch_size = 2};
    test::Silent observer;
    FineTune("sentence-similarity", options, observer, observer.stop);
  }

  test::TemporaryFolder folder;
};

TEST(SentenceFolder, RefusesSettingsThatAreNoObjectBeforeItTrains) {
  for (const char* name : {"config_sentence_transformers.json", "sentence_bert_config.json"}) {
    Base base;
    EXPECT_NO_THROW(base.Train());
    std::filesystem::remove_all(base.folder / "out");
    base.folder.Write(fmt::format("base/{}", name), "[]");
    ExpectError(ErrorCode::kInvalidInput, fmt::format("{}/{}: expected an object, found array", base.folder / "base", name),
                [&] { base.Train(); });
    EXPECT_FALSE(std::filesystem::exists(base.folder / "out")) << "a checkpoint: it has trained";
  }
}

// The files of modules are copied into what may be published.
TEST(SentenceFolder, RefusesModuleFilesOutsideTheBaseBeforeItTrains) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  Base base;
  base.folder.Write("secret", "a key");
  std::filesystem::create_symlink("../../secret", base.folder / "base/1_Pooling/notes.txt");
  ExpectError(ErrorCode::kInvalidInput, (base.folder / "base") + "/1_Pooling/notes.txt: is a link that leads out of the folder", [&] { base.Train(); });
  EXPECT_FALSE(std::filesystem::exists(base.folder / "out")) << "a checkpoint: it has trained";
}

// Some tools leave the tensors of the encoder alone beside those of the model that it was a part of.
TEST(SentenceFolder, CarriesOnePoolerOverWhereTheBaseHasTwo) {
  Base base;
  const std::string path = base.folder / "base/model.safetensors";
  std::vector<NamedTensor> tensors;
  {
    const SafetensorsFile file(std::make_shared<const MappedFile>(path));
    for (const TensorInfo& info : file.tensors())
      if (info.name.find("pooler.") == std::string::npos) tensors.push_back({info.name, file.Get(info.name)});
    for (const char* name : {"pooler.dense.weight", "bert.pooler.dense.weight"}) tensors.push_back({name, Tensor::Zeros({32, 32})});
    WriteSafetensors(base.folder / "both.safetensors", tensors);
  }
  std::filesystem::rename(base.folder / "both.safetensors", path);
  EXPECT_NO_THROW(base.Train());
  const SafetensorsFile written(std::make_shared<const MappedFile>(base.folder / "out/model.safetensors"));
  EXPECT_NE(written.Find("bert.pooler.dense.weight"), nullptr);
}

TEST(SentenceFolder, RefusesLowerCaseThatTheTokenizerDoesNotGiveBeforeItTrains) {
  Base base;
  base.folder.Write("base/tokenizer_config.json", R"({"tokenizer_class": "BertTokenizer", "do_lower_case": false})");
  base.folder.Write("base/sentence_bert_config.json", R"({"do_lower_case": true})");
  ExpectError(ErrorCode::kUnsupported,
              (base.folder / "base") + "/sentence_bert_config.json: do_lower_case is true, but the tokenizer keeps capitals",
              [&] { base.Train(); });
}

}  // namespace
}  // namespace mlac
