// The real binary as a server: it starts, answers with the bits of `mlac run`, and stops when told to.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/http/raw_client.h"
#include "tests/support/program.h"
#include "tests/support/test_support.h"

namespace mlac {
namespace {

using nlohmann::json;

const std::string kFolder = MLAC_TEST_FIXTURES "/models/st_mean";

// `mlac serve` with these arguments; its log is read by a thread.
class ServerProcess {
 public:
  // in_child: what the process does before it becomes the server.
  explicit ServerProcess(std::vector<std::string> arguments, const std::vector<std::string>& environment = {}, const std::function<void()>& in_child = {}) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    arguments.insert(arguments.begin(), {MLAC_BINARY, "serve"});
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDERR_FILENO);
      for (const std::string& entry : environment) putenv(const_cast<char*>(entry.c_str()));
      if (in_child) in_child();
      std::vector<char*> pointers;
      for (std::string& argument : arguments) pointers.push_back(argument.data());
      pointers.push_back(nullptr);
      execv(pointers[0], pointers.data());
      _exit(127);
    }
    close(ends[1]);
    log_fd_ = ends[0];
    // "... on http://127.0.0.1:PORT", or the end of a server that did not start.
    while (first_line_.find('\n') == std::string::npos && ReadLog(first_line_)) {
    }
    if (const size_t colon = first_line_.rfind("127.0.0.1:"); colon != std::string::npos) port_ = std::stoi(first_line_.substr(colon + 10));
    reader_ = std::thread([this] {
      while (ReadLog(log_)) {
      }
    });
  }
  ~ServerProcess() {
    if (pid_ > 0) Stop(SIGKILL);
  }

  int port() const { return port_; }
  const std::string& first_line() const { return first_line_; }
  pid_t pid() const { return pid_; }

  // Its exit status, or 128 + the signal that ended it.
  int Stop(int signal_number) {
    kill(pid_, signal_number);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    reader_.join();
    close(log_fd_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  // After Stop.
  const std::string& log() const { return log_; }

 private:
  bool ReadLog(std::string& into) {
    char buffer[4096];
    const ssize_t count = read(log_fd_, buffer, sizeof buffer);
    if (count > 0) into.append(buffer, static_cast<size_t>(count));
    return count > 0;
  }

  pid_t pid_;
  int log_fd_, port_ = 0;
  std::string first_line_, log_;
  std::thread reader_;
};

std::string PostJson(const std::string& path, const json& body) {
  const std::string text = body.dump();
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
}

RawAnswer Ask(int port, const std::string& bytes) {
  RawClient client(port);
  client.Send(bytes);
  return client.Receive();
}

TEST(Serve, GivesTheVectorsOfMlacRunBitForBit) {
  const std::vector<std::string> texts = {"how do I reset my password", "I forgot my login", "nice weather"};
  std::vector<std::string> arguments = {"run", "feature-extraction", "-m", kFolder, "--json"};
  arguments.insert(arguments.end(), texts.begin(), texts.end());
  const auto expected = json::parse(RunMlac(arguments).out).get<std::vector<std::vector<float>>>();
  ServerProcess server({kFolder, "--port", "0"});
  ASSERT_NE(server.port(), 0) << server.first_line();
  const json answer = json::parse(Ask(server.port(), PostJson("/v1/embeddings", {{"input", texts}})).body);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(answer.at("data")[i].at("embedding").get<std::vector<float>>(), expected[i]);
  EXPECT_EQ(answer.at("model"), "st_mean");
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_NE(server.log().find(" POST /v1/embeddings 200 "), std::string::npos) << server.log();
  EXPECT_EQ(server.log().find("password"), std::string::npos);
}

TEST(Serve, GivesTheVectorsOfAnInt8FolderBitForBit) {
  const test::TemporaryFolder folder;
  const std::string int8 = folder / "int8";
  ASSERT_EQ(RunMlac({"optimize", kFolder, "--int8", "--out", int8, "--lengths", "4"}).status, 0);
  const std::vector<std::string> texts = {"how do I reset my password", "nice weather"};
  std::vector<std::string> arguments = {"run", "feature-extraction", "-m", int8, "--json"};
  arguments.insert(arguments.end(), texts.begin(), texts.end());
  const auto expected = json::parse(RunMlac(arguments).out).get<std::vector<std::vector<float>>>();
  ServerProcess server({int8, "--port", "0"});
  ASSERT_NE(server.port(), 0) << server.first_line();
  const json answer = json::parse(Ask(server.port(), PostJson("/v1/embeddings", {{"input", texts}})).body);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(answer.at("data")[i].at("embedding").get<std::vector<float>>(), expected[i]);
  EXPECT_EQ(server.Stop(SIGTERM), 0);
}

TEST(Serve, TakesItsOptionsFromTheEnvironmentAndTheCommandLineWins) {
  ServerProcess server({"--log-format", "json"}, {"MLAC_MODEL=" + kFolder, "MLAC_PORT=0", "MLAC_MAX_CLIENT_BATCH_SIZE=1", "MLAC_SERVED_MODEL_NAME=m",
                                                  "MLAC_LOG_FORMAT=text", "MLAC_AUTO_TRUNCATE=true"});
  const json line = json::parse(server.first_line());
  EXPECT_EQ(line.at("event"), "serving");
  EXPECT_EQ(line.at("url"), "http://127.0.0.1:" + std::to_string(server.port()));
  const json info = json::parse(Ask(server.port(), "GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n").body);
  EXPECT_EQ(info.at("max_client_batch_size"), 1);
  EXPECT_EQ(info.at("served_model_name"), "m");
  EXPECT_EQ(info.at("auto_truncate"), true);
  EXPECT_EQ(server.Stop(SIGINT), 0);
}

TEST(Serve, LosesNoRequestThatItAcceptedWhenItIsToldToStopUnderLoad) {
  ServerProcess server({kFolder, "--port", "0"});
  ASSERT_NE(server.port(), 0) << server.first_line();
  constexpr size_t kNumClients = 8;
  std::atomic<size_t> num_answered = 0, num_lost = 0;
  std::atomic<bool> stopping = false;
  std::vector<std::thread> clients;
  for (size_t c = 0; c < kNumClients; ++c)
    clients.emplace_back([&] {
      const std::string request = PostJson("/embed", {{"inputs", {"hello", "nice weather today"}}});
      while (true) {
        RawClient client(server.port());
        if (!client.connected()) return;  // not accepted
        for (bool open = true; open;) {
          if (!client.Send(request)) break;
          const RawAnswer answer = client.Receive();
          answer.status == 200 ? ++num_answered : ++num_lost;
          open = answer.status == 200 && answer.Field("Connection") != "close";
        }
        if (stopping) return;
      }
    });
  while (num_answered < 200) std::this_thread::yield();
  stopping = true;
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_lost, 0u);
  EXPECT_NE(server.log().find("stopping: answering what is held\n"), std::string::npos);
}

