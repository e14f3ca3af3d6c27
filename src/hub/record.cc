#include "hub/record.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/system_call.h"
#include "hub/manifest.h"
#include "hub/seal.h"

extern char** environ;

namespace mlac {
namespace {

using nlohmann::ordered_json;

constexpr std::array<std::string_view, 3> kKinds = {"model", "data", "report"};
constexpr int kRecordFormatVersion = 1;

// ---- JSON ----

// Reads fields of an object, with messages that name them.
class Fields {
 public:
  Fields(const ordered_json& object, std::string_view where) : object_(object), where_(where) {}

  const ordered_json& At(const char* key) const {
    const auto found = object_.find(key);
    if (found == object_.end()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: there is no '{}'", where_, key));
    return *found;
  }
  std::string Text(const char* key) const { return Expect(key, "a text", At(key).is_string()).get<std::string>(); }
  bool Flag(const char* key) const { return Expect(key, "true or false", At(key).is_boolean()).get<bool>(); }
  double Number(const char* key) const { return Expect(key, "a number", At(key).is_number()).get<double>(); }
  std::map<std::string, std::string> Texts(const char* key) const {
    std::map<std::string, std::string> texts;
    for (const auto& [name, value] : Expect(key, "an object of texts", At(key).is_object()).items())
      texts[name] = Expect(key, "an object of texts", value.is_string(), &value).get<std::string>();
    return texts;
  }
  // A revision, or "" where that may be.
  std::string Revision(const char* key, const std::string& text, bool may_be_empty) const {
    if (!IsRevision(text) && !(may_be_empty && text.empty()))
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: '{}': expected a revision, found {}", where_, key, Quoted(text)));
    return text;
  }

 private:
  const ordered_json& Expect(const char* key, std::string_view expected, bool holds, const ordered_json* value = nullptr) const {
    if (!holds) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: '{}': expected {}", where_, key, expected));
    return value == nullptr ? At(key) : *value;
  }

  const ordered_json& object_;
  std::string_view where_;
};

// ---- Names ----

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// Why something cannot have this name; "" if it can.
std::string_view FaultOfName(std::string_view name) {
  constexpr std::string_view kRule = "expected letters, digits, '.', '_' and '-', a letter or digit first, at most 100";
  if (name.empty() || name.size() > 100 || !std::all_of(name.begin(), name.end(), IsNameCharacter)) return kRule;
  if (name.front() == '.' || name.front() == '_' || name.front() == '-') return kRule;
  if (name.find(".partial-") != std::string_view::npos) return "'.partial-' marks files that are being written";
  if (name.size() >= 4 && name.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos)
    return "it could be taken for a revision; expected a character that is no hexadecimal digit";
  return "";
}

void CheckName(std::string_view what, std::string_view name) {
  if (const std::string_view fault = FaultOfName(name); !fault.empty())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} {}: {}", what, Quoted(name), fault));
}

// ---- The program git ----

// What a program prints, if it ends well; it sees no input and says nothing on stderr.
std::optional<std::string> OutputOf(std::vector<std::string> argv) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  const FileDescriptor read_end(ends[0]);
  FileDescriptor write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  std::vector<char*> pointers;
  for (std::string& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  const int error = posix_spawnp(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  write_end = FileDescriptor();
  if (error != 0) return std::nullopt;
  std::string output;
  std::array<char, 4096> buffer;
  ssize_t count = 0;
  while ((count = Retry([&] { return read(read_end.get(), buffer.data(), buffer.size()); })) > 0) output.append(buffer.data(), static_cast<size_t>(count));
  int status = 0;
  if (Retry([&] { return waitpid(child, &status, 0); }) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return std::nullopt;
  return output;
}

std::optional<std::string> Git(const std::string& folder, const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-C", folder};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return OutputOf(std::move(argv));
}

}  // namespace

std::string_view Name(ArtefactKind kind) { return kKinds[static_cast<size_t>(kind)]; }

ArtefactKind ArtefactKindOf(std::string_view name) {
  const auto found = std::find(kKinds.begin(), kKinds.end(), name);
  if (found == kKinds.end())
    throw Error(ErrorCode::kInvalidArgument, fmt::format("the kind {}: expected {}", Quoted(name), fmt::join(kKinds, ", ")));
  return static_cast<ArtefactKind>(found - kKinds.begin());
}

ordered_json RecordFields(const Record& record) {
  ordered_json fields = {{"name", record.name},
          {"kind", Name(record.kind)},
          {"made_by", record.made_by},
          {"base", record.base},
          {"data", record.data},
          {"parameters", record.parameters},
          {"seed", record.seed ? ordered_json(*record.seed) : ordered_json()},
          {"git_commit", record.git_commit},
          {"git_dirty", record.git_dirty},
          {"mlac_version", record.mlac_version},
          {"instruction_set", record.instruction_set},
          {"duration_seconds", record.duration_seconds},
          {"who", record.who},
          {"time", record.time}};
  if (!record.answers.empty()) fields["answers"] = record.answers;
  return fields;
}

std::string RecordText(const Record& record) {
  ordered_json object = {{"format_version", kRecordFormatVersion}, {"name", record.name}, {"revision", record.revision}};
  object.update(RecordFields(record));
  return Sealed(object, SealForm::kPretty);
}

Record ParseRecord(std::string_view text, std::string_view where) {
  const ordered_json object = Unsealed(text, SealForm::kPretty, where);
  const Fields fields(object, where);
  if (const ordered_json& version = fields.At("format_version"); version != kRecordFormatVersion)
    throw Error(ErrorCode::kUnsupported, fmt::format("{}: format_version {} is not known; expected {}", where, DumpJson(version), kRecordFormatVersion));
  Record record;
  record.name = fields.Text("name");
  record.revision = fields.Revision("revision", fields.Text("revision"), /*may_be_empty=*/false);
  const std::string kind = fields.Text("kind");
  if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end())
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: 'kind': expected {}, found {}", where, fmt::join(kKinds, ", "), Quoted(kind)));
  record.kind = ArtefactKindOf(kind);
  record.made_by = fields.Text("made_by");
  record.base = fields.Revision("base", fields.Text("base"), /*may_be_empty=*/true);
  record.data = fields.Texts("data");
  for (const auto& [role, revision] : record.data) fields.Revision("data", revision, /*may_be_empty=*/false);
  record.parameters = fields.Texts("parameters");
  if (const ordered_json& seed = fields.At("seed"); !seed.is_null()) {
    if (!seed.is_number_unsigned()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: 'seed': expected a whole number or null", where));
    record.seed = seed.get<uint64_t>();
  }
  record.git_commit = fields.Text("git_commit");
  record.git_dirty = fields.Flag("git_dirty");
  record.mlac_version = fields.Text("mlac_version");
  record.instruction_set = fields.Text("instruction_set");
  record.duration_seconds = fields.Number("duration_seconds");
  record.who = fields.Text("who");
  record.time = fields.Text("time");
  if (object.contains("answers")) record.answers = fields.Revision("answers", fields.Text("answers"), /*may_be_empty=*/false);
  return record;
}

bool IsArtefactName(std::string_view name) { return FaultOfName(name).empty(); }
void CheckArtefactName(std::string_view name) { CheckName("the name", name); }
void CheckAliasName(std::string_view alias) { CheckName("the alias", alias); }

std::string Who() {
  std::array<char, 256> host = {};
  if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  // From the system, not from a variable that anybody may set.
  std::array<char, 16384> buffer;
  struct passwd entry = {};
  struct passwd* found = nullptr;
  const bool known = getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
  return Printable(fmt::format("{}@{}", known ? std::string(found->pw_name) : fmt::format("{}", geteuid()), host.data()), 200);
}

std::string TimeNow() {
  const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(now / 1000);
  struct tm parts = {};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min,
                     parts.tm_sec, now % 1000);
}

GitState GitStateOf(const std::string& folder) {
  std::optional<std::string> commit = Git(folder, {"rev-parse", "--verify", "HEAD"});
  if (!commit) return {};
  commit->erase(commit->find_last_not_of("\r\n") + 1);
  const std::optional<std::string> changes = Git(folder, {"status", "--porcelain"});
  return {.commit = *commit, .dirty = !changes || !changes->empty()};
}

}  // namespace mlac
