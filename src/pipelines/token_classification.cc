// token-classification: names, places and other entities in each text.
// JSON, as transformers' pipeline for a list of texts: a list for each text, of {"entity", "score", "index", "word", "start", "end"} for each token or,
// with an aggregation, {"entity_group", "score", "word", "start", "end"}; start and end are code points. Text: an entity a line.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/entities.h"
#include "pipelines/task.h"
#include "text/windows.h"

namespace mlac {
namespace {

class TokenClassification : public Task {
 public:
  explicit TokenClassification(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    if (options.stride && options.aggregation == Aggregation::kNone)
      throw Error(ErrorCode::kInvalidArgument, "token-classification: windows overlap, so their entities have to be joined",
                  "--stride needs an --aggregation-strategy other than none");
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    model.Require("token-classification");
    TokenBatch batch;
    std::vector<std::vector<Encoding>> windows;  // of each text
    for (const TextInput& text : texts) {
      windows.push_back(Windows(model, text));
      for (const Encoding& window : windows.back()) Append(window, batch);
    }
    const size_t num_labels = model.label_names().size();
    const std::vector<float> probabilities = Probabilities(model.TokenLogits(batch), num_labels);
    size_t sequence = 0;
    for (size_t i = 0; i < texts.size(); ++i) {
      std::vector<Entity> entities;
      for (const Encoding& window : windows[i]) {
        const size_t begin = batch.offsets[sequence], end = batch.offsets[++sequence];
        std::vector<Entity> found =
            FindEntities(model.tokenizer(), window, texts[i].text, std::span(probabilities).subspan(begin * num_labels, (end - begin) * num_labels),
                         model.label_names(), options_.aggregation);
        std::erase_if(found, [&](const Entity& entity) {
          return std::find(options_.ignore_labels.begin(), options_.ignore_labels.end(), entity.label) != options_.ignore_labels.end();
        });
        std::move(found.begin(), found.end(), std::back_inserter(entities));
      }
      if (windows[i].size() > 1) entities = JoinWindows(std::move(entities));
      AppendAnswer(entities, texts[i].text, out);
    }
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  // The text as the model takes it: whole, cut as --truncate says, or in windows.
  std::vector<Encoding> Windows(const TextModel& model, const TextInput& text) {
    Encoding whole = model.EncodeWhole(text);
    if (whole.token_ids.size() <= model.max_length()) return {std::move(whole)};
    if (options_.stride) return CutIntoWindows(whole, model.max_length(), *options_.stride);
    if (model.truncates()) {
      ++num_truncated_;
      std::vector<Encoding> windows = CutIntoWindows(whole, model.max_length(), 0);
      windows.resize(1);
      return windows;
    }
    throw Error(ErrorCode::kTooLarge,
                fmt::format("{}the text has {} tokens; at most {} are possible", text.place.empty() ? "" : text.place + ": ", whole.token_ids.size(),
                            model.max_length()),
                "--stride reads it through windows, --truncate cuts it");
  }

  void AppendAnswer(std::span<const Entity> entities, const std::string& text, std::string& out) {
    if (!json_) {
      out += text + '\n';
      for (const Entity& entity : entities)
        out += fmt::format("  {}\t{:.4f}\t{}-{}\t{}\n", entity.label, entity.score, entity.begin, entity.end, entity.word);
      return;
    }
    out += first_ ? "[" : ", [";
    first_ = false;
    const bool tokens = options_.aggregation == Aggregation::kNone;
    for (size_t i = 0; i < entities.size(); ++i) {
      const Entity& entity = entities[i];
      out += fmt::format("{}{{\"{}\": ", i > 0 ? ", " : "", tokens ? "entity" : "entity_group");
      AppendJsonString(out, entity.label);
      out += ", \"score\": ";
      AppendFloat(out, entity.score);
      if (tokens) out += fmt::format(", \"index\": {}", entity.index);
      out += ", \"word\": ";
      AppendJsonString(out, entity.word);
      out += fmt::format(", \"start\": {}, \"end\": {}}}", entity.begin, entity.end);
    }
    out += ']';
  }

  TaskOptions options_;
  bool json_, first_ = true;
};

}  // namespace

std::unique_ptr<Task> MakeTokenClassification(const TaskOptions& options) { return std::make_unique<TokenClassification>(options); }

}  // namespace mlac