TEST(Serve, ServesSeveralModelsUnderTheirNames) {
  const std::string text = "how do I reset my password", other = MLAC_TEST_FIXTURES "/models/st_cls_dense";
  ServerProcess server({kFolder, "other=" + other, kFolder + "/../classifier/", "--port", "0"});
  ASSERT_NE(server.port(), 0) << server.first_line();
  const json models = json::parse(Ask(server.port(), "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n").body).at("data");
  ASSERT_EQ(models.size(), 3u);
  EXPECT_EQ(models[0].at("id"), "st_mean");
  EXPECT_EQ(models[1].at("id"), "other");
  EXPECT_EQ(models[2].at("id"), "classifier");
  using Vectors = std::vector<std::vector<float>>;
  for (const auto& [name, folder] : {std::pair(std::string("st_mean"), kFolder), std::pair(std::string("other"), other)}) {
    const auto expected = json::parse(RunMlac({"run", "feature-extraction", "-m", folder, "--json", text}).out).get<Vectors>();
    EXPECT_EQ(json::parse(Ask(server.port(), PostJson("/models/" + name, {{"inputs", text}})).body).get<Vectors>(), expected) << name;
    const json answer = json::parse(Ask(server.port(), PostJson("/v1/embeddings", {{"input", text}, {"model", name}})).body);
    EXPECT_EQ(answer.at("data")[0].at("embedding").get<std::vector<float>>(), expected[0]) << name;
  }
  EXPECT_EQ(server.Stop(SIGTERM), 0);
}

