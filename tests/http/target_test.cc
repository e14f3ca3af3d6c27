#include "http/target.h"

#include <gtest/gtest.h>

#include "http/router.h"

namespace mlac {
namespace {

TEST(ParseTarget, PartsAtSlashesBeforeItDecodesAndDecodesOnce) {
  const auto target = ParseTarget("GET", "/v1/models/a%2Fb%2520c/?q=%41");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->segments, (std::vector<std::string>{"v1", "models", "a/b%20c", ""}));
  EXPECT_EQ(target->path, "/v1/models/a/b%20c/");
  EXPECT_EQ(target->query, "q=%41");
  EXPECT_EQ(target->authority, "");
}

TEST(ParseTarget, ReadsTheAbsoluteForm) {
  const auto target = ParseTarget("GET", "http://example.org:80?x");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->authority, "example.org:80");
  EXPECT_EQ(target->path, "/");
  EXPECT_EQ(target->query, "x");
}

TEST(IsLoopback, LooksAtTheWholeHost) {
  for (const char* host : {"localhost", "LOCALHOST:1", "127.0.0.1", "127.255.255.254:80", "[::1]", "[::1]:80"}) EXPECT_TRUE(IsLoopback(host)) << host;
  for (const char* host : {"localhost.evil.example", "127.0.0.1.evil.example", "128.0.0.1", "126.255.255.255", "0.0.0.0", "[::2]", "127.1", "0x7f.0.0.1", "example.org"})
    EXPECT_FALSE(IsLoopback(host)) << host;
}

TEST(HttpRouter, FindsTheFirstPatternThatFitsAndItsParameters) {
  HttpRouter router;
  const HttpHandler handler = [](HttpRequest, HttpResponder) {};
  router.Add({.method = "GET", .pattern = "/models", .handler = handler});
  router.Add({.method = "GET", .pattern = "/models/{id}/ready", .handler = handler});
  router.Add({.method = "GET", .pattern = "/models/{id*}", .handler = handler});
  router.Add({.method = "POST", .pattern = "/models", .handler = handler});
  const auto find = [&](std::string_view method, std::vector<std::string> segments) { return router.Find(method, segments); };
  EXPECT_EQ(find("GET", {"models"}).route->pattern, "/models");
  EXPECT_EQ(find("HEAD", {"models"}).route->method, "GET");
  EXPECT_EQ(find("POST", {"models"}).route->method, "POST");
  EXPECT_EQ(find("PUT", {"models"}).route, nullptr);
  EXPECT_EQ(find("PUT", {"models"}).allow, "GET, HEAD, POST, OPTIONS");
  EXPECT_EQ(find("GET", {"none"}).allow, "");
  EXPECT_EQ(find("GET", {"models", "a", "ready"}).route->pattern, "/models/{id}/ready");
  EXPECT_EQ(find("GET", {"models", "a", "ready"}).parameters, std::vector<std::string>{"a"});
  EXPECT_EQ(find("GET", {"models", "a", "b"}).parameters, std::vector<std::string>{"a/b"});
  EXPECT_EQ(find("GET", {"models", ""}).route, nullptr);
}

}  // namespace
}  // namespace mlac
