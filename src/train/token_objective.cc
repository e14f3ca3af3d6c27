#include "train/token_objective.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/display.h"
#include "base/error.h"
#include "base/nearest_name.h"
#include "kernels/cross_entropy.h"
#include "models/inference.h"
#include "pipelines/text_model.h"
#include "train/sequence_objective.h"
#include "train/set_metrics.h"
#include "train/trainer.h"

namespace mlac {
namespace {

// Losses of the labelled tokens of [tokens, labels], rising; the gradient of the others is 0.
std::vector<double> TokenLosses(std::span<const float> logits, std::span<const int32_t> labels, size_t num_labels, float scale,
                                float* gradient) {
  std::vector<int32_t> known;
  std::vector<float> rows;
  for (size_t t = 0; t < labels.size(); ++t) {
    if (labels[t] == kNoTag) continue;
    known.push_back(labels[t]);
    rows.insert(rows.end(), logits.begin() + static_cast<ptrdiff_t>(t * num_labels),
                logits.begin() + static_cast<ptrdiff_t>((t + 1) * num_labels));
  }
  std::vector<double> losses(known.size());
  std::vector<float> scales(known.size(), scale), gradients(gradient == nullptr ? 0 : rows.size());
  if (known.empty()) {
    if (gradient != nullptr) std::fill_n(gradient, labels.size() * num_labels, 0.0f);
    return losses;
  }
  kernels::CrossEntropy(rows.data(), known.data(), known.size(), num_labels, losses.data(), scales.data(),
                        gradient == nullptr ? nullptr : gradients.data());
  if (gradient == nullptr) return losses;
  size_t row = 0;
  for (size_t t = 0; t < labels.size(); ++t, gradient += num_labels) {
    if (labels[t] == kNoTag)
      std::fill_n(gradient, num_labels, 0.0f);
    else
      std::copy_n(gradients.begin() + static_cast<ptrdiff_t>(num_labels * row++), num_labels, gradient);
  }
  return losses;
}

class TokenObjective : public Objective {
 public:
  TokenObjective(Model& model, const TaggedTokens& train, const TaggedTokens& validation, const std::vector<std::string>& label_names)
      : model_(model), train_(train), validation_(validation), label_names_(label_names) {}

  size_t num_examples() const override { return train_.size(); }
  size_t num_validation_examples() const override { return validation_.size(); }
  std::string Places(std::span<const size_t> examples) const override { return PlacesOf(train_.source, train_.lines, {}, examples); }

  TokenBatch Begin(std::span<const size_t> examples, size_t) override {
    const TokenBatch batch = GatherSequences(train_.tokens, examples);
    labels_.clear();
    for (const size_t i : examples)
      labels_.insert(labels_.end(), train_.labels.begin() + static_cast<ptrdiff_t>(train_.tokens.offsets[i]),
                     train_.labels.begin() + static_cast<ptrdiff_t>(train_.tokens.offsets[i + 1]));
    offsets_ = batch.offsets;
    num_labelled_ = labels_.size() - static_cast<size_t>(std::count(labels_.begin(), labels_.end(), kNoTag));
    return batch;
  }

  double total_weight() const override { return static_cast<double>(std::max<size_t>(1, num_labelled_)); }

  void AddGradients(Run& run, Tape& tape, const TokenBatch& part, size_t first_sequence, double& loss) override {
    const Tensor logits = model_.ClassifyTokens(run, model_.Encode(run, part));
    Tensor gradient = run.NewTensor(logits.shape());
    const std::span<const int32_t> labels = std::span(labels_).subspan(offsets_[first_sequence], part.num_tokens());
    for (const double each : TokenLosses(logits.floats(), labels, label_names_.size(), static_cast<float>(1 / total_weight()),
                                         gradient.mutable_floats().data()))
      loss += each;
    tape.Backward(run, logits, gradient);
  }

  ValidationReport Validate(Run& run, const std::function<void()>& before_batch) override {
    const std::vector<float> logits = PredictTokenLabels(model_, run, validation_, before_batch);
    const Figures figures = MeasureTokens(logits, validation_, label_names_, {.intervals = false});
    return ReportOf(figures, figures.figures.front().value > 0 && BeatsOneTag(logits));
  }

