// The commands of the store through the real binary, on tiny folders that the reference wrote.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/program.h"
#include "tests/support/reference.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

const std::string kClassifier = test::FixturePath("models/classifier");
const std::string kOther = test::FixturePath("models/classifier_relu");

class StoreCommands : public testing::Test {
 protected:
  ProgramResult Run(std::vector<std::string> arguments) { return RunMlac(std::move(arguments), {.environment = {"MLAC_STORE=" + folder / "store"}}); }
  std::string Ok(std::vector<std::string> arguments) {
    const ProgramResult result = Run(std::move(arguments));
    EXPECT_EQ(result.status, 0) << result.error;
    EXPECT_EQ(result.error, "");
    return result.out;
  }
  json Json(std::vector<std::string> arguments) {
    arguments.push_back("--json");
    return json::parse(Ok(std::move(arguments)));
  }
  std::string Add(const std::string& source, const std::string& name) { return Json({"store", "add", source, "--name", name}).at("revision"); }
  void Refused(std::vector<std::string> arguments, const std::string& message, int status = 1) {
    const ProgramResult result = Run(std::move(arguments));
    EXPECT_EQ(result.status, status);
    EXPECT_EQ(result.error, message);
    EXPECT_EQ(result.out, "");
  }

  test::TemporaryFolder folder;
  const std::string real = fs::canonical(folder.path()).string() + "/store";
};

TEST_F(StoreCommands, AddPromoteRunAndRollBack) {
  const std::string first = Add(kClassifier, "topics"), second = Add(kOther, "topics");
  EXPECT_EQ(Ok({"store", "add", kOther, "--name", "topics"}), fmt::format("topics@latest is {}, as before\n", second.substr(0, 12)));
  EXPECT_EQ(Ok({"promote", "topics@" + first.substr(0, 8), "production", "-m", "first"}), fmt::format("topics@production is {}\n", first.substr(0, 12)));
  EXPECT_EQ(Ok({"promote", "topics@latest", "production"}), fmt::format("topics@production is {}, was {}\n", second.substr(0, 12), first.substr(0, 12)));
  const auto answer = [&](const std::string& model) { return Ok({"run", "text-classification", "-m", model, "--json", "a cat"}); };
  EXPECT_EQ(answer("topics@production"), answer(kOther));
  EXPECT_EQ(Json({"rollback", "topics", "production", "-m", "slow"}), json({{"name", "topics"}, {"alias", "production"}, {"before", second}, {"revision", first}}));
  EXPECT_EQ(answer("topics@production"), answer(kClassifier));
  EXPECT_EQ(answer("topics@" + second), answer(kOther));

  const json moves = Json({"log", "topics@production"});
  ASSERT_EQ(moves.size(), 3u);
  EXPECT_EQ(moves[0].at("action"), "rollback");
  EXPECT_EQ(moves[0].at("why"), "slow");
  EXPECT_EQ(moves[2].at("why"), "first");
  EXPECT_THAT(Ok({"log", "topics@production", "-n", "1"}), MatchesRegex(first.substr(0, 12) + "  20[-0-9]+ [0-9:]+  rollback by .*: slow\n"));
  const json log = Json({"log", "topics"});
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0].at("revision"), second);
  EXPECT_EQ(log[0].at("aliases"), json({"latest"}));
  EXPECT_EQ(log[1].at("aliases"), json({"production"}));
  const std::string names = Ok({"log"});
  EXPECT_THAT(names, HasSubstr(fmt::format("latest {}, production {}\n", second.substr(0, 12), first.substr(0, 12))));
  EXPECT_EQ(names.find('\x1b'), std::string::npos) << "colour is for terminals";
}

