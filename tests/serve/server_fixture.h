#pragma once
// A server over a fake model, and a client for it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "serve/model_server.h"
#include "serve/model_set.h"
#include "tests/http/raw_client.h"
#include "tests/serve/fake_model.h"

namespace mlac {

inline std::string PostJson(const std::string& path, const std::string& body, const std::string& fields = "") {
  return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string Get(const std::string& path, const std::string& fields = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}

class ModelServerTest : public testing::Test {
 protected:
  void Serve(FakeModelOptions model_options = {}, ModelServerOptions options = {}) {
    auto model = std::make_unique<FakeModel>(model_options);
    FakeModel* const pointer = model.get();
    std::vector<NamedModel> models;
    models.push_back({"org/fake", std::move(model)});
    ServeModels(std::move(models), std::move(options));
    model_ = pointer;
  }
  void ServeModels(std::vector<NamedModel> models, ModelServerOptions options = {}) {
    server_.reset();
    model_ = nullptr;
    options.http.port = 0;
    options.http.drain_idle = std::chrono::milliseconds(0);
    options.on_access = [this](const HttpAccess& access) {
      const std::lock_guard lock(mutex_);
      accesses_.push_back(access);
      changed_.notify_all();
    };
    server_.emplace(std::move(models), std::move(options));
  }
  ~ModelServerTest() override {
    if (server_ && model_) model_->Release();
  }

  RawAnswer Ask(const std::string& bytes) {
    RawClient client(server_->port());
    client.Send(bytes);
    return client.Receive();
  }
  nlohmann::json AskJson(const std::string& bytes) {
    const RawAnswer answer = Ask(bytes);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return nlohmann::json::parse(answer.body);
  }
  // "STATUS BODY"
  std::string Outcome(const std::string& bytes) {
    const RawAnswer answer = Ask(bytes);
    return std::to_string(answer.status) + " " + answer.body;
  }

  // The access log, once it has so many entries.
  std::vector<HttpAccess> Accesses(size_t at_least) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return accesses_.size() >= at_least; });
    return accesses_;
  }

  // What the model gives for a text's ids, normalised if wished.
  std::vector<float> Expected(const std::vector<int32_t>& ids, bool normalize) const {
    std::vector<float> row = model_->Row(ids);
    if (normalize) NormalizeVector(row);
    return row;
  }

  FakeModel* model_ = nullptr;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpAccess> accesses_;

 protected:
  std::optional<ModelServer> server_;  // goes first: its threads use the rest
};

}  // namespace mlac
