#include "serve/admin.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <latch>
#include <optional>
#include <regex>

#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;
using Vectors = std::vector<std::vector<float>>;

class AdminTest : public ModelServerTest {
 protected:
  // Folders "one" and "two" below the root; the model of "two" differs, that of "bad" does not open. Adapters "three" and "four" differ
  // from what they stand over; "four" opens over the model of "one" alone.
  void ServeWithAdmin(bool with_api_key = false) {
    for (const char* name : {"one", "two", "bad", "deep/in", "three", "four"}) std::filesystem::create_directories(root_ / name);
    root_.Write("three/adapter_config.json", "{}");
    std::filesystem::create_directories(outside_ / "secret");
    std::filesystem::create_directory_symlink(outside_ / "secret", root_ / "link");
    ModelServerOptions options;
    options.open.model = [this](const std::string& folder) -> std::unique_ptr<ServedModel> {
      if (full_) throw Error(ErrorCode::kResourceExhausted, "--memory 64 MiB: it needs 80 MiB", "give it more");
      opened_.push_back(folder);
      if (gate_) gate_->arrive_and_wait();
      if (folder.ends_with("/bad")) throw Error(ErrorCode::kInvalidInput, "config.json: no model");
      return std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .shift = folder.ends_with("/two")});
    };
    options.open.adapter = [this](const ServedModel& base, const std::string& folder) -> std::unique_ptr<ServedModel> {
      opened_.push_back(folder);
      const int32_t shift = dynamic_cast<const FakeModel&>(base).shift();
      if (folder.ends_with("/four") && shift != 0)
        throw Error(ErrorCode::kInvalidInput, "its tensors have other shapes", "was it made for this base?");
      return std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .shift = shift + (folder.ends_with("/three") ? 2 : 4)});
    };
    options.admin = {.keys = ApiKeys::Parse("master", "test"), .model_root = root_.path()};
    if (with_api_key) options.http.api_keys = ApiKeys::Parse("user", "test");
    Serve({.normalizes = false}, std::move(options));
    model_ = nullptr;  // which may be replaced before the end, and blocks nothing
  }
  std::string Put(const std::string& name, const std::string& body, const std::string& key = "master") {
    return "PUT /admin/models/" + name + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::string Delete(const std::string& name) {
    return "DELETE /admin/models/" + name + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer master\r\n\r\n";
  }
  Vectors Embed(const std::string& path) { return AskJson(PostJson(path, R"({"inputs":"hello","normalize":false})")).get<Vectors>(); }
  static Vectors Of(int32_t shift) { return {FakeModel({.normalizes = false, .shift = shift}).Row({2, 10, 3})}; }

  const test::TemporaryFolder root_, outside_;
  std::vector<std::string> opened_;
  std::atomic<bool> full_ = false;
  std::optional<std::latch> gate_;  // opening a model waits for the test
};

TEST_F(AdminTest, LoadsSwapsAndUnloadsWhileItServes) {
  ServeWithAdmin();
  const json loaded = AskJson(Put("new", R"({"folder":"one"})"));
  EXPECT_EQ(loaded,
            json::parse(R"({"name":"new","tasks":["feature-extraction","sentence-similarity"],"dtype":"float32","max_input_length":16,
                                    "requests_in_flight":0,"replaced":false})"));
  EXPECT_EQ(Embed("/models/new/embed"), Of(0));
  EXPECT_EQ(AskJson(Put("new", R"({"folder":"two"})")).at("replaced"), true);
  EXPECT_EQ(Embed("/models/new/embed"), Of(1));
  EXPECT_EQ(opened_, (std::vector<std::string>{root_ / "one", root_ / "two"}));
  EXPECT_EQ(AskJson(Get("/admin/models", "Authorization: Bearer master\r\n")).at("models").size(), 2u);
  EXPECT_EQ(AskJson(Delete("org/fake")).at("name"), "org/fake");
  EXPECT_EQ(Embed("/embed"), Of(1));
  EXPECT_EQ(Outcome(Delete("org/fake")), R"x(404 {"error":"no such model (served is 'new')","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Delete("new")),
            R"x(409 {"error":"'new' is the only model that is served (load another one first)","error_type":"Validation"})x");
  EXPECT_EQ(AskJson(Put("new", R"({"folder":"deep/in"})")).at("replaced"), true);
}

