#include "pipelines/task.h"

namespace mlac {

std::span<const TaskInfo> AllTasks() {
  static constexpr TaskInfo kTasks[] = {
      {"feature-extraction", "Turn each text into a vector", MakeFeatureExtraction},
      {"sentence-similarity", "Compare the first text with each other one", MakeSentenceSimilarity},
      {"text-classification", "Give each text a label", MakeTextClassification},
  };
  return kTasks;
}

}  // namespace mlac
