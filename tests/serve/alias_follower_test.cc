#include "serve/alias_follower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <new>
#include <system_error>
#include <thread>

#include "hub/aliases.h"
#include "project/recorded_answers.h"
#include "tests/hub/store_folder.h"
#include "tests/serve/server_fixture.h"

namespace mlac {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using Kind = FollowEvent::Kind;
using Vectors = std::vector<std::vector<float>>;

// A folder of the store stands for a fake model: its file says how much it adds to token ids.
class AliasFollowerTest : public ModelServerTest {
 protected:
  // Not empty: an answer to "a" that is recorded with it. The fake model answers "a|".
  std::string AddModel(int shift, const std::string& answer = "") {
    Record record = {.name = "", .revision = ""};
    if (!answer.empty()) {
      WriteRecordedAnswers(files_.folder / kAnswersFile, {"text-classification", {{{"a", std::nullopt}, answer}}});
      record.answers = files_.store.Add(files_.folder / kAnswersFile, {.name = "m.answers", .revision = "", .kind = ArtefactKind::kData});
    }
    record.parameters = {{"train.epochs", "3"}};
    return files_.Add("m", {{"shift", std::to_string(shift)}}, record);
  }
  void Promote(const std::string& revision, const std::string& name = "m") { Aliases(files_.store).Promote(name, revision, kProduction); }
  // An adapter of the name "a". base: how much the model adds that it opens over; -1: over any.
  std::string AddAdapter(int shift, int base = -1) {
    return files_.Add("a", {{"shift", std::to_string(shift)}, {"base", std::to_string(base)}}, {.name = "", .revision = ""});
  }

  std::unique_ptr<ServedModel> Open(const std::string& folder) {
    ++num_opened_;
    const std::string text = test::ReadWhole(folder + "/shift");
    if (text == "66") throw Error(ErrorCode::kInvalidInput, "its config.json is broken");
    if (text == "77" && num_opened_ % 2 == 0) throw Error(ErrorCode::kResourceExhausted, "no memory for it");
    if (text == "88" && num_opened_ % 2 == 0) throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    return std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .broken = false, .shift = std::stoi(text)});
  }
  std::unique_ptr<ServedModel> OpenAdapter(const ServedModel& model, const std::string& folder) {
    ++num_opened_;
    const int shift = dynamic_cast<const FakeModel&>(model).shift(), base = std::stoi(test::ReadWhole(folder + "/base"));
    if (base >= 0 && base != shift) throw Error(ErrorCode::kInvalidInput, "it was made for another base");
    return std::make_unique<FakeModel>(
        FakeModelOptions{.normalizes = false, .broken = false, .shift = shift + std::stoi(test::ReadWhole(folder + "/shift"))});
  }

  // Serves the revision that production stands for, and follows it.
  void Follow(std::vector<NamedModel> others = {}, bool with_adapter = false) {
    const std::string revision = *Aliases(files_.store).Find("m", kProduction);
    RevisionFolder folder = files_.store.OpenFolder(revision);
    std::vector<NamedModel> models;
    models.push_back({"m", Open(folder.path()), OriginOf(files_.store, "m", std::move(folder))});
    std::vector<FollowedAlias> aliases = {{.model = "m", .name = "m", .alias = std::string(kProduction), .revision = revision}};
    if (with_adapter) {
      const std::string adapter = *Aliases(files_.store).Find("a", kProduction);
      RevisionFolder adapter_folder = files_.store.OpenFolder(adapter);
      const std::string path = adapter_folder.path();
      ModelOrigin origin = OriginOf(files_.store, "a", std::move(adapter_folder));
      origin.base = "m";
      origin.adapter = path;
      models.push_back({"tone", OpenAdapter(*models.front().model, path), std::move(origin)});
      aliases.insert(aliases.begin(), {.model = "tone", .name = "a", .alias = std::string(kProduction), .revision = adapter});
    }
    for (NamedModel& other : others) models.push_back(std::move(other));
    ModelServerOptions options;
    options.open = {.model = [this](const std::string& path) { return Open(path); },
                    .adapter = [this](const ServedModel& model, const std::string& path) { return OpenAdapter(model, path); }};
    ServeModels(std::move(models), std::move(options));
    follower_.emplace(FollowOptions{.store = files_.store,
                                    .aliases = std::move(aliases),
                                    .on_event =
                                        [this](const FollowEvent& event) {
                                          if (saying_fails_) throw std::bad_alloc();
                                          events_.push_back(event);
                                        },
                                    .interval = std::chrono::milliseconds(0),
                                    .first_retry = std::chrono::seconds(0)},
                      server_->loader(), server_->models(), metrics_);
  }

  // The revision that an answer names, and what it says.
  std::pair<std::string, Vectors> Embed(const std::string& model = "m") {
    const RawAnswer answer = Ask(PostJson("/models/" + model + "/embed", R"({"inputs":"hello","normalize":false})"));
    EXPECT_EQ(answer.status, 200) << answer.body;
    return {answer.Field("x-model-revision"), json::parse(answer.body).get<Vectors>()};
  }
  static Vectors Of(int shift) { return {FakeModel({.normalizes = false, .shift = shift}).Row({2, 10, 3})}; }

  test::StoreFolder files_;
  ServeMetrics metrics_;
  std::vector<FollowEvent> events_;
  size_t num_opened_ = 0;
  bool saying_fails_ = false;
  std::optional<AliasFollower> follower_;
};