TEST_F(AdminTest, AChangeMayNameAModelThatTheOneBeforeItBrings) {
  ServeWithAdmin();
  gate_.emplace(2);
  RawClient first(server_->port()), second(server_->port()), third(server_->port());
  first.Send(Put("new", R"({"folder":"one"})"));
  Ask(Get("/health"));  // answered behind what was sent before
  second.Send(Put("over", R"({"adapter":"three","base":"new"})"));
  Ask(Get("/health"));
  third.Send(Delete("over"));
  Ask(Get("/health"));
  gate_->arrive_and_wait();
  EXPECT_EQ(first.Receive().status, 200);
  const RawAnswer over = second.Receive();
  EXPECT_EQ(over.status, 200) << over.body;
  EXPECT_EQ(json::parse(over.body).at("base"), "new");
  EXPECT_EQ(third.Receive().status, 200);
}

TEST_F(AdminTest, KeepsWhatItServesWhereAFolderHoldsNoModel) {
  ServeWithAdmin();
  EXPECT_EQ(Outcome(Put("org/fake", R"({"folder":"bad"})")), R"x(400 {"error":"config.json: no model","error_type":"Validation"})x");
  EXPECT_EQ(Embed("/embed"), Of(0));
}

TEST_F(AdminTest, TakesNamesThatTheStoreTakesInPartsApartBySlashes) {
  ServeWithAdmin();
  const std::string rule = "expected letters, digits, '.', '_' and '-', a letter or digit first, at most 100";
  for (const std::string& name :
       {std::string("%2e%2e"), std::string("%20"), std::string("two%40prod"), std::string("a%2F..%2Fb"), std::string("a%2F%2Fb"),
        std::string("a/"), std::string("-x"), std::string("%C3%A9"), std::string(101, 'a')})
    EXPECT_EQ(Outcome(Put(name, R"({"folder":"one"})")),
              R"x(422 {"error":"the model's name: )x" + rule + R"x(","error_type":"Validation"})x")
        << name;
  EXPECT_TRUE(opened_.empty());
  for (const std::string& name : {std::string(100, 'x'), std::string("org/a.B_c-9"), std::string("org%2Fmore")})
    EXPECT_EQ(AskJson(Put(name, R"({"folder":"one"})")).at("replaced"), false) << name;
}

TEST_F(AdminTest, TakesOtherKeysWhileItServes) {
  ServeWithAdmin();
  const auto status = [&](const std::string& key) { return Ask(Put("new", R"({"folder":"one"})", key)).status; };
  EXPECT_EQ(std::pair(status("master"), status("other")), std::pair(200, 401));
  server_->SetAdminKeys(ApiKeys::Parse("other\nthird", "test"));
  EXPECT_EQ(std::pair(status("master"), status("other")), std::pair(401, 200));
  EXPECT_EQ(status("third"), 200);
  test::ExpectError(ErrorCode::kInvalidArgument, "what asks for a key needs one", [&] { server_->SetAdminKeys({}); });
  EXPECT_EQ(std::pair(status("master"), status("other")), std::pair(401, 200));
}

TEST_F(AdminTest, HasNoKeysToReplaceWithoutItsRoutes) {
  Serve({});
  test::ExpectError(ErrorCode::kInvalidArgument, "there are no admin routes, which keys could open",
                    [&] { server_->SetAdminKeys(ApiKeys::Parse("other", "test")); });
}

// A name of the command line may be any text.
TEST_F(AdminTest, ReplacesWhatIsServedWhateverItsName) {
  ModelServerOptions options;
  options.open.model = [](const std::string&) { return std::make_unique<FakeModel>(); };
  options.admin = {.keys = ApiKeys::Parse("master", "test"), .model_root = root_.path()};
  std::filesystem::create_directories(root_ / "one");
  std::vector<NamedModel> models;
  models.push_back({"my model", std::make_unique<FakeModel>()});
  ServeModels(std::move(models), std::move(options));
  EXPECT_EQ(AskJson(Put("my%20model", R"({"folder":"one"})")).at("replaced"), true);
}

TEST_F(AdminTest, SaysThatAModelDoesNotFitInAWayThatInvitesNoRetry) {
  ServeWithAdmin();
  full_ = true;
  const RawAnswer answer = Ask(Put("new", R"({"folder":"one"})"));
  EXPECT_EQ(answer.status, 507);
  EXPECT_EQ(answer.Field("retry-after"), "");
  EXPECT_EQ(json::parse(answer.body).at("error"), "--memory 64 MiB: it needs 80 MiB (give it more)");
  EXPECT_EQ(Embed("/embed"), Of(0));
}

TEST_F(AdminTest, SaysWhichMethodsAPathTakesToThoseWhoseKeyOpensIt) {
  for (const bool with_api_key : {false, true}) {
    if (with_api_key) std::filesystem::remove(root_ / "link");
    ServeWithAdmin(with_api_key);
    const RawAnswer answer = Ask(Get("/admin/models/org%2Ffake", "Authorization: Bearer master\r\n"));
    EXPECT_EQ(answer.status, 405);
    EXPECT_EQ(answer.Field("allow"), "PUT, DELETE, OPTIONS");
    EXPECT_EQ(Ask(Get("/admin/models/org%2Ffake", "Authorization: Bearer user\r\n")).status, 401);
    EXPECT_EQ(Ask(Get("/admin/models/org%2Ffake")).status, 401);
  }
}

TEST_F(AdminTest, LoadsSwapsAndUnloadsAnAdapterOverAModelThatIsServed) {
  ServeWithAdmin();
  EXPECT_EQ(
      AskJson(Put("tone", R"({"adapter":"three","base":"org/fake"})")),
      json::parse(
          R"({"name":"tone","tasks":["feature-extraction","sentence-similarity"],"base":"org/fake","dtype":"float32","max_input_length":16,
                            "requests_in_flight":0,"replaced":false})"));
  EXPECT_EQ(Embed("/models/tone/embed"), Of(2));
  EXPECT_EQ(Embed("/embed"), Of(0));                                              // what stands below is as it was
  EXPECT_EQ(AskJson(Put("tone", R"({"adapter":"four"})")).at("replaced"), true);  // over what the one before stood over
  EXPECT_EQ(Embed("/models/tone/embed"), Of(4));
  EXPECT_EQ(AskJson(Get("/admin/models", "Authorization: Bearer master\r\n")).at("models")[1].at("base"), "org/fake");
  EXPECT_EQ(AskJson(Put("more", R"({"adapter":"three"})")).at("base"), "org/fake");  // the only one that there is
  EXPECT_EQ(opened_, (std::vector<std::string>{root_ / "three", root_ / "four", root_ / "three"}));
  EXPECT_EQ(AskJson(Delete("tone")).at("name"), "tone");
  EXPECT_EQ(Ask(PostJson("/models/tone/embed", R"({"inputs":"a"})")).status, 404);
  EXPECT_EQ(AskJson(Put("more", R"({"folder":"two"})")).contains("base"), false);  // a model in the place of an adapter
  EXPECT_EQ(Embed("/models/more/embed"), Of(1));
}

TEST_F(AdminTest, AdaptersChangeWithTheModelThatTheyStandOverOrNothingDoes) {
  ServeWithAdmin();
  AskJson(Put("tone", R"({"adapter":"three"})"));
  EXPECT_EQ(AskJson(Put("org/fake", R"({"folder":"two"})")).at("replaced"), true);
  EXPECT_EQ(Embed("/embed"), Of(1));
  EXPECT_EQ(Embed("/models/tone/embed"), Of(3));
  AskJson(Put("org/fake", R"({"folder":"one"})"));
  EXPECT_EQ(Embed("/models/tone/embed"), Of(2));
  AskJson(Put("topics", R"({"adapter":"four"})"));
  EXPECT_EQ(
      Outcome(Put("org/fake", R"({"folder":"two"})")),
      R"x(400 {"error":"'topics', which changes with it: its tensors have other shapes (was it made for this base?)","error_type":"Validation"})x");
  EXPECT_EQ(Embed("/embed"), Of(0));
  EXPECT_EQ(Embed("/models/tone/embed"), Of(2));
  EXPECT_EQ(Embed("/models/topics/embed"), Of(4));
}

TEST_F(AdminTest, KeepsAModelAsLongAsAdaptersStandOverIt) {
  ServeWithAdmin();
  AskJson(Put("tone", R"({"adapter":"three"})"));
  AskJson(Put("more", R"({"folder":"one"})"));
  EXPECT_EQ(Outcome(Delete("org/fake")),
            R"x(409 {"error":"adapters stand over 'org/fake': 'tone' (unload them first)","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("org/fake", R"({"adapter":"three","base":"more"})")),
            R"x(422 {"error":"an adapter cannot take the place of 'org/fake', over which adapters stand: 'tone'","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("more", R"({"adapter":"three","base":"more"})")),
            R"x(422 {"error":"'more' cannot stand over itself","error_type":"Validation"})x");
  AskJson(Delete("tone"));
  EXPECT_EQ(AskJson(Delete("org/fake")).at("name"), "org/fake");
}

