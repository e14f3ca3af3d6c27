#include "tensor/weight_files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using test::ExpectError;
using test::KernelChecksLinks;
using test::TemporaryFolder;
using testing::ElementsAre;

// A safetensors file of tensors with one element each, the length of their name.
void WriteTensors(const std::string& path, const std::vector<std::string>& names) {
  std::vector<NamedTensor> tensors;
  for (const std::string& name : names) tensors.push_back({name, Tensor::FromValues({1}, std::vector{static_cast<float>(name.size())})});
  WriteSafetensors(path, tensors, {{"format", "pt"}});
}

constexpr char kIndex[] = "model.safetensors.index.json";

// A folder with the tensors "a" and "bb" in the shard x and "ccc" in the shard y.
class ShardedFolder : public TemporaryFolder {
 public:
  ShardedFolder() {
    WriteTensors(*this / "x", {"a", "bb"});
    WriteTensors(*this / "y", {"ccc"});
    Write(kIndex, R"({"metadata":{"total_size":7},"weight_map":{"a":"x","bb":"x","ccc":"y"}})");
  }
};

TEST(WeightFiles, OpensOneFile) {
  const TemporaryFolder folder;
  WriteTensors(folder / "model.safetensors", {"bb", "a"});
  const WeightFiles weights = WeightFiles::Open(folder.path());
  EXPECT_EQ(weights.source(), folder / "model.safetensors");
  EXPECT_THAT(weights.names(), ElementsAre("a", "bb"));
  EXPECT_EQ(weights.num_tensors(), 2u);
  EXPECT_EQ(weights.num_bytes(), 8u);
  EXPECT_EQ(weights.Get("bb").floats()[0], 2.0f);
  EXPECT_EQ(weights.Find("c"), nullptr);
  EXPECT_EQ(weights.metadata().at("format"), "pt");
}

TEST(WeightFiles, OpensTheShardsOfAnIndex) {
  const ShardedFolder folder;
  const WeightFiles weights = WeightFiles::Open(folder.path());
  EXPECT_EQ(weights.source(), folder / kIndex);
  EXPECT_THAT(weights.names(), ElementsAre("a", "bb", "ccc"));
  EXPECT_EQ(weights.num_bytes(), 12u);
  for (const std::string& name : weights.names()) EXPECT_EQ(weights.Get(name).floats()[0], static_cast<float>(name.size()));
}

TEST(WeightFiles, PrefersOneFileToAnIndex) {
  const ShardedFolder folder;
  WriteTensors(folder / "model.safetensors", {"whole"});
  EXPECT_THAT(WeightFiles::Open(folder.path()).names(), ElementsAre("whole"));
}

TEST(WeightFiles, GivesATensorThatTheIndexLeavesOut) {
  const ShardedFolder folder;
  folder.Write(kIndex, R"({"weight_map":{"a":"x","ccc":"y"}})");
  EXPECT_EQ(WeightFiles::Open(folder.path()).Get("bb").floats()[0], 2.0f);
}

TEST(WeightFiles, NamesTheNearestTensorWhereOneIsMissing) {
  const ShardedFolder folder;
  const WeightFiles weights = WeightFiles::Open(folder.path());
  const Error error = ExpectError(ErrorCode::kNotFound, fmt::format("{}: has no tensor 'cc'", folder / kIndex), [&] { weights.Get("cc"); });
  EXPECT_EQ(error.hint(), "did you mean 'ccc'?");
}

TEST(WeightFiles, OpensASnapshotOfTheHuggingFaceCache) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  // huggingface_hub: snapshots/REVISION holds links to the blobs of the same repository.
  const TemporaryFolder cache;
  const std::string repository = cache / "models--org--name";
  const std::string snapshot = repository + "/snapshots/0123abc";
  fs::create_directories(repository + "/blobs");
  fs::create_directories(snapshot);
  WriteTensors(repository + "/blobs/1111", {"a"});
  WriteTensors(repository + "/blobs/2222", {"bb"});
  cache.Write("models--org--name/blobs/3333", R"({"weight_map":{"a":"model-1.safetensors","bb":"model-2.safetensors"}})");
  fs::create_symlink("../../blobs/1111", snapshot + "/model-1.safetensors");
  fs::create_symlink("../../blobs/2222", snapshot + "/model-2.safetensors");
  fs::create_symlink("../../blobs/3333", snapshot + "/" + kIndex);
  EXPECT_THAT(WeightFiles::Open(snapshot).names(), ElementsAre("a", "bb"));
  EXPECT_THAT(WeightFiles::Open(snapshot + "/").names(), ElementsAre("a", "bb"));
  fs::create_symlink(snapshot, cache / "shortcut");
  EXPECT_THAT(WeightFiles::Open(cache / "shortcut").names(), ElementsAre("a", "bb"));

  // One file, which the user's folder holds as a link, is opened wherever the link leads.
  fs::remove(snapshot + "/" + kIndex);
  fs::create_symlink("../../blobs/1111", snapshot + "/model.safetensors");
  EXPECT_THAT(WeightFiles::Open(snapshot).names(), ElementsAre("a"));
}