TEST_F(AliasFollowerTest, ServesWhatTheAliasMovesToAndBack) {
  const std::string first = AddModel(0, R"("a|")"), second = AddModel(1, R"("a|")");
  ASSERT_NE(Of(0), Of(1));
  Promote(first);
  Follow();
  EXPECT_EQ(Embed(), std::pair(first, Of(0)));
  Promote(second);
  EXPECT_EQ(Embed(), std::pair(first, Of(0)));
  follower_->Look();
  EXPECT_EQ(Embed(), std::pair(second, Of(1)));
  Aliases(files_.store).Rollback("m", kProduction);
  follower_->Look();
  EXPECT_EQ(Embed(), std::pair(first, Of(0)));
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[0].kind, Kind::kSwapped);
  EXPECT_EQ(events_[0].reference, "m@production");
  EXPECT_EQ(events_[0].before, first);
  EXPECT_EQ(events_[0].after, second);
  EXPECT_THAT(metrics_.Render({}), HasSubstr(R"(mlac_alias_moves_total{model="m",outcome="swapped"} 2)"));
  const std::string metrics = Ask(Get("/metrics")).body;
  EXPECT_THAT(metrics, HasSubstr("mlac_model_revision{model=\"m\",revision=\"" + first + "\"} 1\n"));
  EXPECT_EQ(metrics.find("revision=\"" + second), std::string::npos);
}

TEST_F(AliasFollowerTest, ReadsNothingWhileNothingMoves) {
  const std::string first = AddModel(0), second = AddModel(1);
  Promote(first);
  Follow();
  for (int i = 0; i < 3; ++i) follower_->Look();
  EXPECT_EQ(num_opened_, 1u);
  Promote(second);
  for (int i = 0; i < 3; ++i) follower_->Look();
  EXPECT_EQ(num_opened_, 2u);
  Promote(first);
  Promote(second);  // there again before anybody looks
  follower_->Look();
  EXPECT_EQ(num_opened_, 2u);
  EXPECT_EQ(events_.size(), 1u);
}

TEST_F(AliasFollowerTest, KeepsTheModelBeforeWhereTheNewOneIsRefused) {
  const std::string good = AddModel(0, R"("a|")"), does_not_open = AddModel(66), answers_otherwise = AddModel(2, R"("b|")"),
                    next = AddModel(3);
  Promote(good);
  Follow();
  const auto refused = [&](const std::string& revision) {
    Promote(revision);
    for (int i = 0; i < 2; ++i) follower_->Look();  // once is enough
    EXPECT_EQ(Embed(), std::pair(good, Of(0)));
    EXPECT_EQ(events_.back().kind, Kind::kRefused);
    EXPECT_EQ(events_.back().before, good);
    EXPECT_EQ(events_.back().after, revision);
    return events_.back().message;
  };
  EXPECT_EQ(refused(does_not_open), "its config.json is broken");
  EXPECT_EQ(refused(answers_otherwise), "'a' is not answered as when it was published: expected \"b|\", found \"a|\"");
  EXPECT_EQ(events_.size(), 2u);
  EXPECT_THAT(metrics_.Render({}), HasSubstr(R"(mlac_alias_moves_total{model="m",outcome="refused"} 2)"));
  Promote(good);  // where it stands already
  follower_->Look();
  EXPECT_EQ(events_.size(), 2u);
  Promote(next);
  follower_->Look();
  EXPECT_EQ(Embed(), std::pair(next, Of(3)));
}

