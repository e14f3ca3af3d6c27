#pragma once
// That a model is published without its report yet: noted before it is published, so that the next `mlac apply` writes what a kill or an
// error left unwritten.
#include <optional>
#include <string>

#include "hub/store.h"

namespace mlac {

struct OwedReport {
  std::string latest;  // NAME@latest as the model was about to be published: once it stands for another revision, the report is owed
  std::string before;  // what the report compares with: production, else latest; "" for none
};

// Notes it, and syncs. A note of an earlier publication whose report is owed stays as it is.
void NoteOwedReport(const Store& store, const std::string& model, const OwedReport& report);
// What was noted, if the report is owed: a revision was published since. A damaged note is owed, and compares with nothing.
std::optional<OwedReport> FindOwedReport(const Store& store, const std::string& model);
void ForgetOwedReport(const Store& store, const std::string& model);

}  // namespace mlac
