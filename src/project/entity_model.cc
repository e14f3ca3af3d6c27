// token-classification as models of mlac.yaml do it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pipelines/sequence_task.h"
#include "base/json.h"
#include "project/fine_tuned_task.h"
#include "project/task_models.h"
#include "train/tagged_texts.h"
#include "train/token_objective.h"

namespace mlac {
namespace {

using nlohmann::json;

// The code points [begin, end) of a text.
std::string CodePoints(const std::string& text, size_t begin, size_t end) {
  std::string out;
  size_t number = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++number;
    if (number > begin && number <= end) out += c;
  }
  return out;
}

void AppendEntity(std::string& label, const std::string& type, const std::string& text) {
  label += fmt::format("{}{}: {}", label.empty() ? "" : "; ", type, text);
}

class EntityFinder : public TaskModel {
 public:
  EntityFinder(const std::string& folder, size_t num_threads)
      : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}) {
    model_.Require("token-classification");
  }

  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return model_.model().max_positions(); }

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    std::vector<Prediction> predictions;
    const json entities = Entities(inputs);
    for (size_t i = 0; i < inputs.size(); ++i) predictions.push_back(PredictionOf(inputs[i].text, entities.at(i)));
    return predictions;
  }

  // Of one entity, as "PER: Ann Lee".
  double ScoreOf(const TextInput& input, const std::string& answer) override {
    double best = 0;
    const json entities = Entities(std::span(&input, 1));
    for (const json& entity : entities.at(0))
      if (const Prediction alone = PredictionOf(input.text, json::array({entity})); alone.label == answer)
        best = std::max(best, static_cast<double>(alone.probability));
    return best;
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.TokenLogits(batch); });
  }

 private:
  // A list an input.
  json Entities(std::span<const TextInput> inputs) {
    const std::unique_ptr<Task> task = MakeTokenClassification({.format = OutputFormat::kJson, .aggregation = Aggregation::kFirst});
    std::string answers;
    task->Begin(answers);
    task->Add(model_, inputs, answers);
    task->End(answers);
    return ParseJson(answers, "answers");
  }

  static Prediction PredictionOf(const std::string& text, const json& entities) {
    Prediction prediction;
    prediction.probability = 1;
    prediction.meaning = "";
    for (const json& entity : entities) {
      const std::string type = entity.at("entity_group");
      *prediction.meaning += (prediction.label.empty() ? "" : "; ") + type;
      AppendEntity(prediction.label, type, CodePoints(text, entity.at("start"), entity.at("end")));
      prediction.probability = std::min(prediction.probability, entity.at("score").get<float>());
    }
    return prediction;
  }

  TextModel model_;
  const std::vector<std::string> no_labels_;
};

}  // namespace

std::unique_ptr<TaskModel> OpenEntityFinder(const std::string& folder, const ModelData&, size_t num_threads) {
  return std::make_unique<EntityFinder>(folder, num_threads);
}

std::vector<TestRow> RowsOfEntities(const ModelData& data, size_t at_most) {
  const TaggedTexts texts = ReadTaggedTexts(data.test);
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, texts.size()); ++i) {
    const std::string& text = texts.texts.texts[i];
    std::vector<std::string> tags;
    for (const TaggedWord& word : texts.words[i]) tags.push_back(word.tag);
    std::string truth;
    for (const EntitySpan& entity : EntitiesOf(tags)) {
      const size_t begin = texts.words[i][entity.begin].begin, end = texts.words[i][entity.end - 1].end;
      AppendEntity(truth, entity.type, text.substr(begin, end - begin));
    }
    rows.push_back({{text, std::nullopt, texts.texts.Place(i)}, {truth}, texts.texts.lines[i]});
  }
  return rows;
}

}  // namespace mlac