TEST_F(StoreCommands, EveryCommandWithAModelTakesAReference) {
  Add(kClassifier, "topics");
  const std::string model = "topics@latest", data = folder.Write("d.csv", "text,label\ncat,negative\ndog,positive\nred,negative\nblue,positive\ncat dog,neutral\nnight,neutral\n");
  const std::string labels = Json({"inspect", kClassifier}).at("labels").dump();
  EXPECT_EQ(Json({"inspect", model}).at("labels").dump(), labels);
  EXPECT_EQ(Json({"inspect", "-m", model}).at("model"), model);
  EXPECT_EQ(Ok({"tokenize", "-m", model, "a cat"}), Ok({"tokenize", "-m", kClassifier, "a cat"}));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"eval", "MODEL", "--data", data, "--json"}, {"train", "text-classification", "-m", "MODEL", "--data", data, "--out", "OUT", "--epochs", "1", "--json", "--validation-split", "0"},
        {"optimize", "MODEL", "--int8", "--out", "OUT", "--lengths", "4"}}) {
    std::vector<int> statuses;
    for (const std::string& given : {kClassifier, model}) {
      std::vector<std::string> arguments = command;
      for (std::string& argument : arguments) argument = argument == "MODEL" ? given : argument == "OUT" ? folder / fmt::format("{}{}", command[0], statuses.size()) : argument;
      statuses.push_back(Run(arguments).status);
    }
    EXPECT_EQ(statuses[0], statuses[1]) << command[0];
    EXPECT_EQ(statuses[0], 0) << command[0];
  }
  EXPECT_EQ(test::ReadWhole(folder / "train0/model.safetensors"), test::ReadWhole(folder / "train1/model.safetensors"));
  EXPECT_TRUE(Run({"verify"}).status == 0) << "nothing was written into the store's checkout";
}

TEST_F(StoreCommands, ModelArgumentsThatLeadNowhereSayWhy) {
  const auto run = [](const std::string& model) { return std::vector<std::string>{"run", "text-classification", "-m", model, "x"}; };
  Refused(run("topics@latest"), "mlac: " + folder / "store: there is no such store\nhint: 'mlac store add' makes one\n");
  Add(kClassifier, "topics");
  Refused(run("topics"), "mlac: topics: there is no such folder\nhint: the store has topics@latest\n");
  Refused(run("topcis"), "mlac: topcis: there is no such folder\nhint: a model is a folder with config.json and model.safetensors\n");
  Refused(run("topics@prodution"), "mlac: " + real + ": 'topics' has no alias 'prodution'\nhint: there are latest\n");
  Refused(run("topic@latest"), "mlac: " + real + ": nothing is called 'topic'\nhint: did you mean 'topics'?\n");
  const std::string path = folder.Write("d.csv", "text\nx\n");
  Ok({"store", "add", path, "--name", "rows", "--kind", "data"});
  Refused(run("rows@latest"), "mlac: rows@latest: expected a model, found data 'rows'\n");
  // What is there goes before what the store has, and what looks like a path is one.
  fs::create_directories(folder / "there/topics@latest");
  EXPECT_EQ(RunProgram({"sh", "-c", "cd \"$0\" && \"$1\" run text-classification -m topics@latest x", folder / "there", MLAC_BINARY}).status, 1);
  EXPECT_THAT(Run(run("./topics@latest")).error, HasSubstr("./topics@latest"));
}

TEST_F(StoreCommands, FindTheStoreAsGitDoes) {
  fs::create_directories(folder / "project/inner");
  const auto in = [&](const std::string& where, const std::string& arguments) {
    return RunProgram({"sh", "-c", fmt::format("unset MLAC_STORE; cd \"$0\" && \"$1\" {}", arguments), folder / where, MLAC_BINARY, kClassifier});
  };
  const ProgramResult none = in("project", "log");
  EXPECT_EQ(none.status, 1);
  EXPECT_EQ(none.error, "mlac: there is no store: no .mlac here or in a folder above\nhint: 'mlac store add' makes one; --store names one elsewhere\n");
  EXPECT_EQ(in("project", "store add \"$2\" --name topics").status, 0);
  EXPECT_TRUE(fs::exists(folder / "project/.mlac/store.json"));
  EXPECT_THAT(in("project/inner", "log").out, HasSubstr("topics"));
  EXPECT_EQ(in("project/inner", "store add \"$2\" --name again").status, 0);
  EXPECT_FALSE(fs::exists(folder / "project/inner/.mlac"));
  EXPECT_THAT(in(".", "log --store project/.mlac").out, HasSubstr("again"));
}

