#include "project/owed_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/folder_contents.h"
#include "hub/aliases.h"
#include "hub/seal.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostNoteBytes = 1 << 16;

std::string NotePath(const std::string& reports, const std::string& model) { return fmt::format("{}/{}.owed", reports, model); }

}  // namespace

void NoteOwedReport(const Store& store, const std::string& model, const OwedReport& report) {
  if (FindOwedReport(store, model)) return;
  WriteFileAtomically(NotePath(store.Part("reports"), model),
                      Sealed({{"latest", report.latest}, {"before", report.before}}, SealForm::kLine));
}

std::optional<OwedReport> FindOwedReport(const Store& store, const std::string& model) {
  const std::string path = NotePath(store.folder() + "/reports", model);
  if (!FileExists(path)) return std::nullopt;
  const std::string latest = Aliases(store).Find(model, kLatest).value_or("");
  if (latest.empty()) return std::nullopt;
  OwedReport report;
  try {
    const ordered_json note = Unsealed(ReadFile(path, kMostNoteBytes), SealForm::kLine, path);
    report = {note.at("latest"), note.at("before")};
  } catch (const ordered_json::exception&) {
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidInput) throw;
  }
  if (report.latest == latest) return std::nullopt;
  return report;
}

void ForgetOwedReport(const Store& store, const std::string& model) { RemoveAll(NotePath(store.folder() + "/reports", model)); }

}  // namespace mlac
