#pragma once
// NAME@candidate: what the last 'mlac apply' trained, and optimised, whatever tests and gates said of it.
#include <atomic>
#include <string>
#include <string_view>

#include "hub/aliases.h"
#include "project/comparison.h"
#include "project/config.h"

namespace mlac {

constexpr std::string_view kCandidate = "candidate";

// Whether a text is NAME@candidate, and no alias of that name is in the store.
bool NamesCandidate(const Store& store, std::string_view reference);

// The folder of the model. Throws kNotFound where nothing was trained yet.
std::string CandidateFolder(const ModelConfig& model, const Store& store);

// A revision beside the candidate of a model of the project: files, parameters, data, and the figures if the candidate was measured. `after` of what is
// returned is "candidate". Throws as CandidateFolder, ProjectConfig::Find and CurrentData.
RevisionDiff DiffCandidate(const ProjectConfig& project, const Store& store, const ResolvedReference& before, const std::string& name);

// Both measured on the test data of today, as CompareCandidate does it.
Comparison CompareWithCandidate(const ProjectConfig& project, const Store& store, const ResolvedReference& before, const std::string& name,
                                size_t num_threads, const std::atomic<bool>& stop);

}  // namespace mlac
