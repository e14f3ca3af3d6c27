#pragma once
// What a model can be asked to do with texts: one file a task beside this one, one line a task in task.cc.
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/text_model.h"

namespace mlac {

enum class OutputFormat { kText, kJson };

struct TaskOptions {
  OutputFormat format = OutputFormat::kText;
  std::optional<size_t> top_k;  // text-classification: the best k labels of each text, 0: all; without it the best one
  bool tokens = false;          // feature-extraction: one vector a token
};

// Texts in, lines or one JSON document out. A task is given the texts in chunks, so that a file of any length passes through.
class Task {
 public:
  virtual ~Task() = default;
  // Answers of a chunk, appended to out.
  virtual void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) = 0;
  // What stands before the first and behind the last chunk ("[" and "]\n" in JSON).
  virtual void Begin(std::string& out) = 0;
  virtual void End(std::string& out) = 0;

  size_t num_truncated() const { return num_truncated_; }

 protected:
  size_t num_truncated_ = 0;  // texts that were cut
};

struct TaskInfo {
  std::string_view name;         // as the Hub calls it: "text-classification"
  std::string_view description;  // one line
  std::unique_ptr<Task> (*make)(const TaskOptions& options);
};

// All tasks.
std::span<const TaskInfo> AllTasks();

std::unique_ptr<Task> MakeFeatureExtraction(const TaskOptions& options);
std::unique_ptr<Task> MakeSentenceSimilarity(const TaskOptions& options);
std::unique_ptr<Task> MakeTextClassification(const TaskOptions& options);

}  // namespace mlac
