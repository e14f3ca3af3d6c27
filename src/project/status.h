#pragma once
// Where the models of a project stand.
#include <map>
#include <string>
#include <vector>

#include "project/plan.h"

namespace mlac {

struct ModelStatus {
  std::string name;
  std::map<std::string, std::string> aliases;                        // "latest", "production", ...: revisions
  std::string published;                                             // when latest was, as in Record; "" if it never was
  std::map<std::string, double> latest_figures, production_figures;  // "accuracy", "macro_f1"
  size_t num_pending = 0;                                            // steps that `mlac apply` would run
  std::string refused_by;                                            // of them the one that said no the last time, "" for none
};

struct ProjectStatus {
  std::string store;
  bool has_store = false;
  std::vector<ModelStatus> models;
  std::string Text() const;
  std::string Json() const;
};

// Throws as MakePlan.
ProjectStatus StatusOf(const ProjectConfig& project, const std::vector<std::string>& targets = {});

}  // namespace mlac
