#pragma once
// The folder that is published: the model with the card, the figures and the pictures of its test data.
#include <string>

#include "data/check.h"
#include "project/model_task.h"

namespace mlac {

struct ModelConfig;

struct PublishedParts {
  const ModelConfig& config;
  ModelData data;             // that it was trained and evaluated on
  std::string trained;        // the folder that training wrote: its training.json, learning curves and parameters
  std::string model;          // the folder whose weights are published: the same, or the optimised copy
  TaskEvaluation evaluation;  // on test data
  std::string test_source;    // the test data's own name: "test.csv"
  std::vector<Finding> findings;
};

// Writes into the empty folder `out`. The same bytes for the same parts. Throws kInvalidInput for a training.json of another form.
void WritePublishedFolder(const PublishedParts& parts, const std::string& out);

}  // namespace mlac
