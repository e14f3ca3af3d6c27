// token-classification: names, places and other entities in each text.
// JSON, as transformers' pipeline for a list of texts: a list for each text, of {"entity", "score", "index", "word", "start", "end"} for each token or,
// with an aggregation, {"entity_group", "score", "word", "start", "end"}; start and end are code points. Text: an entity a line.
#include <fmt/format.h>

#include <algorithm>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "pipelines/entities.h"
#include "pipelines/sequence_task.h"
#include "text/windows.h"

namespace mlac {
namespace {

class TokenClassification : public SequenceTask {
 public:
  explicit TokenClassification(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    if (options.stride && options.aggregation == Aggregation::kNone)
      throw Error(ErrorCode::kInvalidArgument, "token-classification: windows overlap, so their entities have to be joined",
                  "--stride needs an --aggregation-strategy other than none");
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  TaskBatch Ask(const TextModel& model, std::span<const TextInput> texts) override {
    model.Require("token-classification");
    CheckSingleTexts("token-classification", texts);
    TaskBatch asked = {.batch = {}, .output = Output::kTokenLabels};
    windows_.clear();
    for (const TextInput& text : texts)
      for (Encoding& window : Windows(model, text)) {
        Append(window, asked.batch);
        windows_.push_back({&text, std::move(window), {}});
      }
    return asked;
  }

  void Take(const TextModel& model, size_t sequence, std::span<const float> rows) override {
    Window& window = windows_[sequence];
    window.entities = FindEntities(model.tokenizer(), window.encoding, window.text->text, Probabilities(rows, model.label_names().size()),
                                   model.label_names(), options_.aggregation);
    std::erase_if(window.entities, [&](const Entity& entity) {
      return std::find(options_.ignore_labels.begin(), options_.ignore_labels.end(), entity.label) != options_.ignore_labels.end();
    });
    window.encoding = {};
  }

  void Write(const TextModel&, std::span<const TextInput> texts, std::string& out) override {
    auto window = windows_.begin();
    for (const TextInput& text : texts) {
      std::vector<Entity> entities;
      const auto first = window;
      for (; window != windows_.end() && window->text == &text; ++window)
        std::move(window->entities.begin(), window->entities.end(), std::back_inserter(entities));
      if (window - first > 1) entities = JoinWindows(std::move(entities));
      AppendAnswer(entities, text.text, out);
    }
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  // The text as the model takes it: whole, cut as --truncate says, or in windows.
  std::vector<Encoding> Windows(const TextModel& model, const TextInput& text) {
    Encoding whole = model.EncodeWhole(text);
    if (options_.stride) return CutIntoWindows(whole, model.max_length(), *options_.stride, options_.max_windows - windows_.size());
    if (whole.token_ids.size() <= model.max_length()) return {std::move(whole)};
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
      out += Printable(text) + '\n';
      for (const Entity& entity : entities)
        out += fmt::format("  {}\t{:.4f}\t{}-{}\t{}\n", Printable(entity.label), entity.score, entity.begin, entity.end,
                           Printable(entity.word));
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

  // A text, or a part of it.
  struct Window {
    const TextInput* text;
    Encoding encoding;  // until it was taken
    std::vector<Entity> entities;
  };

  TaskOptions options_;
  bool json_, first_ = true;
  std::vector<Window> windows_;
};

}  // namespace

std::unique_ptr<SequenceTask> MakeTokenClassification(const TaskOptions& options) { return std::make_unique<TokenClassification>(options); }

}  // namespace mlac