TEST_F(AliasFollowerTest, TriesAgainWhereMemoryWasShort) {
  const std::string first = AddModel(0), second = AddModel(77);
  Promote(first);
  Follow();
  Promote(second);
  follower_->Look();
  EXPECT_EQ(events_.back().message, "no memory for it");
  EXPECT_EQ(Embed().first, first);
  follower_->Look();
  EXPECT_EQ(events_.back().kind, Kind::kSwapped);
  EXPECT_EQ(Embed().first, second);
}

TEST_F(AliasFollowerTest, TriesAgainWhereTheSystemGaveNoThread) {
  const std::string first = AddModel(0), second = AddModel(88);
  Promote(first);
  Follow();
  Promote(second);
  follower_->Look();
  EXPECT_EQ(events_.back().kind, Kind::kRefused);
  EXPECT_EQ(Embed().first, first);
  follower_->Look();
  EXPECT_EQ(events_.back().kind, Kind::kSwapped);
  EXPECT_EQ(Embed().first, second);
}

TEST_F(AliasFollowerTest, AModelThatWasPutInItsPlaceStaysThoughAMoveWaitsForAnotherTry) {
  const std::string first = AddModel(0), second = AddModel(77), third = AddModel(2);
  Promote(first);
  Follow();
  Promote(second);
  follower_->Look();
  ASSERT_EQ(events_.back().message, "no memory for it");
  server_->models().Put("m", std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .shift = 5}));
  for (int i = 0; i < 3; ++i) follower_->Look();
  EXPECT_EQ(Embed(), std::pair(std::string(), Of(5)));
  Promote(third);
  follower_->Look();
  EXPECT_EQ(Embed(), std::pair(third, Of(2)));
}

TEST_F(AliasFollowerTest, AModelThatWasUnloadedDoesNotComeBackAndOneThatWasPutInItsPlaceStaysUntilTheAliasMoves) {
  const std::string first = AddModel(0), second = AddModel(1), third = AddModel(2);
  Promote(first);
  std::vector<NamedModel> others;
  others.push_back({"other", std::make_unique<FakeModel>()});
  Follow(std::move(others));
  EXPECT_EQ(Ask(PostJson("/models/other/embed", R"({"inputs":"a"})")).Field("x-model-revision"), "");
  server_->models().Put("m", std::make_unique<FakeModel>(FakeModelOptions{.normalizes = false, .shift = 5}));
  follower_->Look();
  EXPECT_EQ(Embed(), std::pair(std::string(), Of(5)));
  Promote(second);
  follower_->Look();
  EXPECT_EQ(Embed(), std::pair(second, Of(1)));
  ASSERT_TRUE(server_->models().Remove("m"));
  Promote(third);
  follower_->Look();
  EXPECT_EQ(server_->models().Find("m"), nullptr);
  EXPECT_EQ(server_->models().All().size(), 1u);
}

TEST_F(AliasFollowerTest, SaysOnceThatAnAliasCannotBeReadAndGoesOnWhenItCan) {
  const std::string first = AddModel(0), second = AddModel(1);
  Promote(first);
  Follow();
  Promote(second);
  const std::string path = AliasPath(files_.store, "m", kProduction), whole = test::ReadWhole(path);
  std::ofstream(path) << whole.substr(0, whole.size() - 10);
  for (int i = 0; i < 3; ++i) follower_->Look();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].kind, Kind::kUnreadable);
  EXPECT_EQ(Embed().first, first);
  std::ofstream(path) << whole;
  follower_->Look();
  EXPECT_EQ(Embed().first, second);
  std::filesystem::remove(path);
  follower_->Look();
  EXPECT_THAT(events_.back().message, HasSubstr("there is no such file any more"));
  EXPECT_EQ(Embed().first, second);
}

TEST_F(AliasFollowerTest, SaysThatAnAliasIsGoneBeforeItWasEverLookedAt) {
  Promote(AddModel(0));
  Follow();
  std::filesystem::remove(AliasPath(files_.store, "m", kProduction));
  for (int i = 0; i < 3; ++i) follower_->Look();
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_THAT(events_[0].message, HasSubstr("there is no such file any more"));
}

// A lack of memory in the follower's thread would end the server.
TEST_F(AliasFollowerTest, GoesOnWhereThereIsNoMemoryToSayWhatCameOfAMove) {
  const std::string first = AddModel(0), second = AddModel(1), broken = AddModel(66);
  Promote(first);
  Follow();
  for (const std::string& revision : {second, broken, first}) {
    Promote(revision);
    const size_t num_opened = num_opened_;
    saying_fails_ = true;
    EXPECT_NO_THROW(follower_->Look());
    saying_fails_ = false;
    for (int i = 0; i < 2; ++i) follower_->Look();
    EXPECT_EQ(num_opened_, num_opened + 1) << "opened again";
    EXPECT_EQ(Embed().first, revision == broken ? second : revision);
  }
}

