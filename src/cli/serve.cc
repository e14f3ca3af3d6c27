// mlac serve MODEL...: answers over HTTP until it is told to stop.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/thread_team.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/number_options.h"
#include "cli/service_manager.h"
#include "cli/service_signals.h"
#include "cli/store_access.h"
#include "serve/access_log.h"
#include "serve/memory_limit.h"
#include "serve/model_server.h"

namespace mlac {
namespace {

// Less than the 30 s that orchestrators wait before they kill.
constexpr std::chrono::seconds kGrace{28};
// Descriptors for all but connections.
constexpr size_t kReservedDescriptors = 64;
// Of a turn of all threads, for each. Twice what a thread multiplies at a time, so that weights are read seldom enough; a turn of a sentence encoder then
// takes some tens of milliseconds on two cores.
constexpr size_t kTurnTokens = 256;
const std::string kSageMakerFolder = "/opt/ml/model";

struct ServeOptions {
  std::vector<std::string> models, adapters;
  std::string name, api_key_file, admin_key_file, model_root, log_format = "text";
  TlsFiles tls;
  ServedModelOptions model;
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

// A model on the command line: FOLDER, NAME@ALIAS of the store, or NAME= before either. A part with a slash before '=' belongs to the folder.
struct ModelArgument {
  std::string name;
  ModelFolder folder;
};

ModelArgument ParseModel(const std::string& argument) {
  const size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0 || argument.find('/') < equals) {
    ModelFolder folder = FindModel(argument);
    std::string name = folder.name.empty() ? NameOfFolder(argument) : folder.name;
    return {std::move(name), std::move(folder)};
  }
  return {argument.substr(0, equals), FindModel(argument.substr(equals + 1))};
}

// What to serve. Without a model: where SageMaker puts it.
std::vector<ModelArgument> ParseModels(const ServeOptions& options) {
  std::vector<ModelArgument> models;
  for (const std::string& argument : options.models) models.push_back(ParseModel(argument));
  if (models.empty() && FolderExists(kSageMakerFolder)) models.push_back({"model", FindModel(kSageMakerFolder)});
  if (models.empty()) throw UsageError("serve: model is required", fmt::format("name a folder; without one {} is served, where that exists", kSageMakerFolder));
  if (!options.name.empty() && models.size() > 1)
    throw UsageError("serve: --served-model-name is for one model", "of several, write NAME=FOLDER");
  if (!options.name.empty()) models.front().name = options.name;
  for (size_t i = 0; i < models.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (models[i].name == models[j].name)
        throw UsageError(fmt::format("serve: two models are called '{}'", models[i].name), "give one another name: OTHER=FOLDER");
  return models;
}

// An adapter on the command line, and the model that it stands over.
struct AdapterArgument {
  ModelArgument model;
  size_t base;  // which of the models
};

// Which of the models an adapter stands over. name: "" where the command line does not say.
size_t FindBase(const std::vector<ModelArgument>& models, const std::string& name, const std::string& argument) {
  std::vector<std::string> names;
  for (size_t i = 0; i < models.size(); ++i) {
    if (models[i].name == name || (name.empty() && models.size() == 1)) return i;
    names.push_back(models[i].name);
  }
  if (!name.empty())
    throw UsageError(fmt::format("serve: --adapter '{}': no model is called '{}'", argument, name), HintForUnknown(name, names));
  throw UsageError(fmt::format("serve: --adapter '{}': over which of the models?", argument),
                   fmt::format("write NAME@BASE=DIR, with BASE one of {}", fmt::join(names, ", ")));
}

// --adapter NAME=DIR, as the models; NAME@BASE=DIR where there are several that it could stand over.
std::vector<AdapterArgument> ParseAdapters(const ServeOptions& options, const std::vector<ModelArgument>& models) {
  std::vector<AdapterArgument> adapters;
  for (const std::string& argument : options.adapters) {
    const size_t equals = argument.find('='), at = argument.find('@');
    const bool has_base = equals != std::string::npos && at < equals && at > 0 && argument.find('/') > at;
    const std::string base = has_base ? argument.substr(at + 1, equals - at - 1) : "";
    adapters.push_back(
        {ParseModel(has_base ? argument.substr(0, at) + argument.substr(equals) : argument), FindBase(models, base, argument)});
    const std::string& name = adapters.back().model.name;
    const auto is_taken = [&](const ModelArgument& other) { return other.name == name; };
    if (std::any_of(models.begin(), models.end(), is_taken) ||
        std::any_of(adapters.begin(), adapters.end() - 1, [&](const AdapterArgument& other) { return is_taken(other.model); }))
      throw UsageError(fmt::format("serve: two models are called '{}'", name), "give the adapter another name: --adapter OTHER=FOLDER");
  }
  return adapters;
}

// Where a model comes from: nothing for a folder of the user's.
ModelOrigin OriginOf(ModelFolder& folder) {
  return folder.revision ? OriginOf(*folder.store, folder.name, std::move(*folder.revision)) : ModelOrigin();
}

// The models, and the adapters over them.
std::vector<NamedModel> OpenModels(std::vector<ModelArgument>& arguments, std::vector<AdapterArgument>& adapters,
                                   const ServedModelOptions& options) {
  std::vector<NamedModel> models;
  for (ModelArgument& argument : arguments)
    models.push_back({argument.name, OpenServedModel(argument.folder.path, options), OriginOf(argument.folder)});
  for (AdapterArgument& adapter : adapters) {
    ModelOrigin origin = OriginOf(adapter.model.folder);
    origin.base = arguments[adapter.base].name;
    origin.adapter = adapter.model.folder.path;
    models.push_back({adapter.model.name, models[adapter.base].model->OpenAdapter(origin.adapter), std::move(origin)});
  }
  return models;
}

void WriteLog(const std::string& line) {
  // One call, so that lines of several threads do not mix; a log that nobody reads any more is no reason to stop.
  const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
  (void)written;
}

// Lines of a thread that are written together, when it has nothing else to do.
thread_local std::string waiting_lines;

void WriteWaitingLines() {
  if (waiting_lines.empty()) return;
  WriteLog(waiting_lines);
  waiting_lines.clear();
}

void LogAccess(const std::string& line) {
  if (waiting_lines.size() + line.size() > PIPE_BUF) WriteWaitingLines();  // no more at a time: a pipe may mix longer writes with those of others
  waiting_lines += line;
}

void Announce(LogFormat format, const LogEvent& event) {
  WriteWaitingLines();  // of this thread, in their order
  WriteLog(FormatEvent(event, format));
}

// What came of a move of an alias.
void AnnounceMove(LogFormat format, const FollowEvent& event) {
  constexpr const char* kKinds[] = {"swapped", "refused", "alias_unreadable"};  // by FollowEvent::Kind
  const bool swapped = event.kind == FollowEvent::Kind::kSwapped;
  const std::string after = ShortRevision(event.after), before = event.before.empty() ? "the model before" : ShortRevision(event.before);
  const std::string text = swapped ? fmt::format("{}: {} serves now, after {}", event.reference, after, before)
                           : event.kind == FollowEvent::Kind::kRefused
                               ? fmt::format("{}: refused {}, {} stays: {}", event.reference, after, before, Printable(event.message))
                               : fmt::format("{}: cannot be read, {} stays: {}", event.reference, before, Printable(event.message));
  Announce(format, {.level = swapped ? LogLevel::kInfo : LogLevel::kWarning,
                    .event = kKinds[static_cast<size_t>(event.kind)],
                    .message = text,
                    .fields = {{"model", event.model}, {"alias", event.reference}, {"before", event.before}, {"after", event.after}}});
}

// A client that did not come to a request. Of those that sent nothing, or no TLS, /metrics has the number: looks at a port are many.
void AnnounceTlsFailure(LogFormat format, TlsFailure failure) {
  if (failure == TlsFailure::kOther) return;
  const bool is_plain = failure == TlsFailure::kPlainHttp;
  Announce(format, {.level = LogLevel::kWarning,
                    .event = "tls_failed",
                    .message = is_plain ? "a client spoke HTTP without TLS; it was told so" : "a client refused the certificate",
                    .fields = {{"reason", std::string(Name(failure))}}});
}

// "text-classification; 25 labels; texts of at most 64 tokens".
std::string Describe(const ServedModel& model) {
  std::string text = fmt::format("{}", fmt::join(model.tasks(), ", "));
  const size_t num_labels = model.is_classifier()                 ? model.output_size()
                            : Does(model, "token-classification") ? model.row_size(Output::kTokenLabels)
                                                                  : 0;
  if (num_labels > 1) text += fmt::format("; {} labels", num_labels);
  if (Does(model, "feature-extraction")) text += fmt::format("; vectors of {} values", model.output_size());
  if (model.max_length() > 0) text += fmt::format("; texts of at most {} tokens", model.max_length());
  return text;
}

// Moves what the options say of keys, TLS and sockets to where the server looks for it.
void ReadServerOptions(ServeOptions& options) {
  ModelServerOptions& server = options.server;
  if (!options.api_key_file.empty()) server.http.api_keys = ApiKeys::FromFile(options.api_key_file);
  if (options.tls.certificate.empty() != options.tls.key.empty()) throw UsageError("serve: --tls-cert and --tls-key belong together");
  if (!options.tls.certificate.empty()) server.http.tls = options.tls;
  if (options.admin_key_file.empty() != options.model_root.empty()) throw UsageError("serve: --admin-key-file and --model-root belong together");
  server.http.descriptors = TakeListenSockets();
  const size_t num_descriptors = RaiseDescriptorLimit();
  server.http.max_connections =
      std::min(server.http.max_connections, num_descriptors > 2 * kReservedDescriptors ? num_descriptors - kReservedDescriptors : kReservedDescriptors);
  options.model.dtype = options.dtype.Checked();
  server.inference.max_turn_tokens = kTurnTokens * options.model.num_threads;
  // One team for all models: they compute in turns, each with all threads or with some of them.
  options.model.team = std::make_shared<ThreadTeam>(options.model.num_threads);
  server.inference.num_lanes = options.model.num_threads;
}

// Load while others are served: with the options of this process, and within its memory.
ModelOpeners OpenBesideOthers(const ServeOptions& options) {
  const auto within_memory = [memory = options.server.memory_limit](std::unique_ptr<ServedModel> model, const std::string& folder) {
    if (memory > 0) {
      CheckMemory(memory, "the models and that of " + folder);
      LimitMemory(memory);
    }
    return model;
  };
  return {.model = [within_memory, model_options = options.model](
                       const std::string& folder) { return within_memory(OpenServedModel(folder, model_options), folder); },
          .adapter = [within_memory](const ServedModel& base,
                                     const std::string& folder) { return within_memory(base.OpenAdapter(folder), folder); }};
}

// The aliases among the models and the adapters, all of one store; nothing if there are none.
std::optional<FollowOptions> ReadFollowOptions(const std::vector<ModelArgument>& models, const std::vector<AdapterArgument>& adapters,
                                               LogFormat format) {
  std::vector<FollowedAlias> aliases;
  const Store* store = nullptr;
  const auto add = [&](const ModelArgument& model) {
    if (model.folder.alias.empty()) return;
    store = &*model.folder.store;
    aliases.push_back(
        {.model = model.name, .name = model.folder.name, .alias = model.folder.alias, .revision = model.folder.revision->revision()});
  };
  for (const ModelArgument& model : models) add(model);
  for (const AdapterArgument& adapter : adapters) add(adapter.model);
  if (store == nullptr) return std::nullopt;
  return FollowOptions{
      .store = *store, .aliases = std::move(aliases), .on_event = [format](const FollowEvent& event) { AnnounceMove(format, event); }};
}

// What SIGHUP has read again; "" for what the server was started without.
struct Reloaded {
  bool tls = false;
  std::string api_key_file, admin_key_file;
};

// Reads one of them again. What is being written, is broken, or finds no memory leaves what was read before.
void Reload(LogFormat format, const std::string& url, const std::string& what, const std::function<void()>& read) {
  try {
    read();
    Announce(format, {.event = "reloaded", .message = fmt::format("read the {} again", what), .fields = {{"url", url}}});
  } catch (const std::exception& error) {
    const std::string text = fmt::format("kept the {}: {}", what, Printable(error.what()));
    Announce(format, {.level = LogLevel::kWarning, .event = "not_reloaded", .message = text, .fields = {{"url", url}}});
  }
}

void ReloadAll(ModelServer& server, LogFormat format, const Reloaded& reloaded) {
  if (!reloaded.tls && reloaded.api_key_file.empty() && reloaded.admin_key_file.empty()) {
    const std::string text = "SIGHUP: nothing to reload, there is neither a certificate nor a file of keys";
    return Announce(format, {.event = "nothing_to_reload", .message = text, .fields = {{"url", server.url()}}});
  }
  NotifyServiceManager(
      fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                  std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch()).count()));
  if (reloaded.tls) Reload(format, server.url(), "certificate", [&] { server.ReloadTls(); });
  if (!reloaded.api_key_file.empty())
    Reload(format, server.url(), "API keys", [&] { server.SetApiKeys(ApiKeys::FromFile(reloaded.api_key_file)); });
  if (!reloaded.admin_key_file.empty())
    Reload(format, server.url(), "admin keys", [&] { server.SetAdminKeys(ApiKeys::FromFile(reloaded.admin_key_file)); });
  NotifyServiceManager("READY=1");
}

// Serves until the user stops it.
void ServeUntilStopped(ModelServer& server, ServiceSignals& signals, LogFormat format, const Reloaded& reloaded) {
  while (signals.Take() == SIGHUP) ReloadAll(server, format, reloaded);
  NotifyServiceManager("STOPPING=1");
  Announce(format, {.event = "stopping", .message = "stopping: answering what is held", .fields = {{"url", server.url()}}});
  if (!server.Shutdown(kGrace))
    throw Error(ErrorCode::kResourceExhausted, fmt::format("requests were left unanswered after {} s", kGrace.count()));
}

void Execute(ServeOptions options) {
  std::vector<ModelArgument> arguments = ParseModels(options);
  std::vector<AdapterArgument> adapters = ParseAdapters(options, arguments);
  const Reloaded reloaded = {.tls = !options.tls.certificate.empty(), .api_key_file = options.api_key_file, .admin_key_file = options.admin_key_file};
  ServiceSignals signals;
  ReadServerOptions(options);
  const LogFormat format = options.log_format == "json" ? LogFormat::kJson : LogFormat::kText;
  options.server.on_access = [format](const HttpAccess& access) { LogAccess(FormatAccess(access, format)); };
  options.server.http.on_quiet = WriteWaitingLines;
  options.server.on_tls_failure = [format](TlsFailure failure) { AnnounceTlsFailure(format, failure); };
  if (!options.admin_key_file.empty())
    options.server.admin = AdminOptions{.keys = ApiKeys::FromFile(options.admin_key_file), .model_root = options.model_root};
  options.server.follow = ReadFollowOptions(arguments, adapters, format);
  options.model.takes_adapters = !adapters.empty() || options.server.admin;
  options.model.max_batch_tokens = options.server.inference.turn_tokens();
  options.server.open = OpenBesideOthers(options);
  std::vector<NamedModel> models = OpenModels(arguments, adapters, options.model);
  std::string description;
  for (const NamedModel& model : models) description += fmt::format("{}{} ({})", description.empty() ? "" : ", ", model.name, Describe(*model.model));
  ModelServer server(std::move(models), std::move(options.server));
  Announce(format,
           {.event = "serving", .message = fmt::format("serving {} on {}", description, server.url()), .fields = {{"url", server.url()}}});
  if (!server.is_local() && reloaded.api_key_file.empty())
    Announce(format, {.level = LogLevel::kWarning,
                      .event = "open_to_all",
                      .message = "whoever reaches this machine is answered: --api-key-file asks for a key",
                      .fields = {{"url", server.url()}}});
  NotifyServiceManager("READY=1");
  ServeUntilStopped(server, signals, format, reloaded);
}

// Adds an option whose environment twin is MLAC_ and its long name.
template <typename T>
Option AddOption(Command command, const std::string& names, T& value, const std::string& description, const std::string& type) {
  const Option option = command.AddOption(names, value, description).Type(type);
  std::string variable = "MLAC_" + option.long_names().front();
  for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return option.Variable(variable);
}

// Where the server listens, and who may ask.
void AddAccessOptions(Command command, ServeOptions& options) {
  HttpServerOptions& http = options.server.http;
  AddOption(command, "--host", http.host, "The address to listen on", "ADDRESS").ShowDefault();
  WholeNumber(AddOption(command, "--port", http.port, "The port to listen on; 0: any free one", "N").ShowDefault(), 0, 65535);
  AddOption(command, "--unix-socket", http.unix_socket, "Listen on this socket of the file system instead", "PATH");
  AddOption(command, "--tls-cert", options.tls.certificate, "Speak TLS with this certificate (PEM, with its chain); SIGHUP has it read again", "FILE");
  AddOption(command, "--tls-key", options.tls.key, "Its key (PEM)", "FILE");
  AddOption(command, "--api-key-file", options.api_key_file, "Ask for one of these keys, one a line; SIGHUP has them read again", "FILE");
  AddOption(command, "--admin-key-file", options.admin_key_file,
            "Those with one of these keys may load, swap and unload models and adapters; read again on SIGHUP", "FILE");
  AddOption(command, "--model-root", options.model_root, "The folder that they load them from", "DIR");
  AddOption(command, "--public-url", http.public_url, "Where clients find the server, behind a proxy", "URL");
  AddOption(command, "--cors-allow-origin", http.cors_allow_origins, "Let pages of this origin read answers; several, or '*'", "ORIGIN").Delimiter(',');
}

void AddLimitOptions(Command command, ModelServerOptions& server) {
  InferenceServiceOptions& inference = server.inference;
  const auto count = [&](const char* name, size_t& value, const char* description) {
    WholeNumber(AddOption(command, name, value, description, "N").ShowDefault(), 1);
  };
  count("--max-batch-tokens", inference.max_batch_tokens, "Tokens computed together; never more than 256 for each thread");
  count("--max-concurrent-requests", inference.max_concurrent_requests, "Requests held at a time; beyond: 429");
  count("--max-client-batch-size", inference.max_client_batch_size, "Inputs of one request");
  count("--payload-limit", server.http.limits.max_body_bytes, "Bytes of one request");
  ByteSize(AddOption(command, "--memory", server.memory_limit,
                     "Bytes that the process may hold: 512M, 2G; 0: any; the start is refused if the models need more", "SIZE"));
}

}  // namespace