 private:
  // Whether more words get their tag than by always answering the most frequent one. A new head that answers at random finds an entity here
  // and there.
  bool BeatsOneTag(std::span<const float> logits) const {
    const size_t num_labels = label_names_.size();
    std::vector<size_t> counts(num_labels);
    size_t num_right = 0;
    for (size_t t = 0; t < validation_.labels.size(); ++t) {
      if (validation_.labels[t] == kNoTag) continue;
      const auto truth = static_cast<size_t>(validation_.labels[t]);
      const auto row = logits.subspan(t * num_labels, num_labels);
      ++counts[truth];
      num_right += static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin()) == truth;
    }
    return num_right > *std::max_element(counts.begin(), counts.end());
  }

  Model& model_;
  const TaggedTokens &train_, &validation_;
  const std::vector<std::string>& label_names_;
  std::vector<int32_t> labels_;  // of this step's tokens
  Offsets offsets_;
  size_t num_labelled_ = 0;
};

// A tag's way to mark where an entity begins and ends, and its type. A tag without such a mark goes on with its type.
struct Mark {
  char kind;
  std::string_view type;
};
Mark MarkOf(std::string_view tag) {
  if (tag == "O") return {'O', ""};
  if (tag.size() > 1 && tag[1] == '-' && std::string_view("BIES").find(tag[0]) != std::string_view::npos) return {tag[0], tag.substr(2)};
  return {'I', tag};
}

}  // namespace

size_t TextOf(const Offsets& offsets, size_t token) {
  return static_cast<size_t>(std::upper_bound(offsets.begin(), offsets.end(), token) - offsets.begin()) - 1;
}

TaggedTokens AlignTags(const Tokenizer& tokenizer, size_t max_length, const TaggedTexts& texts,
                       const std::vector<std::string>& label_names) {
  std::map<std::string, int32_t> ids;
  for (size_t i = 0; i < label_names.size(); ++i) ids.emplace(label_names[i], static_cast<int32_t>(i));
  TaggedTokens result;
  result.source = texts.texts.source;
  result.lines = texts.texts.lines;
  for (size_t i = 0; i < texts.size(); ++i) {
    const Encoding encoding = tokenizer.Encode(texts.texts.texts[i], {.with_offsets = true, .max_length = max_length, .truncate = true});
    const std::vector<TaggedWord>& words = texts.words[i];
    std::vector<int32_t>& truth = result.truth.emplace_back();
    for (const TaggedWord& word : words) {
      const auto id = ids.find(word.tag);
      if (id == ids.end()) {
        const std::string nearest = NearestName(word.tag, label_names);
        throw Error(
            ErrorCode::kInvalidInput,
            fmt::format("{}: expected a tag that stands in the training data, found '{}'", texts.texts.Place(i), Printable(word.tag, 40)),
            nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest));
      }
      truth.push_back(id->second);
    }
    size_t next = 0;  // the first word that no token has begun yet
    bool torn = false;
    for (size_t t = 0; t < encoding.token_ids.size(); ++t) {
      result.labels.push_back(kNoTag);
      if (encoding.special_tokens_mask[t]) continue;
      const TextSpan& token = encoding.offsets[t];
      while (next < words.size() && words[next].end <= token.begin) ++next;  // a word of characters that no token keeps
      if (next == words.size() || token.begin < words[next].begin || token.begin >= words[next].end) continue;
      result.labels.back() = truth[next];
      result.words.push_back(next++);
      for (size_t w = next; w < words.size() && words[w].begin < token.end; ++w) torn = torn || words[w].tag != words[w - 1].tag;
    }
    if (torn) result.torn.push_back(i);
    Append(encoding, result.tokens);
    result.num_cut += encoding.truncated;
  }
  return result;
}

std::vector<Finding> CheckTags(const TaggedTokens& texts, const std::string& name) {
  if (texts.torn.empty()) return {};
  Finding finding{.code = "torn_token", .severity = Severity::kWarning, .count = texts.torn.size()};
  finding.message = fmt::format("{}: {} with an entity that begins or ends within a token, which has the tag of what it begins with", name,
                                texts.torn.size() == 1 ? "1 text" : fmt::format("{} texts", texts.torn.size()));
  for (const size_t text : texts.torn) AddExample(finding, fmt::format("{} line {}", texts.source, texts.lines[text]));
  return {finding};
}

std::unique_ptr<Objective> MakeTokenObjective(Model& model, const TaggedTokens& train, const TaggedTokens& validation,
                                              const std::vector<std::string>& label_names) {
  return std::make_unique<TokenObjective>(model, train, validation, label_names);
}

