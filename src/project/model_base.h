#pragma once
// What a model of mlac.yaml starts from: a folder, a revision of the store, or what another model of the file is made into.
#include <optional>
#include <string>
#include <vector>

#include "hub/store.h"
#include "project/config.h"
#include "project/step_store.h"

namespace mlac {

// A base as it is when a plan is made.
struct PlannedBase {
  std::string model;        // of the same mlac.yaml; "" for a folder and a revision
  std::string key;          // of that model's step 'train'
  std::string name;         // of a model or a revision: the name before '@'; the card has it. "" for a folder
  std::string revision;     // of NAME@...: what that stands for; of a model what it was published as, once it is
  std::string config_file;  // the path of its config.json, in a folder of modules.json or not; of a model that of the base which it starts from
};

// base: of the model that model.base_model names; nullptr where it names none. store: nullptr while there is none. Throws without a place
// what Resolve throws; kNotFound while there is no store; kInvalidInput for a revision that is no model or is int8; as TransformerFolder
// for what is no folder, an adapter, int8, and modules or a config.json that cannot be read. A folder that is not there, or has no config.json, is not
// refused yet.
PlannedBase PlanBase(const ProjectConfig& project, const ModelConfig& model, const Store* store, const PlannedBase* base,
                     const std::string& base_key);

// The models of that name, or all if there is no name, with those that they are made from: each behind its base, else in the order of the
// file. Throws kNotFound as ProjectConfig::Find.
std::vector<const ModelConfig*> ModelsWithBases(const ProjectConfig& project, const std::vector<std::string>& names);

// The revisions that the bases of the file stand for, as far as the store has them.
std::vector<std::string> BaseRevisions(const ProjectConfig& project, const Store& store);

// A base as a folder to train from, whose own name is the one that the card says. It can be read as long as this lives.
class BaseFolder {
 public:
  // work: a folder of the step, for a link to the revision. Throws kInvalidInput for a revision whose files are not as they were added.
  BaseFolder(const ProjectConfig& project, const ModelConfig& model, const PlannedBase& base, const Store& store, const std::string& work);
  ~BaseFolder();
  BaseFolder(const BaseFolder&) = delete;
  BaseFolder& operator=(const BaseFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_, links_;  // links_: the folder of the link, "" for none
  std::optional<RevisionFolder> revision_;
};

}  // namespace mlac