void AddServe(Command app) {
  auto options = std::make_shared<ServeOptions>();
  const Command command = app.AddCommand("serve", "Answer over HTTP: the protocols of OpenAI, Hugging Face, KServe and SageMaker",
                                         "mlac serve ./topics --port 8080\n"
                                         "mlac serve ./topics search=./all-MiniLM-L6-v2 --port 8080\n"
                                         "mlac serve topics@production --port 8080\n"
                                         "mlac serve ./all-MiniLM-L6-v2 --adapter topics=./topics-lora --adapter tone=./tone-lora\n"
                                         "curl http://127.0.0.1:8080/predict -H 'Content-Type: application/json' -d '{\"inputs\": \"a striped cat\"}'");
  AddOption(command, "-m,--model,model", options->models,
            "Folders in the Hugging Face layout, or NAME@ALIAS, which is followed; NAME=DIR calls one otherwise", "DIR")
      .TakeAll();
  AddOption(command, "--adapter", options->adapters,
            "An adapter over the model (of several: NAME@BASE=DIR); NAME@ALIAS is followed; may be given again",
            "NAME=DIR")
      .TakeAll();
  AddOption(command, "--served-model-name", options->name, "What clients call the one model; else the name of its folder", "NAME");
  AddAccessOptions(command, *options);
  AddLimitOptions(command, options->server);
  WholeNumber(AddOption(command, "--max-length", options->model.max_length, "Tokens a text may have; else the model's own limit", "N"), 1);
  command.AddFlag("--auto-truncate", options->server.inference.auto_truncate, "Cut longer texts where a request does not say").Variable("MLAC_AUTO_TRUNCATE");
  AddOption(command, "--log-format", options->log_format, "How to write the log", "FORMAT")
      .OneOf({"text", "json"})
      .ShowDefault();
  AddOption(command, "--otlp-endpoint", options->server.otlp_endpoint, "Send a span for each request to this collector (OTLP over HTTP)", "URL");
  AddDtypeOptions(command, options->dtype);
  command.FindOption("--dtype").Variable("MLAC_DTYPE");
  command.FindOption("--allow-slow").Variable("MLAC_ALLOW_SLOW");
  AddThreadsOption(command, options->model.num_threads);
  command.FindOption("--threads").Variable("MLAC_THREADS");
  command.OnRun([options] { Execute(*options); });
}

}  // namespace mlac