TEST(Serve, FollowsAnAliasAndLosesAndMixesNoRequest) {
  using Vectors = std::vector<std::vector<float>>;
  const test::TemporaryFolder folder;
  const std::vector<std::string> environment = {"MLAC_STORE=" + folder / "store"};
  const std::string text = "how do I reset my password";
  std::map<std::string, Vectors> expected;  // by revision
  std::vector<std::string> revisions;
  for (const std::string& model : {kFolder, std::string(MLAC_TEST_FIXTURES "/models/st_cls_dense")}) {
    const ProgramResult added = RunMlac({"store", "add", model, "--name", "search", "--json"}, {.environment = environment});
    ASSERT_EQ(added.status, 0) << added.error;
    revisions.push_back(json::parse(added.out).at("revision"));
    expected[revisions.back()] = json::parse(RunMlac({"run", "feature-extraction", "-m", model, "--json", text}).out).get<Vectors>();
  }
  const auto promote = [&](const std::string& revision) {
    EXPECT_EQ(RunMlac({"promote", "search@" + revision, "production"}, {.environment = environment}).status, 0);
  };
  promote(revisions[0]);
  ServerProcess server({"search@production", "other=" + kFolder, "--port", "0"}, environment);
  ASSERT_NE(server.port(), 0) << server.first_line();
  std::atomic<size_t> num_answered = 0, num_wrong = 0;
  std::atomic<bool> stopping = false;
  std::mutex mutex;
  std::string last_seen;
  std::vector<std::thread> clients;
  for (size_t c = 0; c < 4; ++c)
    clients.emplace_back([&] {
      RawClient client(server.port());
      while (!stopping) {
        client.Send(PostJson("/models/search", {{"inputs", text}}));
        const RawAnswer answer = client.Receive();
        const std::string revision = answer.Field("x-model-revision");
        num_wrong += answer.status != 200 || !expected.contains(revision) || json::parse(answer.body).get<Vectors>() != expected.at(revision);
        ++num_answered;
        const std::lock_guard lock(mutex);
        last_seen = revision;
      }
    });
  const auto await = [&](const std::string& revision) {
    for (bool seen = false; !seen && num_wrong == 0; std::this_thread::yield()) {
      const std::lock_guard lock(mutex);
      seen = last_seen == revision;
    }
  };
  for (size_t i = 1; i <= 4; ++i) {
    promote(revisions[i % 2]);
    await(revisions[i % 2]);
  }
  EXPECT_EQ(RunMlac({"rollback", "search", "production"}, {.environment = environment}).status, 0);
  await(revisions[1]);
  stopping = true;
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(num_wrong, 0u);
  EXPECT_GT(num_answered, 10u);
  EXPECT_EQ(Ask(server.port(), PostJson("/models/other", {{"inputs", text}})).Field("x-model-revision"), "");
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_NE(server.log().find("search@production: " + revisions[1].substr(0, 12) + " serves now, after " + revisions[0].substr(0, 12) + "\n"),
            std::string::npos)
      << server.log();
}

