// modules.json, which a stranger wrote: what it may name, and which orders of modules there are.
#include "models/sentence_encoder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/model_folder.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ExpectError;
using test::KernelChecksLinks;
using test::TemporaryFolder;

// A copy of a folder with Transformer, Pooling, Dense and Normalize, and a secret beside it.
class SentenceModules : public testing::Test {
 protected:
  SentenceModules() {
    fs::copy(test::FixturePath("models/st_cls_dense"), path(), fs::copy_options::recursive);
    fs::copy(path() + "/1_Pooling", folder_ / "outside");
  }

  std::string path() const { return folder_ / "model"; }
  void SetModules(const std::vector<json>& modules) const { folder_.Write("model/modules.json", json(modules).dump()); }
  static json Module(const std::string& kind, const std::string& path) { return {{"type", "sentence_transformers.models." + kind}, {"path", path}}; }
  void Open() const { SentenceEncoder(path(), *OpenModel(path())); }
  void Refused(ErrorCode code, const std::string& message) const {
    ExpectError(code, path() + message, [&] { Open(); });
  }

  TemporaryFolder folder_;
};

TEST_F(SentenceModules, OpenNothingOutsideTheirFolderWhateverTheFileSays) {
  fs::create_directory_symlink("../outside", path() + "/link");
  fs::create_directory_symlink(folder_ / "outside", path() + "/absolute_link");
  fs::create_directory_symlink("link", path() + "/link_to_link");
  fs::create_directory_symlink("..", path() + "/parent");
  fs::create_directory_symlink("loop", path() + "/loop");
  fs::create_directory_symlink("/proc/self/cwd", path() + "/proc_link");
  for (const std::string& name : {std::string("."), std::string(".."), std::string("../outside"), folder_ / "outside", std::string("1_Pooling/../../outside"),
                                  std::string("link"), std::string("absolute_link"), std::string("link_to_link"), std::string("parent"), std::string("loop"),
                                  std::string("proc_link"), std::string("..\\outside"), std::string("1_Pooling\0", 10), std::string(5000, 'n')})
    for (const char* kind : {"Pooling", "Transformer"}) {
      SetModules({Module("Transformer", ""), Module(kind, name)});
      EXPECT_THROW(Open(), Error) << kind << " " << name;
    }
  SetModules({Module("Transformer", ""), Module("Pooling", "link")});
  Refused(ErrorCode::kInvalidInput, "/modules.json: the path 'link' is a link that leads out of the folder");
}

TEST_F(SentenceModules, OpenNoFileThatIsALinkOutOfTheFolder) {
  if (!KernelChecksLinks()) GTEST_SKIP() << "this system has no openat2";
  for (const char* name : {"1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"}) {
    const std::string file = path() + "/" + name;
    fs::rename(file, folder_ / "secret");
    fs::create_symlink(folder_ / "secret", file);
    Refused(ErrorCode::kInvalidInput, std::string("/") + name + ": is a link that leads out of the folder");
    fs::remove(file);
    fs::rename(folder_ / "secret", file);
  }
  fs::rename(path() + "/1_Pooling/config.json", path() + "/pooling.json");  // a link that stays inside is a file like any other
  fs::create_symlink("../pooling.json", path() + "/1_Pooling/config.json");
  fs::rename(path() + "/2_Dense", path() + "/dense");
  fs::create_directory_symlink("dense", path() + "/2_Dense");
  Open();
}

TEST_F(SentenceModules, AreRefusedInOrdersThatMeanNothing) {
  SetModules({Module("Transformer", ""), Module("Pooling", "1_Pooling"), Module("Pooling", "1_Pooling")});
  Refused(ErrorCode::kUnsupported, "/modules.json: more than one Pooling is not supported");
  SetModules({Module("Transformer", ""), Module("Dense", "2_Dense"), Module("Pooling", "1_Pooling")});
  Refused(ErrorCode::kUnsupported, "/modules.json: Dense before Pooling is not supported");
  SetModules({Module("Transformer", ""), Module("Pooling", "1_Pooling"), Module("Dense", "2_Dense"), Module("Dense", "2_Dense")});
  Refused(ErrorCode::kInvalidInput, "/2_Dense/config.json: in_features is 32; the module before it gives 24");
  SetModules({Module("Transformer", ""), Module("WordWeights", "1_Pooling")});
  Refused(ErrorCode::kUnsupported, "/modules.json: module 'sentence_transformers.models.WordWeights' is not supported; supported are Transformer, "
                                   "Pooling, Dense and Normalize");
  SetModules({Module("Transformer", ""), Module("a\n\x1b[2J", "1_Pooling")});
  Refused(ErrorCode::kUnsupported, "/modules.json: module 'sentence_transformers.models.a\\n\\x1b[2J' is not supported; supported are Transformer, "
                                   "Pooling, Dense and Normalize");
  SetModules({Module("Transformer", ""), Module("Pooling", "a\n/\x1b[2J")});
  Refused(ErrorCode::kInvalidInput, "/modules.json: the path 'a\\n/\\x1b[2J' is no plain name of a folder");
  folder_.Write("model/modules.json", "{}");
  Refused(ErrorCode::kInvalidInput, "/modules.json: expected a list, found object");
}

TEST_F(SentenceModules, AreRefusedWithAPoolingThatIsNotThere) {
  for (const auto& [config, shown] : {std::pair<std::string, std::string>{R"({"pooling_mode": "lasttoken"})", "lasttoken"},
                                      {R"({"pooling_mode": ["cls", "mean"]})", "cls + mean"},
                                      {R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true})", "cls + mean"},
                                      {R"({"pooling_mode": "a\n\u001b[2J"})", "a\\n\\x1b[2J"},
                                      {"{}", ""}}) {
    folder_.Write("model/1_Pooling/config.json", config);
    Refused(ErrorCode::kUnsupported, "/1_Pooling/config.json: pooling '" + shown + "' is not supported; supported is one of cls, max, mean");
  }
}

}  // namespace
}  // namespace mlac
