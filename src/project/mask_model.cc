// fill-mask as models of mlac.yaml do it.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/random.h"
#include "pipelines/sequence_task.h"
#include "project/fine_tuned_task.h"
#include "project/task_models.h"
#include "train/mask_objective.h"

namespace mlac {
namespace {

using nlohmann::json;

bool IsLetterOfAnyScript(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80; }

char Lower(char c) { return static_cast<unsigned char>(c) < 0x80 ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : c; }

class MaskFiller : public TaskModel {
 public:
  MaskFiller(const std::string& folder, size_t num_threads)
      : model_(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true}) {
    model_.Require("fill-mask");
    const int32_t mask = model_.tokenizer().special_ids().mask;
    if (mask < 0) throw Error(ErrorCode::kUnsupported, fmt::format("{}: the tokenizer has no mask token", folder));
    mask_token_ = model_.tokenizer().TokenOf(mask);
  }

  const std::vector<std::string>& labels() const override { return no_labels_; }
  size_t max_tokens() const override { return model_.model().max_positions(); }
  TextInput InputWith(const std::string& text) const override { return {fmt::format("{} {}", kMaskWord, text), std::nullopt}; }

  TextInput Prepared(const TextInput& input) const override {
    TextInput prepared = input;
    for (size_t at = prepared.text.find(kMaskWord); at != std::string::npos; at = prepared.text.find(kMaskWord, at + mask_token_.size()))
      prepared.text.replace(at, kMaskWord.size(), mask_token_);
    return prepared;
  }

  std::vector<Prediction> Predict(std::span<const TextInput> inputs) override {
    std::vector<Prediction> predictions;
    for (const json& answer : Words(inputs, {})) predictions.push_back(PredictionOf(answer));
    return predictions;
  }

  // Of the word, which has to be one token, in the place of the first mask.
  double ScoreOf(const TextInput& input, const std::string& answer) override {
    const json words = Words(std::span(&input, 1), {answer});
    const json& first = words.at(0).at(0);
    return (first.is_array() ? first.at(0) : first).at("score").get<double>();
  }

  Latency MeasureLatency(size_t num_tokens, const std::atomic<bool>& stop) override {
    constexpr size_t kFirst[] = {0};
    return MeasurePasses(model_, num_tokens, stop, [&](const TokenBatch& batch) { model_.MaskedLogits(batch, kFirst); });
  }

 private:
  // Of each input the best word, among those that are given if there are any.
  json Words(std::span<const TextInput> inputs, std::vector<std::string> among) {
    TaskOptions options = {.format = OutputFormat::kJson, .top_k = 1};
    if (!among.empty()) options.targets = std::move(among);
    const std::unique_ptr<Task> task = MakeFillMask(options);
    std::vector<TextInput> prepared;
    for (const TextInput& input : inputs) prepared.push_back(Prepared(input));
    std::string answers;
    task->Begin(answers);
    task->Add(model_, prepared, answers);
    task->End(answers);
    return ParseJson(answers, "answers");
  }

  // answer: a list with the best word, or of several masks a list of those.
  static Prediction PredictionOf(const json& answer) {
    Prediction prediction;
    prediction.probability = 1;
    const auto add = [&](const json& best) {
      const std::string word = best.at(0).at("token_str");
      prediction.label += (prediction.label.empty() ? "" : "; ") + word.substr(std::min(word.find_first_not_of(' '), word.size()));
      prediction.probability = std::min(prediction.probability, best.at(0).at("score").get<float>());
    };
    if (!answer.at(0).is_array()) {
      add(answer);
    } else {
      for (const json& best : answer) add(best);
    }
    return prediction;
  }

  TextModel model_;
  std::string mask_token_;
  const std::vector<std::string> no_labels_;
};

// The beginning of a text, whole words of it.
std::string Beginning(const std::string& text, size_t most_bytes) {
  if (text.size() <= most_bytes) return text;
  const size_t blank = text.rfind(' ', most_bytes);
  return text.substr(0, blank == std::string::npos ? 0 : blank);
}

}  // namespace

std::unique_ptr<TaskModel> OpenMaskFiller(const std::string& folder, const ModelData&, size_t num_threads) {
  return std::make_unique<MaskFiller>(folder, num_threads);
}

std::vector<TestRow> RowsOfMasks(const ModelData& data, size_t at_most) {
  constexpr size_t kMostBytes = 300, kShortestWord = 3;
  const LabelledTexts texts = ReadTextsToMask(data.test, data.text_column);
  std::vector<TestRow> rows;
  for (size_t i = 0; i < texts.size() && rows.size() < at_most; ++i) {
    std::string text = Beginning(texts.texts[i], kMostBytes);
    std::vector<std::pair<size_t, size_t>> words;  // begin and length
    for (size_t begin = 0; begin < text.size();) {
      size_t end = begin;
      while (end < text.size() && IsLetterOfAnyScript(text[end])) ++end;
      if (end - begin >= kShortestWord) words.emplace_back(begin, end - begin);
      begin = std::max(end, begin + 1);
    }
    if (words.empty()) continue;
    Random random(/*seed=*/0, i);
    const auto [begin, length] = words[random.Below(words.size())];
    TestRow row = {{"", std::nullopt, texts.Place(i)}, {text.substr(begin, length)}, texts.lines[i]};
    row.input.text = text.replace(begin, length, kMaskWord);
    rows.push_back(std::move(row));
  }
  return rows;
}

Figures MeasureTexts(const std::string& folder, const ModelData& data, std::span<const size_t> rows, size_t num_threads) {
  TextModel model(folder, {.num_threads = num_threads, .max_length = {}, .truncate = true});
  model.Require("fill-mask");
  const LabelledTexts texts = Subset(ReadTextsToMask(data.test, data.text_column), rows);
  const TextsToMask to_mask = JoinTextsToMask(model.tokenizer(), texts, model.max_length(), /*line_by_line=*/false);
  const MaskedLogits predict = [&](const TokenBatch& batch, std::span<const size_t> tokens) { return model.MaskedLogits(batch, tokens); };
  return MeasureMasks(predict, MeasuringMasker(model.tokenizer()), to_mask, model.model().vocab_size(), {.intervals = false});
}

bool SameWord(const std::string& a, const std::string& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return Lower(x) == Lower(y); });
}

}  // namespace mlac
