// mlac serve FOLDER: answers over HTTP until it is told to stop.
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/store_access.h"
#include "serve/access_log.h"
#include "serve/model_server.h"

namespace mlac {
namespace {

constexpr int kInterrupted = 130;
// Less than the 30 s that orchestrators wait before they kill.
constexpr std::chrono::seconds kGrace{28};
// Descriptors for all but connections.
constexpr size_t kReservedDescriptors = 64;

struct ServeOptions {
  std::string folder, name, api_key_file, log_format = "text";
  ServedModelOptions model;
  size_t max_length = 0;
  DtypeOptions dtype;
  ModelServerOptions server;
};

// Lets the process have as many descriptors as the system allows it, and says how many those are.
size_t RaiseDescriptorLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur == RLIM_INFINITY ? size_t{1} << 20 : limit.rlim_cur;
}

// "topics" for "./topics/".
std::string NameOfFolder(const std::string& folder) {
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::weakly_canonical(folder, ignored);
  if (!path.has_filename()) path = path.parent_path();
  const std::string name = path.filename().string();
  return name.empty() || FindInvalidUtf8(name) != std::string::npos ? "model" : name;
}

void WriteLog(const std::string& line) {
  // One call, so that lines of several threads do not mix; a log that nobody reads any more is no reason to stop.
  const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  (void)written;
}

// An event of the server itself, in the form of the access log.
void Announce(LogFormat format, const std::string& text, const std::string& event, const std::string& url) {
  if (format == LogFormat::kText) return WriteLog(text + "\n");
  std::string line = fmt::format(R"({{"event":"{}","url":)", event);
  AppendJsonString(line, url);
  line += R"(,"message":)";
  AppendJsonString(line, text);
  WriteLog(line + "}\n");
}

std::string Describe(const ServedModel& model) {
  const std::string what = model.is_classifier() ? fmt::format("{} labels", model.output_size()) : fmt::format("embeddings of {} values", model.output_size());
  return fmt::format("{}, texts of at most {} tokens", what, model.max_length());
}

// Stops of the user, for all threads that are started from here on: they wait in Take.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals_, nullptr);
    signal(SIGPIPE, SIG_IGN);  // of clients and log readers that have gone
  }
  // Waits for the first one. From then on another one ends the process at once.
  void Take() {
    int number = 0;
    sigwait(&signals_, &number);
    const auto leave = [](int) { _exit(kInterrupted); };
    signal(SIGINT, leave);
    signal(SIGTERM, leave);
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
  }

 private:
  sigset_t signals_;
};

void Execute(ServeOptions options) {
  StopSignals stop;
  const LogFormat format = options.log_format == "json" ? LogFormat::kJson : LogFormat::kText;
  ModelServerOptions& server_options = options.server;
  if (!options.api_key_file.empty()) server_options.http.api_keys = ApiKeys::FromFile(options.api_key_file);
  if (options.max_length > 0) options.model.max_length = options.max_length;
  options.model.dtype = options.dtype.Checked();
  const size_t num_descriptors = RaiseDescriptorLimit();
  server_options.http.max_connections =
      std::min(server_options.http.max_connections, num_descriptors > 2 * kReservedDescriptors ? num_descriptors - kReservedDescriptors : kReservedDescriptors);
  const ModelFolder given = FindModel(options.folder);
  const std::string own_name = given.name.empty() ? NameOfFolder(options.folder) : given.name;
  server_options.inference.model_name = options.name.empty() ? own_name : options.name;
  // Four groups of 128 tokens a thread keep them all busy.
  server_options.inference.max_request_tokens = std::max<size_t>(server_options.inference.max_request_tokens, 512 * options.model.num_threads);
  server_options.on_access = [format](const HttpAccess& access) { WriteLog(FormatAccess(access, format)); };

  std::unique_ptr<ServedModel> model = OpenServedModel(given.path, options.model);
  const std::string description = Describe(*model);
  const std::string name = server_options.inference.model_name;
  ModelServer server(std::move(model), std::move(server_options));
  Announce(format, fmt::format("serving {} ({}) on {}", name, description, server.url()), "serving", server.url());
  stop.Take();
  Announce(format, "stopping: answering what is held", "stopping", server.url());
  if (!server.Shutdown(kGrace))
    throw Error(ErrorCode::kResourceExhausted, fmt::format("requests were left unanswered after {} s", kGrace.count()));
}