TEST_F(AliasFollowerTest, EveryAnswerCarriesTheRevisionErrorsIncluded) {
  const std::string revision = AddModel(0);
  Promote(revision);
  Follow();
  for (const std::string& request :
       {Get("/info"), Get("/v2/models/m"), PostJson("/embed", R"({"inputs":7})"), PostJson("/tokenize", R"({"inputs":"a"})"),
        PostJson("/v1/embeddings", R"({"input":"a"})"), PostJson("/", R"({"inputs":"a"})"), PostJson("/predict", R"({"inputs":"a"})"),
        PostJson("/rerank", R"({"query":"a","texts":["b"]})"), PostJson("/", R"({"query":"a","texts":["b"]})"),
        PostJson("/models/m/predict", "{}"),
        std::string("POST /embed HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\na"),
        std::string("POST /models/m/v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n")}) {
    const RawAnswer answer = Ask(request);
    EXPECT_EQ(answer.Field("x-model-revision"), revision) << request;
    EXPECT_EQ(answer.Field("x-model"), "m") << request;
  }
  for (const std::string& request : {Get("/metrics"), Get("/health"), PostJson("/models/none/embed", R"({"inputs":"a"})")})
    EXPECT_EQ(Ask(request).Field("x-model-revision"), "") << request;
}

TEST_F(AliasFollowerTest, InfoShowsTheRecordButNotWhoMadeIt) {
  const std::string revision = AddModel(0);
  Promote(revision);
  Follow();
  const json info = AskJson(Get("/info"));
  EXPECT_EQ(info.at("model_sha"), revision);
  EXPECT_EQ(info.at("record").at("revision"), revision);
  EXPECT_EQ(info.at("record").at("parameters").at("train.epochs"), "3");
  EXPECT_EQ(info.at("record").at("kind"), "model");
  EXPECT_FALSE(info.at("record").contains("who"));
}

TEST_F(AliasFollowerTest, ARevisionThatIsServedIsNotRemoved) {
  const std::string first = AddModel(0), second = AddModel(1);
  Promote(first);
  Follow();
  const auto is_locked = [&](const std::string& revision) {
    try {
      const FileLock lock = FileLock::Take(files_.store.folder() + "/revisions/" + revision, LockMode::kExclusive, "test");
      return false;
    } catch (const Error&) {
      return true;
    }
  };
  EXPECT_TRUE(is_locked(first));
  Promote(second);
  follower_->Look();
  Embed();
  while (is_locked(first)) std::this_thread::yield();  // its last request has gone
  EXPECT_TRUE(is_locked(second));
}

TEST_F(AliasFollowerTest, LosesAndMixesNoRequestWhileTheAliasMoves) {
  const std::string first = AddModel(0), second = AddModel(1);
  Promote(first);
  Follow();
  const std::map<std::string, Vectors> right = {{first, Of(0)}, {second, Of(1)}};
  std::atomic<bool> stopping = false;
  std::atomic<size_t> num_answered = 0, num_wrong = 0;
  std::vector<std::thread> clients;
  for (size_t c = 0; c < 4; ++c)
    clients.emplace_back([&] {
      RawClient client(server_->port());
      while (!stopping) {
        client.Send(PostJson("/models/m/embed", R"({"inputs":"hello","normalize":false})"));
        const RawAnswer answer = client.Receive();
        const auto expected = right.find(answer.Field("x-model-revision"));
        num_wrong += answer.status != 200 || expected == right.end() || json::parse(answer.body).get<Vectors>() != expected->second;
        ++num_answered;
      }
    });
  for (size_t i = 0; i < 30; ++i) {
    const size_t before = num_answered;
    Promote(i % 2 == 0 ? second : first);
    follower_->Look();
    while (num_answered < before + 8) std::this_thread::yield();
  }
  stopping = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_wrong, 0u);
  EXPECT_EQ(events_.size(), 30u);
}