// A base and an adapter over it, both of the store: each follows its own alias, and the base takes its adapter along.
TEST(Serve, FollowsTheAliasesOfABaseAndOfItsAdapters) {
  const test::TemporaryFolder folder;
  const std::vector<std::string> environment = {"MLAC_STORE=" + folder / "store"};
  const std::string base = MLAC_TEST_FIXTURES "/models/classifier", text = "the night is red and open", again = folder / "again";
  std::filesystem::copy(base, again);
  folder.Write("again/README.md", "another card");
  const auto add = [&](const std::string& path, const std::string& name) -> std::string {
    const ProgramResult added = RunMlac({"store", "add", path, "--name", name, "--json"}, {.environment = environment});
    EXPECT_EQ(added.status, 0) << added.error;
    return json::parse(added.out).at("revision");
  };
  const auto promote = [&](const std::string& name, const std::string& revision) {
    EXPECT_EQ(RunMlac({"promote", name + "@" + revision, "production"}, {.environment = environment}).status, 0);
  };
  const auto alone = [&](const std::string& adapter) {
    std::vector<std::string> arguments = {"run", "text-classification", "-m", base, "--json", "--top-k", "all", text};
    if (!adapter.empty()) arguments.insert(arguments.end(), {"--adapter", MLAC_TEST_FIXTURES "/adapters/" + adapter});
    return json::parse(RunMlac(arguments).out);
  };
  const std::vector<std::string> bases = {add(base, "sorts"), add(again, "sorts")},
                                 adapters = {add(MLAC_TEST_FIXTURES "/adapters/bert", "tone"),
                                             add(MLAC_TEST_FIXTURES "/adapters/bert_patterns", "tone")};
  const std::map<std::string, json> right = {
      {bases[0], alone("")}, {bases[1], alone("")}, {adapters[0], alone("bert")}, {adapters[1], alone("bert_patterns")}};
  ASSERT_NE(right.at(adapters[0]), right.at(adapters[1]));
  promote("sorts", bases[0]);
  promote("tone", adapters[0]);
  ServerProcess server({"sorts@production", "--adapter", "tone@production", "--port", "0"}, environment);
  ASSERT_NE(server.port(), 0) << server.first_line();
  RawClient client(server.port());
  // The revision that answers, with its own answer.
  const auto answered_by = [&](const std::string& model) {
    client.Send(PostJson("/models/" + model, {{"inputs", text}}));
    const RawAnswer answer = client.Receive();
    EXPECT_EQ(answer.status, 200) << answer.body;
    const std::string revision = answer.Field("x-model-revision");
    const auto expected = right.find(revision);
    EXPECT_TRUE(expected != right.end() && json::parse(answer.body) == expected->second) << model << " " << answer.body;
    return revision;
  };
  EXPECT_EQ(answered_by("sorts"), bases[0]);
  EXPECT_EQ(answered_by("tone"), adapters[0]);
  promote("tone", adapters[1]);
  while (answered_by("tone") != adapters[1] && !testing::Test::HasFailure()) answered_by("sorts");
  promote("sorts", bases[1]);
  while (answered_by("sorts") != bases[1] && !testing::Test::HasFailure()) answered_by("tone");
  EXPECT_EQ(answered_by("tone"), adapters[1]);
  promote("sorts", bases[0]);
  promote("tone", adapters[0]);
  while ((answered_by("sorts") != bases[0] || answered_by("tone") != adapters[0]) && !testing::Test::HasFailure()) {
  }
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_NE(server.log().find("tone@production: " + adapters[1].substr(0, 12) + " serves now, after " + adapters[0].substr(0, 12) + "\n"),
            std::string::npos)
      << server.log();
}