TEST(WeightFiles, RefusesALinkOutOfASnapshotsRepository) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  const TemporaryFolder cache;
  const std::string snapshot = cache / "models--org--name/snapshots/0123abc";
  fs::create_directories(snapshot);
  WriteTensors(cache / "secret", {"a"});
  cache.Write(std::string("models--org--name/snapshots/0123abc/") + kIndex, R"({"weight_map":{"a":"shard"}})");
  for (const std::string& target : {std::string("../../../secret"), cache / "secret"}) {
    fs::remove(snapshot + "/shard");
    fs::create_symlink(target, snapshot + "/shard");
    ExpectError(ErrorCode::kInvalidInput, snapshot + "/shard: is a link that leads out of the folder", [&] { WeightFiles::Open(snapshot); });
  }
}

TEST(WeightFiles, SaysWhereItLookedWhenThereAreNoWeights) {
  const TemporaryFolder folder;
  ExpectError(ErrorCode::kNotFound, folder / "none: no such folder", [&] { WeightFiles::Open(folder / "none"); });
  ExpectError(ErrorCode::kNotFound,
              fmt::format("{}: has no weights: neither model.safetensors nor model.safetensors.index.json is there", folder.path()),
              [&] { WeightFiles::Open(folder.path()); });
}

TEST(WeightFiles, SaysHowToConvertPickledWeights) {
  const TemporaryFolder folder;
  const auto open = [&] { WeightFiles::Open(folder.path()); };
  folder.Write("pytorch_model.bin.index.json", "{}");
  EXPECT_THAT(ExpectError(ErrorCode::kUnsupported,
                          folder.path() + ": has its weights in shards of pickles, which can run code; mlac reads safetensors", open)
                  .hint(),
              testing::HasSubstr("save_pretrained"));
  folder.Write("pytorch_model.bin", "");
  EXPECT_THAT(ExpectError(ErrorCode::kUnsupported,
                          folder.path() + ": has its weights in pytorch_model.bin, a pickle, which can run code; mlac reads safetensors", open)
                  .hint(),
              testing::HasSubstr("s.save_file("));
}

TEST(WeightFiles, RefusesAnIndexThatTheShardsContradict) {
  const ShardedFolder folder;
  const std::string index = folder / kIndex;
  const auto open = [&] { WeightFiles::Open(folder.path()); };

  folder.Write(kIndex, R"({"weight_map":{"a":"x","d":"y"}})");
  EXPECT_EQ(ExpectError(ErrorCode::kInvalidInput, index + ": places tensor 'd' in the shard 'y', which has no such tensor", open).hint(),
            "are the index and the shards from the same revision?");
  folder.Write(kIndex, R"({"weight_map":{"a":"y"}})");
  ExpectError(ErrorCode::kInvalidInput, index + ": places tensor 'a' in the shard 'y', which has no such tensor", open);
  folder.Write(kIndex, R"({"weight_map":{"a":"x","b":"z"}})");
  EXPECT_EQ(ExpectError(ErrorCode::kNotFound, index + ": names the shard 'z', which is not there", open).hint(), "is the download complete?");
  folder.Write(kIndex, R"({"weight_map":{"a":"x","a":"y"}})");
  ExpectError(ErrorCode::kInvalidInput, index + ": key 'a' stands twice", open);
  WriteTensors(folder / "y", {"bb"});
  folder.Write(kIndex, R"({"weight_map":{"a":"x","bb":"y"}})");
  ExpectError(ErrorCode::kInvalidInput, fmt::format("{}: tensor 'bb' stands in two shards, {} and {}", index, folder / "x", folder / "y"), open);
}