TEST_F(AdminTest, RefusesAnAdapterWithoutABase) {
  ServeWithAdmin();
  AskJson(Put("tone", R"({"adapter":"three"})"));
  AskJson(Put("more", R"({"folder":"one"})"));
  EXPECT_EQ(
      Outcome(Put("x", R"({"adapter":"three"})")),
      R"x(422 {"error":"'base' is missing: several models are served that the adapter could stand over","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("x", R"({"adapter":"three","base":"tone"})")),
            R"x(422 {"error":"'tone' is an adapter itself, over 'org/fake'","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("x", R"({"adapter":"three","base":"none"})")),
            R"x(404 {"error":"no such model (served are 'org/fake', 'tone', 'more')","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("x", R"({"adapter":"three","folder":"one"})")),
            R"x(422 {"error":"'adapter' and 'folder' exclude each other","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("x", R"({"folder":"one","base":"more"})")),
            R"x(422 {"error":"'base' is there for an 'adapter' alone","error_type":"Validation"})x");
  EXPECT_EQ(
      Outcome(Put("x", R"({"folder":"three"})")),
      R"x(422 {"error":"'folder' holds an adapter and no model (name it as 'adapter', with its 'base')","error_type":"Validation"})x");
  EXPECT_EQ(server_->models().Find("x"), nullptr);
}