// Adds an option whose environment twin is MLAC_ and its long name.
template <typename T>
CLI::Option& AddOption(CLI::App& command, const std::string& names, T& value, const std::string& description, const std::string& type) {
  CLI::Option& option = *command.add_option(names, value, description)->type_name(type);
  std::string variable = "MLAC_" + option.get_lnames().front();
  for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  option.envname(variable);
  return option;
}

}  // namespace

void AddServe(CLI::App& app) {
  auto options = std::make_shared<ServeOptions>();
  HttpServerOptions& http = options->server.http;
  InferenceServiceOptions& inference = options->server.inference;
  const auto at_least_one = CLI::Range(size_t{1}, size_t{1} << 40).description("");
  CLI::App& command = AddCommand(app, "serve", "Answer over HTTP: OpenAI's protocol and that of text-embeddings-inference",
                                 "mlac serve ./topics --port 8080\n"
                                 "curl http://127.0.0.1:8080/predict -H 'Content-Type: application/json' -d '{\"inputs\": \"a striped cat\"}'");
  AddOption(command, "-m,--model,model", options->folder, kModelHelp, "DIR").required();
  AddOption(command, "--host", http.host, "The address to listen on", "ADDRESS").capture_default_str();
  AddOption(command, "--port", http.port, "The port to listen on, 0 for any free one", "N").check(CLI::Range(0, 65535).description(""))->capture_default_str();
  AddOption(command, "--served-model-name", options->name, "What clients call the model; else the name of its folder", "NAME");
  AddOption(command, "--api-key-file", options->api_key_file, "Ask for one of these keys, one a line", "FILE");
  AddOption(command, "--public-url", http.public_url, "Where clients find the server, behind a proxy", "URL");
  AddOption(command, "--cors-allow-origin", http.cors_allow_origins, "Let pages of this origin read answers; several, or '*'", "ORIGIN").delimiter(',');
  AddOption(command, "--max-batch-tokens", inference.max_batch_tokens, "Tokens computed together", "N").check(at_least_one)->capture_default_str();
  AddOption(command, "--max-concurrent-requests", inference.max_concurrent_requests, "Requests held at a time; beyond: 429", "N")
      .check(at_least_one)
      ->capture_default_str();
  AddOption(command, "--max-client-batch-size", inference.max_client_batch_size, "Inputs of one request", "N").check(at_least_one)->capture_default_str();
  AddOption(command, "--payload-limit", http.limits.max_body_bytes, "Bytes of one request", "N").check(at_least_one)->capture_default_str();
  AddOption(command, "--max-length", options->max_length, "Tokens a text may have; else the model's own limit", "N");
  command.add_flag("--auto-truncate", inference.auto_truncate, "Cut longer texts where a request does not say")->envname("MLAC_AUTO_TRUNCATE");
  AddOption(command, "--log-format", options->log_format, "How to write the log", "FORMAT")
      .check(CLI::IsMember({"text", "json"}).description("{text,json}"))
      ->capture_default_str();
  AddDtypeOptions(command, options->dtype);
  command.get_option("--dtype")->envname("MLAC_DTYPE");
  command.get_option("--allow-slow")->envname("MLAC_ALLOW_SLOW");
  AddThreadsOption(command, options->model.num_threads);
  command.get_option("--threads")->envname("MLAC_THREADS");
  command.callback([options] { Execute(*options); });
}

}  // namespace mlac