TEST(Serve, SaysTheTypeThatItComputesIn) {
  const test::TemporaryFolder folder;
  const std::string int8 = folder / "int8";
  ASSERT_EQ(RunMlac({"optimize", kFolder, "--int8", "--out", int8, "--lengths", "4"}).status, 0);
  ServerProcess server({kFolder, int8, "--port", "0"});
  ASSERT_NE(server.port(), 0) << server.first_line();
  const auto dtype = [&](const std::string& path) { return json::parse(Ask(server.port(), "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n").body).at("model_dtype"); };
  EXPECT_EQ(dtype("/info"), "float32");
  EXPECT_EQ(dtype("/models/int8/info"), "int8");
  ServerProcess bf16({kFolder, "--port", "0", "--dtype", "bf16", "--allow-slow"});
  EXPECT_EQ(json::parse(Ask(bf16.port(), "GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n").body).at("model_dtype"), "bfloat16");
}

// A socket of a service manager, that hears what its services say.
class NotifySocket {
 public:
  explicit NotifySocket(const std::string& path) : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval patience = {.tv_sec = 60, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~NotifySocket() { close(fd_); }
  std::string Receive() const {
    char buffer[256];
    const ssize_t count = recv(fd_, buffer, sizeof buffer, 0);
    return count > 0 ? std::string(buffer, static_cast<size_t>(count)) : "";
  }

 private:
  int fd_;
};

TEST(Serve, TakesTheSocketOfItsServiceManagerAndTellsItWhenItIsReadyAndStops) {
  const test::TemporaryFolder folder;
  const NotifySocket manager(folder / "notify");
  const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listening, 8), 0);
  ServerProcess server({kFolder}, {"NOTIFY_SOCKET=" + (folder / "notify"), "LISTEN_FDS=1"}, [&] {
    if (listening == 3) {
      fcntl(3, F_SETFD, 0);
    } else {
      dup2(listening, 3);
    }
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  });
  EXPECT_EQ(manager.Receive(), "READY=1");
  socklen_t size = sizeof address;
  getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
  EXPECT_EQ(server.port(), ntohs(address.sin_port)) << server.first_line();
  EXPECT_EQ(Ask(server.port(), PostJson("/embed", {{"inputs", "a"}})).status, 200);
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_EQ(manager.Receive(), "STOPPING=1");
  close(listening);
}

TEST(Serve, ReadsItsCertificateAgainOnSighupAndKeepsItWhereTheNewOneIsBroken) {
  const test::TemporaryFolder folder;
  const std::string certificate = folder / "cert.pem", key = folder / "key.pem";
  const auto make = [&](const std::string& name) {
    return RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate, "-days", "1",
                       "-subj", "/CN=" + name}).status;
  };
  if (make("one") != 0) GTEST_SKIP() << "no openssl";
  const NotifySocket manager(folder / "notify");
  ServerProcess server({kFolder, "--port", "0", "--tls-cert", certificate, "--tls-key", key}, {"NOTIFY_SOCKET=" + (folder / "notify")});
  EXPECT_EQ(manager.Receive(), "READY=1");
  EXPECT_NE(server.first_line().find(" on https://127.0.0.1:"), std::string::npos) << server.first_line();
  const auto subject = [&] {
    return RunProgram({"sh", "-c", "openssl s_client -connect 127.0.0.1:" + std::to_string(server.port()) + " < /dev/null 2>&1 | grep '^subject='"}).out;
  };
  EXPECT_EQ(subject(), "subject=CN = one\n");
  make("two");
  kill(server.pid(), SIGHUP);
  EXPECT_EQ(manager.Receive().substr(0, 27), "RELOADING=1\nMONOTONIC_USEC=");
  EXPECT_EQ(manager.Receive(), "READY=1");
  EXPECT_EQ(subject(), "subject=CN = two\n");
  folder.Write("key.pem", "");
  kill(server.pid(), SIGHUP);
  manager.Receive();
  EXPECT_EQ(manager.Receive(), "READY=1");
  EXPECT_EQ(subject(), "subject=CN = two\n");
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_NE(server.log().find("read the certificate again\n"), std::string::npos) << server.log();
  EXPECT_NE(server.log().find("kept the certificate: " + key + ": no private key in PEM's form, or an encrypted one\n"), std::string::npos) << server.log();
}