TEST_F(AdminTest, OpensNoFolderOutsideOfTheRoot) {
  ServeWithAdmin();
  const std::string plain = R"(422 {"error":"'folder' must be a path below the model root, of plain names","error_type":"Validation"})";
  for (const std::string& folder : {std::string(".."), std::string("."), std::string("/"), root_.path(), outside_ / "secret",
                                    std::string("one/../two"), std::string("one/"), std::string("one//two"), std::string("../"),
                                    std::string("one/.."), std::string("one\\..\\.."), std::string("one\n")}) {
    EXPECT_EQ(Outcome(Put("x", json({{"folder", folder}}).dump())), plain) << folder;
    EXPECT_EQ(Outcome(Put("x", json({{"adapter", folder}}).dump())), std::regex_replace(plain, std::regex("folder'"), "adapter'"))
        << folder;
  }
  EXPECT_EQ(Outcome(Put("x", R"({"adapter":"link"})")),
            R"x(422 {"error":"'adapter' leads out of the model root","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("x", R"({"folder":"link"})")),
            R"x(422 {"error":"'folder' leads out of the model root","error_type":"Validation"})x");
  for (const char* folder : {"none", "%2e%2e", "one/none"})
    EXPECT_EQ(Outcome(Put("x", json({{"folder", folder}}).dump())),
              R"x(404 {"error":"'folder' names no folder below the model root","error_type":"Validation"})x")
        << folder;
  EXPECT_EQ(Outcome(Put("x", "{}")),
            R"x(422 {"error":"'folder' is missing (an adapter is named by 'adapter' and 'base')","error_type":"Validation"})x");
  EXPECT_EQ(Outcome(Put("x", R"({"folder":1})")),
            R"x(422 {"error":"'folder' must be a string, is a number (byte 10)","error_type":"Validation"})x");
  EXPECT_TRUE(opened_.empty());
}

TEST_F(AdminTest, AsksForItsOwnKeyAndTheKeyOpensNothingElse) {
  for (const bool with_api_key : {false, true}) {
    if (with_api_key) std::filesystem::remove(root_ / "link");
    ServeWithAdmin(with_api_key);
    EXPECT_EQ(Ask(Get("/admin/models")).status, 401);
    EXPECT_EQ(Ask(Get("/admin/models", "Authorization: Bearer user\r\n")).status, 401);
    EXPECT_EQ(Ask(Get("/admin/models", "Authorization: Bearer master\r\n")).status, 200);
    EXPECT_EQ(Ask(Put("x", R"({"folder":"one"})", "user")).status, 401);
    EXPECT_EQ(Ask(PostJson("/embed", R"({"inputs":"a"})", "Authorization: Bearer master\r\n")).status, with_api_key ? 401 : 200);
  }
  Serve();
  EXPECT_EQ(Ask(Get("/admin/models", "Authorization: Bearer master\r\n")).status, 404);  // off unless asked for
}

}  // namespace
}  // namespace mlac