// An adapter "tone" of the name "a" over the model "m".
class FollowedAdapterTest : public AliasFollowerTest {
 protected:
  void FollowBoth(const std::string& base, const std::string& adapter) {
    Promote(base);
    Promote(adapter, "a");
    Follow({}, /*with_adapter=*/true);
  }
  // What is served of each, as the sums of what they add.
  void ExpectServed(const std::string& base, int base_shift, const std::string& adapter, int adapter_shift) {
    EXPECT_EQ(Embed("m"), std::pair(base, Of(base_shift)));
    EXPECT_EQ(Embed("tone"), std::pair(adapter, Of(adapter_shift)));
  }
  std::vector<std::string> Events() const {
    std::vector<std::string> texts;
    for (const FollowEvent& event : events_)
      texts.push_back(event.reference + (event.kind == Kind::kSwapped ? " swapped" : " refused: " + event.message));
    return texts;
  }
  using Strings = std::vector<std::string>;
};

TEST_F(FollowedAdapterTest, MovesAlone) {
  const std::string base = AddModel(0), first = AddAdapter(2), second = AddAdapter(3);
  FollowBoth(base, first);
  ExpectServed(base, 0, first, 2);
  Promote(second, "a");
  follower_->Look();
  ExpectServed(base, 0, second, 3);
  EXPECT_EQ(Events(), (Strings{"a@production swapped"}));
}

TEST_F(FollowedAdapterTest, IsOpenedAnewOverABaseThatMoves) {
  const std::string base = AddModel(0), next = AddModel(1), adapter = AddAdapter(2);
  FollowBoth(base, adapter);
  Promote(next);
  follower_->Look();
  ExpectServed(next, 1, adapter, 3);
  EXPECT_EQ(Events(), (Strings{"m@production swapped"}));
}

TEST_F(FollowedAdapterTest, HoldsItsBaseWhereItDoesNotOpenOverTheNewOneUntilItHasMovedToo) {
  const std::string base = AddModel(0), next = AddModel(1), adapter = AddAdapter(2, 0), other = AddAdapter(4, 0),
                    fitting = AddAdapter(3, 1);
  FollowBoth(base, adapter);
  Promote(next);
  for (int i = 0; i < 2; ++i) follower_->Look();
  ExpectServed(base, 0, adapter, 2);
  Promote(other, "a");  // which fits the old one alone
  follower_->Look();
  ExpectServed(base, 0, other, 4);
  Promote(fitting, "a");
  follower_->Look();
  ExpectServed(next, 1, fitting, 4);
  EXPECT_EQ(Events(), (Strings{"m@production refused: 'tone', which changes with it: it was made for another base", "a@production swapped",
                               "m@production swapped", "a@production swapped"}));
}

TEST_F(FollowedAdapterTest, MovesWithItsBaseInWhicheverOrderTheyMove) {
  const std::string base = AddModel(0), next = AddModel(1), adapter = AddAdapter(2, 0), fitting = AddAdapter(3, 1);
  FollowBoth(base, adapter);
  Promote(fitting, "a");
  follower_->Look();
  ExpectServed(base, 0, adapter, 2);
  EXPECT_EQ(Events(), (Strings{"a@production refused: it was made for another base"}));
  Promote(next);
  follower_->Look();
  ExpectServed(next, 1, fitting, 4);
  Promote(base);
  Promote(adapter, "a");  // both before anybody looks
  follower_->Look();
  ExpectServed(base, 0, adapter, 2);
  EXPECT_EQ(events_.size(), 5u);
  follower_->Look();
  EXPECT_EQ(events_.size(), 5u);
}

TEST_F(FollowedAdapterTest, ABrokenAdapterHoldsNoBaseWhereTheOneBeforeFits) {
  const std::string base = AddModel(0), next = AddModel(1), adapter = AddAdapter(2), broken = AddAdapter(3, 7);
  FollowBoth(base, adapter);
  Promote(broken, "a");
  Promote(next);
  follower_->Look();
  ExpectServed(next, 1, adapter, 3);
  EXPECT_EQ(Events(), (Strings{"m@production swapped", "a@production refused: it was made for another base"}));
}

TEST_F(FollowedAdapterTest, AMoveThatWasRefusedDoesNotUndoWhatTheAdminRoutesDidSince) {
  const std::string base = AddModel(0), next = AddModel(1), adapter = AddAdapter(2, 0), other = AddAdapter(3);
  FollowBoth(base, adapter);
  Promote(next);
  follower_->Look();
  ASSERT_EQ(events_.size(), 1u);
  server_->loader().Load({{"m", files_.store.OpenFolder(base).path()}});
  EXPECT_EQ(Embed("tone"), std::pair(adapter, Of(2)));
  Promote(other, "a");
  follower_->Look();
  EXPECT_EQ(Embed("m"), std::pair(std::string(), Of(0)));
  EXPECT_EQ(Embed("tone"), std::pair(other, Of(3)));
}

}  // namespace
}  // namespace mlac
