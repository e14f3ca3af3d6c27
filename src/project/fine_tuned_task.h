#pragma once
// What tasks of mlac.yaml share: a task that `mlac train` can learn needs a line in model_task.cc, and what is not here.
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "pipelines/text_model.h"
#include "project/model_task.h"
#include "train/fine_tune.h"
#include "train/report_card.h"

namespace mlac {

struct ModelConfig;

// The options of mlac.yaml as training takes them; it goes on from what stands in out.
FineTuneOptions TrainingOptionsOf(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                                  size_t num_threads);

// The card of a model of a task without labels of texts, as its training wrote it but for the figures, and but for a word on a head of a
// masked language model that it made new; trained: the folder that it wrote. The data are read once more, for what the card says of them.
// result outlives the card.
ModelCard CardOfTrained(const ModelConfig& model, const ModelData& data, const std::string& trained, const FineTuneResult& result);

// ModelTask::check and ::train of a task by its name, ::evaluate of any: as `mlac train` and `mlac eval` do it.
std::vector<Finding> CheckDataOf(const std::string& task, ProblemType problem_type, const ModelData& data, std::vector<std::string>& notes);
TaskEvaluation EvaluateTask(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                            const std::atomic<bool>& stop);

// FineTune; an adapter is learnt in the folder out.adapter and merged into the base, so that `out` is a model that needs no other.
FineTuneResult TrainModel(const std::string& task, const FineTuneOptions& options, FineTuneObserver& observer,
                          const std::atomic<bool>& stop);

template <const char* kTask, ProblemType kProblemType = ProblemType::kSingleLabel>
std::vector<Finding> CheckTaskData(const ModelData& data, std::vector<std::string>& notes) {
  return CheckDataOf(kTask, kProblemType, data, notes);
}

template <const char* kTask>
FineTuneResult TrainTask(const ModelConfig& model, const std::string& base, const ModelData& data, const std::string& out,
                         size_t num_threads, FineTuneObserver& observer, const std::atomic<bool>& stop) {
  return TrainModel(kTask, TrainingOptionsOf(model, base, data, out, num_threads), observer, stop);
}

// TaskModel::MeasureLatency with this pass over a batch of one sequence.
TaskModel::Latency MeasurePasses(const TextModel& model, size_t num_tokens, const std::atomic<bool>& stop,
                                 const std::function<void(const TokenBatch& batch)>& pass);

}  // namespace mlac
