#pragma once
// What rows a file of labelled data held, kept so that a later change can be told by rows and labels, not by bytes.
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hub/store.h"
#include "hub/verify.h"
#include "project/model_task.h"

namespace mlac {

class Contents;
struct ProjectConfig;

// The files of data that the model's section names, as paths.
std::vector<std::string> DataFilesOf(const ProjectConfig& project, const ModelConfig& model);

// The name that the profile of data has in the store. hash: of their content. columns: those of the model.
std::string DataProfileName(const ModelTask& task, const std::string& hash, const ModelData& columns);

struct RemovedDataProfiles {
  size_t count = 0;
  uint64_t num_bytes = 0;
};

// Removes all profiles but those of these names, and what a killed process left of one; with dry_run it only counts them. Unless that is set the lock
// of `apply` must be held.
RemovedDataProfiles RemoveDataProfilesExcept(const Store& store, const std::set<std::string>& keep, bool dry_run);

// Remembers the rows of the data at path, whose content is `hash`; nothing happens if they are known. One that is damaged is none, and is
// written anew. Throws what reading the data throws. columns: those of the model.
void SaveDataProfile(const Store& store, const ModelTask& task, const std::string& hash, const std::string& path, const ModelData& columns);

// Of all files that the model's section names.
void SaveDataProfiles(const Store& store, const ProjectConfig& project, const ModelConfig& model, Contents& contents);

// Writes those of them anew that are damaged, and gives their paths.
std::vector<std::string> MendDataProfiles(const Store& store, const ProjectConfig& project, const ModelConfig& model, Contents& contents);

// What is not as it was written, for `mlac verify`.
std::vector<Damage> FindDamagedProfiles(const Store& store);

// The labels of the rows whose content is `hash`, sorted; nothing if they are not known. Empty of a task whose rows have no labels.
std::optional<std::vector<std::string>> RememberedLabels(const Store& store, const ModelTask& task, const std::string& hash,
                                                         const ModelData& columns);

// "12 rows added, 3 removed, 1 label new: 'fish'"; "" if the rows behind old_hash are not known or the file cannot be read as such data any
// more.
std::string DescribeDataChange(const Store& store, const ModelTask& task, const std::string& old_hash, const std::string& path,
                               const ModelData& columns);

}  // namespace mlac