TEST(WeightFiles, RefusesAnIndexOfAnotherForm) {
  const auto refuse = [](std::string_view text, const std::string& message) {
    ExpectError(ErrorCode::kInvalidInput, "i: " + message, [&] { ParseWeightIndex(text, "i"); });
  };
  refuse("[]", "expected an object, found an array");
  refuse("{}", "weight_map is missing");
  refuse(R"({"weight_map":[]})", "weight_map: expected an object, found an array");
  refuse(R"({"weight_map":null})", "weight_map: expected an object, found null");
  refuse(R"({"weight_map":{}})", "weight_map: expected tensors, found none");
  refuse(R"({"weight_map":{"a":3}})", "weight_map: tensor 'a': expected the name of a file, found a number or truth value");
  refuse(R"({"weight_map":{"a":{"b":"c"}}})", "weight_map: tensor 'a': expected the name of a file, found an object");
  refuse(R"({"weight_map":{},"weight_map":{}})", "key 'weight_map' stands twice");
  refuse(R"({"metadata":[[[[[[[[[]]]]]]]]]})", "nested deeper than 8 levels");
}

// Check 7 of what must not break: forms in which a name leaves its folder. Each is refused or finds nothing, and none gives the secret.
TEST(WeightFiles, OpensNoShardOutsideItsFolderWhateverTheIndexSays) {
  const TemporaryFolder outer;
  WriteTensors(outer / "secret", {"a"});
  const std::string folder = outer / "model";
  fs::create_directories(folder + "/inner");
  WriteTensors(folder + "/inner/shard", {"a"});
  fs::create_symlink("../secret", folder + "/link");
  fs::create_symlink(outer / "secret", folder + "/absolute_link");
  fs::create_symlink("link", folder + "/link_to_link");
  fs::create_symlink("..", folder + "/parent");
  fs::create_symlink("/proc/self/fd/0", folder + "/proc_link");
  fs::create_symlink("loop", folder + "/loop");
  fs::create_symlink("/dev/zero", folder + "/zero");
  fs::create_hard_link(outer / "secret", folder + "/hard_link");
  ASSERT_EQ(mkfifo((folder + "/fifo").c_str(), 0600), 0);

  const std::vector<std::string> names = {"",
                                          ".",
                                          "..",
                                          "../secret",
                                          "inner/../../secret",
                                          "./../secret",
                                          "inner/shard",
                                          "//../secret",
                                          outer / "secret",
                                          "/proc/self/cwd",
                                          "/dev/zero",
                                          "link",
                                          "absolute_link",
                                          "link_to_link",
                                          "parent/secret",
                                          "proc_link",
                                          "loop",
                                          "zero",
                                          "hard_link",
                                          "fifo",
                                          "inner",
                                          "%2e%2e/secret",
                                          "%2e%2e%2fsecret",
                                          "%252e%252e%252fsecret",
                                          "..\xEF\xBC\x8Fsecret",      // a wide slash
                                          "\xE2\x80\xA5/secret",       // two dots in one character
                                          "~/secret",
                                          "file://" + outer / "secret",
                                          std::string(5000, 'n')};
  for (const std::string& name : names) {
    outer.Write(std::string("model/") + kIndex, fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name));
    EXPECT_THROW(WeightFiles::Open(folder), Error) << name;
  }
  for (const std::string escape : {"..\\\\secret", "\\u0000", "link\\u0000.safetensors", "..\\u002fsecret", "\\u002e\\u002e/secret", "a\\nb"}) {
    outer.Write(std::string("model/") + kIndex, fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", escape));
    EXPECT_THROW(WeightFiles::Open(folder), Error) << escape;
  }
}

TEST(WeightFiles, NoticesAFileThatWasWrittenToWhileItWasOpen) {
  const ShardedFolder folder;
  const WeightFiles weights = WeightFiles::Open(folder.path());
  weights.CheckUnchanged();
  WriteTensors(folder / "x", {"a", "bb"});  // renamed over it: what is open keeps the old bytes
  weights.CheckUnchanged();
  EXPECT_EQ(weights.Get("bb").floats()[0], 2.0f);
  const std::string y = folder / "y";
  ASSERT_EQ(truncate(y.c_str(), 10), 0);
  EXPECT_THROW(weights.CheckUnchanged(), Error);
}

}  // namespace
}  // namespace mlac
