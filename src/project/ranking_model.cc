// text-ranking as models of mlac.yaml do it.
#include <algorithm>

#include "project/fine_tuned_task.h"
#include "project/task_models.h"
#include "train/ranked_pairs.h"
#include "train/ranking_metrics.h"

namespace mlac {
namespace {

constexpr size_t kRankedAtOnce = 256;

class Ranker : public TaskModel {
 public:
  Ranker(const std::string& folder, size_t num_threads) : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}) {
    model_.Require("text-ranking");
  }

  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return model_.model().max_positions(); }
  TextInput InputWith(const std::string& text) const override { return {"a", text}; }

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    const std::vector<float> logits = Logits(inputs), scores = Sigmoids(logits);
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < inputs.size(); ++i)
      predictions.push_back(logits[i] > 0 ? Prediction{kAnswers, scores[i], {}} : Prediction{kAnswersNot, 1 - scores[i], {}});
    return predictions;
  }

  std::vector<float> Scores(const std::string& query, std::span<const std::string> texts) override {
    std::vector<TextInput> pairs;
    for (const std::string& text : texts) pairs.push_back({query, text});
    return Logits(pairs);
  }

  double ScoreOf(const TextInput& input, const std::string&) override {
    return static_cast<double>(Sigmoids(Logits(std::span(&input, 1))).front());
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.Logits(batch); });
  }

 private:
  // One a pair.
  std::vector<float> Logits(std::span<const TextInput> pairs) {
    const std::string& prompt = model_.ranking_prompts().Default();
    std::vector<float> logits;
    for (size_t begin = 0; begin < pairs.size(); begin += kRankedAtOnce) {
      const std::vector<float> some =
          model_.Logits(model_.EncodeWithPrompt(pairs.subspan(begin, std::min(kRankedAtOnce, pairs.size() - begin)), prompt).batch);
      logits.insert(logits.end(), some.begin(), some.end());
    }
    return logits;
  }

  TextModel model_;
  const std::vector<std::string> no_labels_;
};

}  // namespace

std::unique_ptr<TaskModel> OpenRanker(const std::string& folder, const ModelData&, size_t num_threads) {
  return std::make_unique<Ranker>(folder, num_threads);
}

std::vector<TestRow> RowsOfRankedPairs(const ModelData& data, size_t at_most) {
  const RankedPairs pairs = ReadRankedPairs(data.test, {});
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, pairs.size()); ++i)
    rows.push_back({{pairs.texts.texts[i], pairs.texts.pairs[i], pairs.texts.Place(i)},
                    {pairs.scores[i] >= kRelevant ? kAnswers : kAnswersNot},
                    pairs.texts.lines[i]});
  return rows;
}

}  // namespace mlac