std::vector<float> PredictTokenLabels(const Model& model, Run& run, const TaggedTokens& texts, const std::function<void()>& before_batch) {
  std::vector<float> logits;
  ForEachPart(texts.tokens.offsets, kTokensPerEvaluationBatch, [&](size_t begin, size_t end) {
    if (before_batch) before_batch();
    const Tensor part = model.ClassifyTokens(run, model.Encode(run, Slice(texts.tokens, begin, end)));
    if (const std::optional<size_t> bad = FindRowNotFinite(part.floats(), model.num_labels())) {
      const size_t text = TextOf(texts.tokens.offsets, texts.tokens.offsets[begin] + *bad);
      RefuseOverflow(fmt::format("the logits of {} are not finite; {}", PlacesOf(texts.source, texts.lines, {}, std::span(&text, 1)),
                                 LargestWeight(model)));
    }
    logits.insert(logits.end(), part.floats().begin(), part.floats().end());
  });
  return logits;
}

std::vector<EntitySpan> EntitiesOf(std::span<const std::string> tags) {
  std::vector<EntitySpan> entities;
  Mark before = {'O', ""};
  bool open = false;
  for (size_t i = 0; i < tags.size(); ++i) {
    const Mark mark = MarkOf(tags[i]);
    const bool continues =
        open && (mark.kind == 'I' || mark.kind == 'E') && mark.type == before.type && before.kind != 'E' && before.kind != 'S';
    if (continues) {
      entities.back().end = i + 1;
    } else if (mark.kind != 'O') {
      entities.push_back({std::string(mark.type), i, i + 1});
    }
    open = mark.kind != 'O';
    before = mark;
  }
  return entities;
}

Figures MeasureTokens(std::span<const float> logits, const TaggedTokens& texts, const std::vector<std::string>& label_names,
                      const MetricsOptions& options) {
  const size_t num_labels = label_names.size();
  const std::vector<int32_t> best = Argmax(logits, num_labels);
  std::vector<SetCount> counts;
  std::map<std::string, size_t> types;
  for (const std::string& name : label_names)
    if (const Mark mark = MarkOf(name); mark.kind != 'O') types.emplace(mark.type, 0);
  std::vector<std::string> names;
  for (auto& [type, id] : types) {
    id = names.size();
    names.push_back(type);
  }
  uint64_t num_words = 0, num_right = 0;
  size_t next_word = 0;  // in texts.words
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<std::string> truth, found(texts.truth[i].size(), "O");
    for (const int32_t label : texts.truth[i]) truth.push_back(label_names[static_cast<size_t>(label)]);
    for (size_t t = texts.tokens.offsets[i]; t < texts.tokens.offsets[i + 1]; ++t)
      if (texts.labels[t] != kNoTag) found[texts.words[next_word++]] = label_names[static_cast<size_t>(best[t])];
    for (size_t w = 0; w < truth.size(); ++w) num_right += truth[w] == found[w];
    num_words += truth.size();
    const std::vector<EntitySpan> true_entities = EntitiesOf(truth), found_entities = EntitiesOf(found);
    std::map<size_t, SetCount> of_text;
    const auto count = [&](const EntitySpan& entity) -> SetCount& {
      SetCount& entry = of_text[types.at(entity.type)];
      entry.example = i;
      entry.label = types.at(entity.type);
      return entry;
    };
    for (const EntitySpan& entity : true_entities) ++count(entity).support;
    for (const EntitySpan& entity : found_entities) {
      ++count(entity).predicted;
      count(entity).correct += std::find(true_entities.begin(), true_entities.end(), entity) != true_entities.end();
    }
    for (const auto& [type, entry] : of_text) counts.push_back(entry);
  }
  Figures figures = ComputeSetMetrics(texts.size(), counts, names, options);
  figures.class_title = "entity";
  figures.figures.push_back(
      {"accuracy", "accuracy of words", num_words == 0 ? 0 : static_cast<double>(num_right) / static_cast<double>(num_words)});
  double sum = 0;
  const std::vector<double> losses = TokenLosses(logits, texts.labels, num_labels, 1, nullptr);
  for (const double loss : losses) sum += loss;
  if (!losses.empty()) figures.loss = sum / static_cast<double>(losses.size());
  return figures;
}

}  // namespace mlac
