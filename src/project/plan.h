#pragma once
// What `mlac apply` would do and why: a value that prints itself.
#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hub/store.h"
#include "project/config.h"
#include "project/model_base.h"

namespace mlac {

struct PlannedStep {
  std::string step, key;
  bool runs = false;
  std::vector<std::string> reasons;  // why it runs, a line each: "data/train.csv: 12 rows added, 1 label new: 'fish'"
  std::optional<double> seconds;     // that it took the last time, if it runs
};

struct PlannedModel {
  std::string name;
  std::vector<PlannedStep> steps;  // in the order in which they run, those that do not run too
  std::string latest, production;  // revisions, "" for none
  std::string refused_by = {};     // the step that said no to what is planned here, the last time that it was asked; "" for none
  bool owes_report = false;        // latest was published, and a kill or an error came before its report (owed_report.h)
  PlannedBase base = {};           // of Plan::Json() only which model, or which revision under which name
  bool changes() const;            // a step runs
  std::map<std::string, std::string> keys() const;  // by step
};

struct Plan {
  std::string file, store;           // as in ProjectConfig
  std::vector<PlannedModel> models;  // each behind those that it is made from, else in the order of mlac.yaml

  bool changes() const;      // a step runs, or a report is to be written
  size_t num_steps() const;  // that run
  // Seconds of all steps that run; nothing if none of them ever ran. A step that never ran counts nothing.
  std::optional<double> seconds() const;
  // For people: a line for each step that runs, one for each model that stays as it is, unless there are many, and the sum.
  std::string Text() const;
  std::string Json() const;
};

struct PlanOptions {
  std::vector<std::string> targets = {};  // models, planned with those that they are made from; none: all
};

// Reads what mlac.yaml names, and writes nothing but the index of files (Store::ScanSource). A store that is not there is empty.
// Throws what reading those files throws, with model and key.
Plan MakePlan(const ProjectConfig& project, const PlanOptions& options = {});

// Reads Plan::Json(). Throws kInvalidInput for another form.
Plan ParsePlan(std::string_view text, std::string_view where);
// Throws kInvalidInput, naming the first difference, unless `now` does exactly what `reviewed` says. where: the file of `reviewed`.
void CheckPlanStands(const Plan& reviewed, const Plan& now, std::string_view where);

// The store of a project, if it is there.
std::optional<Store> OpenProjectStore(const ProjectConfig& project);

}  // namespace mlac
