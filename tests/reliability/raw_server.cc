// reliability_raw_server: the server that the raw requests of tests/http are made for, and those requests, for proxy.py.
// --cases: prints one JSON object a line, {"name": ..., "bytes": (hexadecimal), "statuses": [...]}. Else serves until standard input ends:
// prints the port, then a line "METHOD STATUS ID" for each request that it answered. The routes are those of RawRequests().
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

#include "base/json.h"
#include "http/server.h"
#include "tests/http/raw_requests.h"

namespace {

using namespace mlac;

void PrintCases() {
  for (const RawRequest& request : RawRequests()) {
    std::string line = "{\"name\": ", bytes;
    AppendJsonString(line, request.name);
    for (const char c : request.bytes) bytes += fmt::format("{:02x}", static_cast<unsigned char>(c));
    fmt::print("{}, \"bytes\": \"{}\", \"statuses\": [{}]}}\n", line, bytes, fmt::join(request.statuses, ", "));
  }
}

HttpResponse Text(std::string body) { return {.content_type = "text/plain", .body = std::move(body)}; }

HttpRouter Routes() {
  HttpRouter router;
  router.Add({.method = "GET",
              .pattern = "/",
              .handler = [](HttpRequest, HttpResponder responder) { responder.Send(Text("root")); },
              .open = true});
  router.Add({.method = "GET", .pattern = "/items/{id}", .handler = [](HttpRequest request, HttpResponder responder) {
                responder.Send(Text(request.parameters.at(0)));
              }});
  router.Add({.method = "POST", .pattern = "/echo", .handler = [](HttpRequest request, HttpResponder responder) {
                responder.Send(Text(request.body));
              }});
  router.Add({.method = "POST",
              .pattern = "/json",
              .handler = [](HttpRequest, HttpResponder responder) { responder.Send(Text("json")); },
              .content_type = "application/json"});
  return router;
}

void Serve() {
  HttpServerOptions options;
  options.port = 0;
  options.limits.max_body_bytes = 1000;
  options.public_url = "https://models.example.org/api";
  options.on_access = [](const HttpAccess& access) {  // from the server's one thread
    fmt::print("{} {} {}\n", access.method, access.status, access.id);
    std::fflush(stdout);
  };
  const HttpServer server(std::move(options), Routes());
  fmt::print("{}\n", server.port());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    argc > 1 && argv[1] == std::string_view("--cases") ? PrintCases() : Serve();
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
