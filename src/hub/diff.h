#pragma once
// What differs between two revisions: files, what made them, their data, their figures.
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "hub/store.h"

namespace mlac {

struct FileChange {
  std::string path;
  std::optional<uint64_t> size_before, size_after;  // nothing: not there
};
struct ValueChange {
  std::string name;
  std::string before, after;  // "" if it is not there
};
struct DataChange {
  std::string role;                                  // "train"
  std::string before, after;                         // revisions, "" if there is none
  std::optional<size_t> num_rows_before = {}, num_rows_after = {};  // where the data is one table (CSV, TSV, JSON Lines, lines of text)
  std::optional<size_t> num_rows_added = {}, num_rows_removed = {};  // by content, wherever they stand
};
struct FigureChange {
  std::string name;  // of metrics.json: "macro_f1", "per_class.fish.f1"
  std::optional<double> before, after;
};

struct RevisionDiff {
  std::string before, after;  // revisions
  std::vector<FileChange> files = {};        // changed, added or removed
  size_t num_files_equal = 0;
  std::vector<ValueChange> parameters = {};  // of the records, mlac's version, instruction set, seed and base among them; only what differs
  std::vector<DataChange> data = {};         // roles whose revision differs
  std::vector<FigureChange> figures = {};    // all that metrics.json of either has, equal ones too; empty if neither has one
};

// The numbers of a metrics.json. Throws as ReadJsonFile.
std::map<std::string, double> FiguresIn(const std::string& path);

// The numbers of a revision's metrics.json by name, "per_class.fish.f1" for those inside; none if it has no such file. Throws as OpenFolder.
std::map<std::string, double> FiguresOf(const Store& store, const std::string& revision);

// before, after: revisions of the store. before_name, after_name: whose record is meant where a revision has several; "" for the first.
RevisionDiff DiffRevisions(const Store& store, const std::string& before, const std::string& after, const std::string& before_name = "",
                           const std::string& after_name = "");

// The two parts of it that need no record: what differs is put into `diff`.
void DiffFiles(const Manifest& before, const Manifest& after, RevisionDiff& diff);
void DiffFigures(const std::map<std::string, double>& before, const std::map<std::string, double>& after, RevisionDiff& diff);

}  // namespace mlac