TEST_F(StoreCommands, ShowAndDiffSayWhatMadeThem) {
  folder.Write("a/metrics.json", R"({"accuracy": 0.5})");
  folder.Write("b/metrics.json", R"({"accuracy": 0.75})");
  Ok({"store", "add", folder / "a", "--name", "r1", "--kind", "report", "--parameter", "lr=1"});
  Ok({"store", "add", folder / "b", "--name", "r1", "--kind", "report", "--parameter", "lr=2", "--base", "r1@latest"});
  const json log = Json({"log", "r1"});
  const std::string after = log[0].at("revision"), before = log[1].at("revision");
  const json shown = Json({"show", "r1"});
  EXPECT_EQ(shown.at("revision"), after);
  EXPECT_EQ(shown.at("aliases"), json({"r1@latest"}));
  EXPECT_EQ(shown.at("records")[0].at("base"), before);
  EXPECT_EQ(shown.at("records")[0].at("parameters"), json({{"lr", "2"}}));
  EXPECT_EQ(shown.at("figures"), json({{"accuracy", 0.75}}));
  EXPECT_EQ(shown.at("files")[0].at("path"), "metrics.json");
  const std::string text = Ok({"show", before});
  EXPECT_THAT(text, StartsWith("revision      " + before + "\nreport        r1\nmade by       add\n"));
  EXPECT_THAT(text, HasSubstr("parameter     lr 1\nfigure        accuracy 0.5\nfiles         1 with 17 bytes\n            17  metrics.json\n"));
  EXPECT_EQ(Ok({"diff", before, after}), fmt::format("{} to {}\n"
                                                     "figures\n"
                                                     "  accuracy         0.5        0.75  +0.25\n"
                                                     "what made them\n"
                                                     "  base: {}, was none\n"
                                                     "  lr: 2, was 1\n"
                                                     "files\n"
                                                     "  ~ metrics.json  18 bytes, were 17\n"
                                                     "  0 are equal\n",
                                                     before.substr(0, 12), after.substr(0, 12), before));
  const json diff = Json({"diff", before, "r1@latest"});
  EXPECT_EQ(diff.at("figures")[0], json({{"name", "accuracy"}, {"before", 0.5}, {"after", 0.75}}));
}

TEST_F(StoreCommands, VerifyNamesADamagedFileAndGcMakesRoom) {
  const std::string first = Add(kClassifier, "topics");
  Add(kOther, "topics");
  EXPECT_THAT(Ok({"verify"}), MatchesRegex("2 revisions, [0-9]+ files of 0.2 MB: all as they were written\n"));
  EXPECT_THAT(Ok({"gc"}), HasSubstr("removed 0 revisions and 0 files, 0.0 MB; 2 revisions are kept\n"));
  // Of its own it has config.json and weights.
  EXPECT_THAT(Ok({"gc", "--keep", "1", "--dry-run"}), MatchesRegex(first.substr(0, 12) + "  topics\nwould remove 1 revision and 2 files, 0.1 MB; 1 revision is kept\n"));
  EXPECT_EQ(Json({"log", "topics"}).size(), 2u);
  EXPECT_EQ(Json({"gc", "--keep", "0"}).at("removed"), json::parse(fmt::format(R"([{{"revision": "{}", "names": ["topics"]}}])", first)));
  EXPECT_EQ(Json({"verify"}).at("damages"), json::array());

  const json files = Json({"show", "topics"}).at("files");
  const std::string hash = files[1].at("sha256"), blob = fmt::format("{}/store/blobs/{}/{}", folder.path(), hash.substr(0, 2), hash);
  fs::remove(blob);
  folder.Write("store/" + fs::path(blob).lexically_relative(folder / "store").string(), "other");
  const ProgramResult result = Run({"verify"});
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, StartsWith(fmt::format("blobs/{}/{}: is damaged: it has other bytes than its name says\n  needed by topics@", hash.substr(0, 2), hash)));
  EXPECT_EQ(result.error, fmt::format("mlac: {}: 1 file is damaged\nhint: delete a damaged file of blobs/ and add what it belongs to again; "
                                      "results of steps are made anew when they are needed; take others from a backup\n",
                                      real));
  const ProgramResult as_json = Run({"verify", "--json"});
  EXPECT_EQ(as_json.status, 1);
  EXPECT_EQ(json::parse(as_json.out).at("damages").size(), 1u);
}

