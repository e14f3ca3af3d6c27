#include "pipelines/task.h"

#include "base/error.h"
#include "pipelines/sequence_task.h"

namespace mlac {
namespace {

// As a plain task.
template <auto kMake>
std::unique_ptr<Task> Make(const TaskOptions& options) {
  return kMake(options);
}

}  // namespace

const std::string& PromptOf(const TextModel& model, const TaskOptions& options) {
  if (options.prompt) return *options.prompt;
  return options.prompt_name ? model.prompts().Find(*options.prompt_name) : model.prompts().Default();
}

void CheckPrompt(const TaskOptions& options) {
  if (options.prompt && options.prompt_name)
    throw Error(ErrorCode::kInvalidArgument, "--prompt and --prompt-name exclude each other", "the name stands for a prompt of the model");
}

std::span<const TaskInfo> AllTasks() {
  static constexpr TaskInfo kTasks[] = {
      {"feature-extraction", "Turn each text into a vector", TaskInput::kTextsOrPairs, MakeFeatureExtraction},
      {"fill-mask", "Find the words that fit a mask in each text", TaskInput::kTexts, Make<MakeFillMask>},
      {"question-answering", "Find the answer to a question in a text", TaskInput::kQuestionsWithContexts, Make<MakeQuestionAnswering>},
      {"sentence-similarity", "Compare the first text with each other one", TaskInput::kTexts, MakeSentenceSimilarity},
      {"text-classification", "Give each text a label", TaskInput::kTextsOrPairs, MakeTextClassification},
      {"text-ranking", "Sort texts by how well they answer a query", TaskInput::kTexts, MakeTextRanking},
      {"token-classification", "Find names and other entities in each text", TaskInput::kTexts, Make<MakeTokenClassification>},
      {"zero-shot-classification", "Give each text one of your own labels, without training", TaskInput::kTexts,
       Make<MakeZeroShotClassification>},
  };
  return kTasks;
}

}  // namespace mlac