TEST(Serve, GoesOnAfterASighupThatReloadsNothing) {
  ServerProcess server({kFolder, "--port", "0"});
  kill(server.pid(), SIGHUP);
  EXPECT_EQ(Ask(server.port(), "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 200);
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_NE(server.log().find(" info SIGHUP: nothing to reload, there is neither a certificate nor a file of keys\n"),
            std::string::npos)
      << server.log();
}

int StatusWithKey(const ServerProcess& server, const std::string& path, const std::string& key) {
  return Ask(server.port(), "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key + "\r\n\r\n").status;
}

void ReloadBySighup(const ServerProcess& server, const NotifySocket& manager) {
  kill(server.pid(), SIGHUP);
  manager.Receive();  // that it reloads
  EXPECT_EQ(manager.Receive(), "READY=1");
}

TEST(Serve, ReadsItsApiKeysAgainOnSighupAndKeepsThemWhereTheFileIsBroken) {
  const test::TemporaryFolder folder;
  const std::string keys = folder.Write("keys", "old\n");
  const NotifySocket manager(folder / "notify");
  ServerProcess server({kFolder, "--port", "0", "--api-key-file", keys}, {"NOTIFY_SOCKET=" + (folder / "notify")});
  EXPECT_EQ(manager.Receive(), "READY=1");
  const auto status = [&](const std::string& key) { return StatusWithKey(server, "/info", key); };
  const auto reload = [&](const std::string& content) {
    folder.Write("keys", content);
    ReloadBySighup(server, manager);
  };
  EXPECT_EQ(std::pair(status("old"), status("new")), std::pair(200, 401));
  reload("new\n");
  EXPECT_EQ(std::pair(status("old"), status("new")), std::pair(401, 200));
  reload("\n");
  EXPECT_EQ(std::pair(status("old"), status("new")), std::pair(401, 200)) << "a file without keys does not open the server";
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_NE(server.log().find(" info read the API keys again\n"), std::string::npos) << server.log();
  EXPECT_NE(server.log().find(" warning kept the API keys: " + keys + ": holds no API key"), std::string::npos) << server.log();
}

TEST(Serve, ReadsItsAdminKeysAgainOnSighupAndKeepsThemWhereTheFileIsBroken) {
  const test::TemporaryFolder folder;
  const std::string admin_keys = folder.Write("admin", "old\n"), keys = folder.Write("keys", "user\n");
  folder.Write("root/keep", "");
  const NotifySocket manager(folder / "notify");
  ServerProcess server({kFolder, "--port", "0", "--api-key-file", keys, "--admin-key-file", admin_keys, "--model-root", folder / "root"},
                       {"NOTIFY_SOCKET=" + (folder / "notify")});
  EXPECT_EQ(manager.Receive(), "READY=1");
  const auto status = [&](const std::string& key) { return StatusWithKey(server, "/admin/models", key); };
  const auto reload = [&](const std::string& content) {
    folder.Write("admin", content);
    ReloadBySighup(server, manager);
  };
  EXPECT_EQ(std::pair(status("old"), status("new")), std::pair(200, 401));
  reload("new\n");
  EXPECT_EQ(std::pair(status("old"), status("new")), std::pair(401, 200));
  EXPECT_EQ(status("user"), 401) << "a key of the other routes";
  reload("two words\n");
  EXPECT_EQ(std::pair(status("old"), status("new")), std::pair(401, 200)) << "a broken file does not close the routes";
  reload("\n");
  EXPECT_EQ(std::pair(status("old"), status("new")), std::pair(401, 200)) << "a file without keys does not open them";
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  EXPECT_NE(server.log().find(" info read the admin keys again\n"), std::string::npos) << server.log();
  EXPECT_NE(server.log().find(" info read the API keys again\n"), std::string::npos) << server.log();
  EXPECT_NE(server.log().find(" warning kept the admin keys: " + admin_keys + ": holds no API key"), std::string::npos) << server.log();
}

TEST(Serve, WarnsWhereOthersThanThisMachineReachItWithoutAKey) {
  const test::TemporaryFolder folder;
  const std::string keys = folder.Write("keys", "key\n"),
                    warning = " warning whoever reaches this machine is answered: --api-key-file asks for a key\n";
  const auto log = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {kFolder, "--port", "0"});
    ServerProcess server(options);
    EXPECT_EQ(server.Stop(SIGTERM), 0);
    return server.first_line() + server.log();
  };
  EXPECT_NE(log({"--host", "0.0.0.0"}).find(warning), std::string::npos);
  EXPECT_EQ(log({"--host", "0.0.0.0", "--api-key-file", keys}).find(warning), std::string::npos);
  EXPECT_EQ(log({}).find(warning), std::string::npos);
}

TEST(Serve, SaysWhatItsModelsDo) {
  const std::string models = MLAC_TEST_FIXTURES "/models/", families = MLAC_TEST_FIXTURES "/families/";
  ServerProcess server({kFolder, models + "classifier", families + "bert_tokens", families + "bert_qa", families + "distilbert_masked_lm",
                        families + "mpnet_reranker", "--port", "0"});
  EXPECT_TRUE(
      server.first_line()
          .substr(std::string("2026-01-01T00:00:00.000Z ").size())
          .starts_with("info serving st_mean (feature-extraction, sentence-similarity; vectors of 32 values; texts of at most 64 tokens), "
                       "classifier (text-classification; 3 labels; texts of at most 64 tokens), "
                       "bert_tokens (token-classification; "))
      << server.first_line();
  for (const char* part : {"bert_qa (question-answering; texts of at most 64 tokens)", "distilbert_masked_lm (fill-mask, ",
                           "mpnet_reranker (text-classification, text-ranking; texts of at most "})
    EXPECT_NE(server.first_line().find(part), std::string::npos) << part << ": " << server.first_line();
  EXPECT_EQ(server.Stop(SIGTERM), 0);
}

TEST(Serve, AnAdapterNamesTheModelThatItStandsOver) {
  const std::string base = MLAC_TEST_FIXTURES "/models/classifier", adapters = MLAC_TEST_FIXTURES "/adapters/";
  ServerProcess server({"other=" + kFolder, "sorts=" + base, "--adapter", "tone@sorts=" + adapters + "bert", "--adapter",
                        "meaning@other=" + adapters + "bert_embedding", "--port", "0"});
  ASSERT_NE(server.port(), 0) << server.first_line();
  const json text = {{"inputs", "the cat"}};
  const json alone = json::parse(
      RunMlac({"run", "text-classification", "-m", base, "--adapter", adapters + "bert", "--top-k", "all", "--json", "the cat"}).out);
  EXPECT_EQ(json::parse(Ask(server.port(), PostJson("/models/tone", text)).body)[0].size(), alone[0].size());
  EXPECT_EQ(json::parse(Ask(server.port(), PostJson("/models/tone", text)).body)[0][0].at("score"), alone[0][0].at("score"));
  EXPECT_EQ(Ask(server.port(), PostJson("/models/meaning/embed", text)).status, 200);
  EXPECT_EQ(server.Stop(SIGTERM), 0);
  const auto refused = [&](const std::string& adapter) {
    const ProgramResult result = RunMlac({"serve", "other=" + kFolder, "sorts=" + base, "--adapter", adapter, "--port", "0"});
    EXPECT_EQ(result.status, 2);
    return result.error;
  };
  EXPECT_EQ(refused("tone=./x"),
            "mlac: serve: --adapter 'tone=./x': over which of the models?\nhint: write NAME@BASE=DIR, with BASE one of other, sorts\n");
  EXPECT_EQ(refused("tone@sort=./x"), "mlac: serve: --adapter 'tone@sort=./x': no model is called 'sort'\nhint: did you mean 'sorts'?\n");
  EXPECT_EQ(refused("sorts@other=" + adapters + "bert"),
            "mlac: serve: two models are called 'sorts'\nhint: give the adapter another name: --adapter OTHER=FOLDER\n");
}

TEST(Serve, SaysInOneLineWhyItDoesNotStart) {
  ServerProcess first({kFolder, "--port", "0"});
  const std::string port = std::to_string(first.port());
  const auto expect_failure = [](const std::vector<std::string>& arguments, int status, const std::string& error) {
    const ProgramResult result = RunMlac(arguments);
    EXPECT_EQ(result.status, status);
    EXPECT_EQ(result.error, error);
    EXPECT_EQ(result.out, "");
  };
  expect_failure({"serve", kFolder, "--port", port}, 1,
                 "mlac: cannot listen on 127.0.0.1:" + port + ": Address already in use\nhint: another program has the port; choose one with --port\n");
  const test::TemporaryFolder folder;
  expect_failure({"serve", kFolder, "--port", "0", "--api-key-file", folder / "none"}, 1, "mlac: " + (folder / "none") + ": cannot open: No such file or directory\n");
  folder.Write("keys", "\n");
  expect_failure({"serve", kFolder, "--port", "0", "--api-key-file", folder / "keys"}, 1,
                 "mlac: " + (folder / "keys") + ": holds no API key\nhint: write one key a line\n");
  expect_failure(
      {"serve", kFolder, "--port", "65536"}, 2,
      "mlac: serve: --port: expected a whole number from 0 to 65535, found '65536'\nhint: 'mlac help serve' shows what it takes\n");
  expect_failure({"serve", kFolder, "--payload-limit", "0"}, 2,
                 "mlac: serve: --payload-limit: expected a whole number of at least 1, found '0'\nhint: 'mlac help serve' shows "
                 "what it takes\n");
  expect_failure({"serve", kFolder, "--log-format", "xml"}, 2,
                 "mlac: serve: --log-format: xml not in {text,json}\nhint: 'mlac help serve' shows what it takes\n");
  expect_failure({"serve", kFolder, "--public-url", "models"}, 1,
                 "mlac: public URL 'models' is no URL\nhint: as in --public-url https://models.example.org\n");
  EXPECT_EQ(RunMlac({"serve", folder / "none"}).status, 1);
  expect_failure({"serve"}, 2, "mlac: serve: model is required\nhint: name a folder; without one /opt/ml/model is served, where that exists\n");
  expect_failure({"serve", kFolder, kFolder}, 2, "mlac: serve: two models are called 'st_mean'\nhint: give one another name: OTHER=FOLDER\n");
  expect_failure({"serve", "a=" + kFolder, "b=" + kFolder, "--served-model-name", "c"}, 2,
                 "mlac: serve: --served-model-name is for one model\nhint: of several, write NAME=FOLDER\n");
  expect_failure({"serve", kFolder, "--tls-cert", folder / "keys"}, 2, "mlac: serve: --tls-cert and --tls-key belong together\n");
  expect_failure({"serve", kFolder, "--admin-key-file", folder / "keys"}, 2, "mlac: serve: --admin-key-file and --model-root belong together\n");
  expect_failure({"serve", kFolder, "--port", "0", "--otlp-endpoint", "localhost"}, 1,
                 "mlac: OTLP endpoint: expected an http:// or https:// URL, found 'localhost'\nhint: as in http://127.0.0.1:4318\n");
  const ProgramResult memory = RunMlac({"serve", kFolder, "--port", "0", "--memory", "16M"});
  EXPECT_EQ(memory.status, 1);
  EXPECT_EQ(memory.error.substr(0, 39), "mlac: --memory 16 MiB: the models need ") << memory.error;
}

}  // namespace
}  // namespace mlac