TEST_F(StoreCommands, ExportAndPathGiveFolders) {
  const std::string revision = Add(kClassifier, "topics");
  EXPECT_EQ(Ok({"store", "export", "topics", "--out", folder / "out"}), fmt::format("{}: revision {}\n", folder / "out", revision.substr(0, 12)));
  for (const auto& entry : fs::directory_iterator(kClassifier)) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(test::ReadWhole(folder / ("out/" + name)), test::ReadWhole(entry.path().string()));
    EXPECT_FALSE(fs::is_symlink(folder / ("out/" + name)));
  }
  Refused({"store", "export", "topics", "--out", folder / "out"}, "mlac: " + folder / "out: exists already\nhint: --overwrite replaces it\n");
  Ok({"store", "export", "topics", "--out", folder / "out", "--overwrite"});
  EXPECT_EQ(Ok({"store", "path", "topics@latest"}), fmt::format("{}/checkouts/{}\n", real, revision));
  EXPECT_EQ(Add(folder / "out", "again"), revision);
}

TEST_F(StoreCommands, EveryCommandOfThePageWorks) {
  const std::string page = test::ReadWhole(MLAC_SOURCE "/docs/versions.md");
  const auto run = [&](const std::string& command) {
    const std::string path = fmt::format("PATH={}:{}", fs::path(MLAC_BINARY).parent_path().string(), getenv("PATH"));
    const ProgramResult result = RunProgram({"sh", "-c", "unset MLAC_STORE; cd \"$0\" && " + command, folder.path()}, {.environment = {path}});
    EXPECT_EQ(result.status, 0) << command << "\n" << result.error;
  };
  fs::copy(kClassifier, folder / "topics");
  fs::copy(kOther, folder / "before");
  folder.Write("train.csv", "text,label\n");
  run("mlac store add before --name topics && mlac promote topics@latest production");
  size_t num_commands = 0;
  bool in_commands = false;
  for (size_t begin = 0; begin < page.size();) {
    const size_t end = page.find('\n', begin);
    std::string line = page.substr(begin, end - begin);
    begin = end + 1;
    if (line.starts_with("```")) in_commands = !in_commands;
    if (line.starts_with("$ ")) line = line.substr(2);
    if (!in_commands || !line.starts_with("mlac ")) continue;
    run(line);
    ++num_commands;
  }
  EXPECT_GE(num_commands, 15u);
}

TEST_F(StoreCommands, WrongArgumentsAreOneLine) {
  Add(kClassifier, "topics");
  Refused({"promote", "topics", "production"}, "mlac: promote: which revision of 'topics'?\nhint: NAME@REVISION, as 'topics@latest'\n", 2);
  Refused({"promote", "topics@latest", "latest"}, "mlac: 'latest' is moved by what publishes alone\nhint: promote to 'production', or a name of your own\n");
  Refused({"promote", "topics@latest", "../x"}, "mlac: the alias '../x': expected letters, digits, '.', '_' and '-', a letter or digit first, at most 100\n");
  Refused({"store", "add", kClassifier, "--name", "../../x"}, "mlac: the name '../../x': expected letters, digits, '.', '_' and '-', a letter or digit first, at most 100\n");
  Refused({"store", "add", kClassifier, "--name", "x1", "--parameter", "lr"}, "mlac: --parameter is 'lr'; expected NAME=VALUE\n", 2);
  Refused({"rollback", "topics", "production"}, fmt::format("mlac: {}: 'topics' has no alias 'production'\nhint: 'mlac promote topics@REVISION production' makes it\n", real));
  Refused({"show", "topics@nope"}, fmt::format("mlac: {}: 'topics' has no alias 'nope'\nhint: there are latest\n", real));
  EXPECT_EQ(Run({"store"}).status, 2);
  EXPECT_EQ(Run({"store", "add", folder / "none", "--name", "x1"}).status, 1);
}

}  // namespace
}  // namespace mlac
