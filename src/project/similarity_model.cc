// sentence-similarity as models of mlac.yaml do it.
#include <algorithm>
#include <map>
#include <set>

#include "project/fine_tuned_task.h"
#include "project/task_models.h"
#include "train/text_tuples.h"

namespace mlac {
namespace {

constexpr size_t kSentencesAtOnce = 256;
constexpr size_t kMostCandidates = 10'000;  // texts among which the nearest is looked for

class Similarity : public TaskModel {
 public:
  Similarity(const std::string& folder, const ModelData& data, size_t num_threads)
      : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}), test_data_(data.test) {}

  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return model_.model().max_positions(); }
  TextInput Prepared(const TextInput& input) const override { return {input.text, std::nullopt, input.place}; }

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    ReadCandidates();
    std::vector<std::string> texts;
    for (const TextInput& input : inputs) texts.push_back(input.text);
    const std::vector<float> vectors = Embed(texts);
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < texts.size(); ++i) {
      Prediction best = {"", -1, {}};
      for (size_t c = 0; c < candidates_.size(); ++c)
        if (const float cosine = Cosine(Row(vectors, i), Row(candidate_vectors_, c)); cosine > best.probability)
          best = {candidates_[c], cosine, {}};
      predictions.push_back(std::move(best));
    }
    return predictions;
  }

  std::vector<float> Scores(const std::string& query, std::span<const std::string> texts) override {
    const std::vector<float> of_query = Embed({&query, 1}), of_texts = Embed(texts);
    std::vector<float> scores;
    for (size_t i = 0; i < texts.size(); ++i) scores.push_back(Cosine(of_query, Row(of_texts, i)));
    return scores;
  }

  double ScoreOf(const TextInput& input, const std::string&) override {
    return static_cast<double>(Scores(input.text, std::vector<std::string>{input.pair.value_or("")}).front());
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.Embed(batch); });
  }

 private:
  // The second texts of the test data, each once.
  void ReadCandidates() {
    if (!candidates_.empty() || test_data_.empty()) return;
    const TextTuples tuples = ReadTextTuples(test_data_, {});
    std::set<std::string_view> seen;
    for (const std::string& text : tuples.texts.pairs)
      if (candidates_.size() < kMostCandidates && seen.insert(text).second) candidates_.push_back(text);
    candidate_vectors_ = Embed(candidates_);
  }

  std::vector<float> Embed(std::span<const std::string> texts) {
    std::vector<float> vectors;
    for (size_t begin = 0; begin < texts.size(); begin += kSentencesAtOnce) {
      std::vector<TextInput> part;
      for (const std::string& text : texts.subspan(begin, std::min(kSentencesAtOnce, texts.size() - begin)))
        part.push_back({text, std::nullopt});
      const EncodedTexts encoded = model_.EncodeWithPrompt(part, model_.prompts().Default());
      const std::vector<float> some = model_.Embed(encoded.batch, /*normalize=*/true, encoded.pooled_from);
      vectors.insert(vectors.end(), some.begin(), some.end());
    }
    return vectors;
  }

  std::span<const float> Row(std::span<const float> vectors, size_t row) const {
    return vectors.subspan(row * model_.embedding_size(), model_.embedding_size());
  }

  TextModel model_;
  const std::string test_data_;
  std::vector<std::string> candidates_;
  std::vector<float> candidate_vectors_;
  const std::vector<std::string> no_labels_;
};

}  // namespace

std::unique_ptr<TaskModel> OpenSimilarity(const std::string& folder, const ModelData& data, size_t num_threads) {
  return std::make_unique<Similarity>(folder, data, num_threads);
}

std::vector<TestRow> RowsOfTuples(const ModelData& data, size_t at_most) {
  const TextTuples tuples = ReadTextTuples(data.test, {});
  std::map<std::string_view, std::set<std::string_view>> belong;  // of scored pairs nobody says which
  if (tuples.kind != TupleKind::kScoredPairs)
    for (size_t i = 0; i < tuples.size(); ++i) belong[tuples.texts.texts[i]].insert(tuples.texts.pairs[i]);
  std::vector<TestRow> rows;
  for (size_t i = 0; i < std::min(at_most, tuples.size()); ++i) {
    TestRow row = {{tuples.texts.texts[i], tuples.texts.pairs[i], tuples.texts.Place(i)}, {}, tuples.texts.lines[i]};
    if (!belong.empty()) {
      row.truth = {row.input.pair.value()};  // its own first
      for (const std::string_view other : belong.at(tuples.texts.texts[i]))
        if (other != row.truth.front()) row.truth.emplace_back(other);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace mlac
