#pragma once
// The pipeline that `mlac init --ci` writes: for GitHub or GitLab, with what a fresh runner lacks.
#include <string>
#include <vector>

namespace mlac {

struct CiParts {
  std::string store = ".mlac";      // of mlac.yaml, as it is written there
  std::vector<std::string> bases;   // the folders of the base models, likewise; each once. None where all start from another model or from the store
  std::vector<std::string> models;  // their names: a person promotes them
};

// Where a system looks for its pipeline. system: "github" or "gitlab"; likewise below.
std::string CiPath(const std::string& system);

// It installs mlac, gets the base models, keeps the store, plans on a pull request, applies on the main branch, and promotes by hand. What a person has
// to fill in is marked FILL IN.
std::string CiText(const std::string& system, const CiParts& parts);

// What the pipeline needs before it can run, one a line.
std::vector<std::string> CiNeeds(const std::string& system, const CiParts& parts);

}  // namespace mlac
