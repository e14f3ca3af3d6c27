#include "project/train_keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "base/display.h"

namespace mlac {
namespace {

using Shape = ValueShape;
using Options = FineTuneOptions;

// Whether the value stands in the key of the step and in the record of a revision.
enum class Recorded {
  kAlways,
  kIfSet,  // where it is not the default
  kNever,  // it changes no bit of the result
};

struct TrainKey {
  Key<Options> key;
  std::string (*show)(const Options& options);  // as it is written; "" for what is not set
  Recorded recorded = Recorded::kIfSet;
  std::string_view tasks = "";  // that have it, apart by ", "; "": all
};

constexpr uint64_t kMost = 1'000'000;
constexpr std::string_view kLabels = "text-classification", kQuestions = "question-answering", kMasks = "fill-mask",
                           kEmbeddings = "sentence-similarity", kHeads = "text-classification, text-ranking";
constexpr std::string_view kLosses[] = {"multiple-negatives-ranking", "cosent", "triplet"}, kDistances[] = {"euclidean", "cosine"};

std::string Shown(double value) { return fmt::format("{}", value); }
std::string Shown(size_t value) { return fmt::format("{}", value); }
std::string Shown(bool value) { return value ? "true" : "false"; }
std::string Shown(const std::optional<size_t>& value) { return value ? Shown(*value) : ""; }

// "a, b" and [a, b] alike.
std::vector<std::string> Items(const YamlValue& value) {
  std::vector<std::string> items;
  for (const std::string& text : value.Texts())
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size()), first = std::min(text.find_first_not_of(' ', begin), end);
      std::string item = text.substr(first, end - first);
      item.erase(item.find_last_not_of(' ') + 1);
      if (item.empty()) value.Throw(fmt::format("expected names or sizes with ',' between them, found {}", Quoted(text)));
      items.push_back(std::move(item));
      begin = end + 1;
    }
  return items;
}

std::vector<size_t> Sizes(const YamlValue& value) {
  std::vector<size_t> sizes;
  for (const std::string& item : Items(value)) {
    size_t size = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), size);
    if (error != std::errc() || end != item.data() + item.size() || size == 0)
      value.Throw(fmt::format("expected sizes such as 384, 128, 64, found {}", Quoted(item)));
    sizes.push_back(size);
  }
  return sizes;
}

void SetProblemType(Options& options, bool is_set, ProblemType problem_type) {
  if (is_set) options.sequence.problem_type = problem_type;
}

double ShareUpTo(const YamlValue& value, double low, double high) {
  const double share = value.Share();
  if (share < low || share > high) value.Throw(fmt::format("expected a share from {} to {}, found {}", low, high, share));
  return share;
}

// ---- The table: one line a key ----
// clang-format off

constexpr TrainKey kKeys[] = {
    {{{"epochs", Shape::kInteger, "Times that each text is seen", "3"}, [](const YamlValue& v, Options& o) { o.training.num_epochs = v.Integer(1, kMost); }},
     [](const Options& o) { return Shown(o.training.num_epochs); }, Recorded::kAlways},
    {{{"lr", Shape::kNumber, "Highest learning rate", "5e-5, with lora 5e-4"},
      [](const YamlValue& v, Options& o) { o.training.learning_rate = v.Number(0, 1); }},
     [](const Options& o) { return Shown(o.training.learning_rate); }, Recorded::kAlways},
    {{{"batch_size", Shape::kInteger, "Texts a step", "32"}, [](const YamlValue& v, Options& o) { o.training.batch_size = v.Integer(1, kMost); }},
     [](const Options& o) { return Shown(o.training.batch_size); }, Recorded::kAlways},
    {{{"seed", Shape::kInteger, "Decides the order, the dropout and the new head", "0"},
      [](const YamlValue& v, Options& o) { o.training.seed = v.Integer(0, UINT64_MAX); }},
     [](const Options& o) { return Shown(o.training.seed); }, Recorded::kAlways},
    {{{"max_length", Shape::kInteger, "Tokens a text may have, longer ones are cut", "the model's own limit"},
      [](const YamlValue& v, Options& o) { o.max_length = v.Integer(1, kMost); }},
     [](const Options& o) { return Shown(o.max_length); }},
    {{{"validation_split", Shape::kShare, "Share of train set aside to choose the best epoch by; 0: none, the last epoch is kept", "0.1"},
      [](const YamlValue& v, Options& o) { o.validation_split = v.ShareBelowOne(); }},
     [](const Options& o) { return Shown(o.validation_split); }, Recorded::kAlways},
    {{{"patience", Shape::kInteger, "Epochs behind the warm-up without a better score or a lower loss of the validation before it stops; 0: never", "2"},
      [](const YamlValue& v, Options& o) { o.training.patience = v.Integer(0, kMost); }},
     [](const Options& o) { return Shown(o.training.patience); }, Recorded::kAlways},
    {{{"warmup", Shape::kNumber, "Share of the steps in which the learning rate rises", "0.1"},
      [](const YamlValue& v, Options& o) { o.training.warmup = v.Number(0, 1); }},
     [](const Options& o) { return Shown(o.training.warmup); }, Recorded::kAlways},
    {{{"weight_decay", Shape::kNumber, "Decay of weights, biases and norms excepted", "0.01"},
      [](const YamlValue& v, Options& o) { o.training.weight_decay = v.Number(0, 1); }},
     [](const Options& o) { return Shown(o.training.weight_decay); }, Recorded::kAlways},
    {{{"max_grad_norm", Shape::kNumber, "Longer gradients are scaled to this length; 0: never", "1"},
      [](const YamlValue& v, Options& o) { o.training.max_grad_norm = v.Number(0, 1e9); }},
     [](const Options& o) { return Shown(o.training.max_grad_norm); }, Recorded::kAlways},
    {{{"gradient_accumulation", Shape::kInteger, "Batches a step: the result of one batch so many times as large, in the memory of one", "1"},
      [](const YamlValue& v, Options& o) { o.training.gradient_accumulation = v.Integer(1, kMost); }},
     [](const Options& o) { return Shown(o.training.gradient_accumulation); }},
    {{{"layer_decay", Shape::kNumber, "The learning rate of a layer is that of the one above times this; 0.9 is usual", "1"},
      [](const YamlValue& v, Options& o) { o.training.layer_decay = v.Number(1e-6, 1); }},
     [](const Options& o) { return Shown(o.training.layer_decay); }},
    {{{"max_tokens", Shape::kInteger, "Tokens computed at once, to save memory; the result does not change", "the whole batch"},
      [](const YamlValue& v, Options& o) { o.training.max_tokens = v.Integer(0, uint64_t{1} << 40); }},
     [](const Options& o) { return Shown(o.training.max_tokens); }, Recorded::kNever},
    {{{"gradient_checkpointing", Shape::kBool, "Keep only the input of each layer, to save memory; the result does not change", "false"},
      [](const YamlValue& v, Options& o) { o.training.gradient_checkpointing = v.Bool(); }},
     [](const Options& o) { return Shown(o.training.gradient_checkpointing); }, Recorded::kNever},
    {{{"lora", Shape::kInteger, "Only a low-rank adapter of this rank and the head learn; the adapter is merged into what is published. 8 is usual",
      "all weights learn"},
      [](const YamlValue& v, Options& o) { o.lora.rank = v.Integer(1, 4096); }},
     [](const Options& o) { return Shown(o.lora.rank); }},
    {{{"lora_alpha", Shape::kNumber, "The adapter counts lora_alpha / lora times", "twice lora"},
      [](const YamlValue& v, Options& o) { o.lora.alpha = v.Number(1e-6, 1e6); }},
     [](const Options& o) { return Shown(o.lora.alpha); }},
    {{{"lora_dropout", Shape::kShare, "Share of the adapter's inputs that is dropped", "0"},
      [](const YamlValue& v, Options& o) { o.lora.dropout = ShareUpTo(v, 0, 0.9); }},
     [](const Options& o) { return Shown(o.lora.dropout); }},
    {{{"lora_targets", Shape::kTextOrTexts, "Layers that are adapted, by the ends of their names; all-linear: all", "queries and values"},
      [](const YamlValue& v, Options& o) { o.lora.targets = Items(v); }},
     [](const Options& o) { return fmt::format("{}", fmt::join(o.lora.targets, ", ")); }},
    {{{"freeze", Shape::kBool, "Only the head learns: faster, and less exact", "false"}, [](const YamlValue& v, Options& o) { o.training.freeze = v.Bool(); }},
     [](const Options& o) { return Shown(o.training.freeze); }, Recorded::kAlways, kHeads},
    {{{"multi_label", Shape::kBool, "A text may have several labels, or none: a list in JSON Lines, else apart by data.label_separator", "false"},
      [](const YamlValue& v, Options& o) { SetProblemType(o, v.Bool(), ProblemType::kMultiLabel); }},
     [](const Options& o) { return Shown(o.sequence.problem_type == ProblemType::kMultiLabel); }, Recorded::kIfSet, kLabels},
    {{{"regression", Shape::kBool, "The column of targets holds numbers to predict", "false"},
      [](const YamlValue& v, Options& o) { SetProblemType(o, v.Bool(), ProblemType::kRegression); }},
     [](const Options& o) { return Shown(o.sequence.problem_type == ProblemType::kRegression); }, Recorded::kIfSet, kLabels},
    {{{"class_weights", Shape::kBool, "Rare labels weigh as much as frequent ones", "false"},
      [](const YamlValue& v, Options& o) { o.sequence.class_weights = v.Bool(); }},
     [](const Options& o) { return Shown(o.sequence.class_weights); }, Recorded::kAlways, kLabels},
    {{{"label_smoothing", Shape::kShare, "Share of each label that goes to all labels alike; 0.1 is usual", "0"},
      [](const YamlValue& v, Options& o) { o.sequence.label_smoothing = ShareUpTo(v, 0, 0.9); }},
     [](const Options& o) { return Shown(o.sequence.label_smoothing); }, Recorded::kIfSet, kLabels},
    {{{"doc_stride", Shape::kInteger, "Tokens that a window of a context shares with the one before", "128, at most half a window"},
      [](const YamlValue& v, Options& o) { o.doc_stride = v.Integer(0, kMost); }},
     [](const Options& o) { return Shown(o.doc_stride); }, Recorded::kIfSet, kQuestions},
    {{{"max_answer_length", Shape::kInteger, "Tokens that an answer may have when epochs are compared", "30"},
      [](const YamlValue& v, Options& o) { o.max_answer_length = v.Integer(1, kMost); }},
     [](const Options& o) { return Shown(o.max_answer_length); }, Recorded::kIfSet, kQuestions},
    {{{"mlm_probability", Shape::kShare, "Share of the tokens that are taken out to be guessed", "0.15"},
      [](const YamlValue& v, Options& o) { o.masking.probability = ShareUpTo(v, 0.01, 0.9); }},
     [](const Options& o) { return Shown(o.masking.probability); }, Recorded::kIfSet, kMasks},
    {{{"whole_word_mask", Shape::kBool, "Takes out whole words, all their pieces, instead of single tokens", "false"},
      [](const YamlValue& v, Options& o) { o.masking.whole_words = v.Bool(); }},
     [](const Options& o) { return Shown(o.masking.whole_words); }, Recorded::kIfSet, kMasks},
    {{{"line_by_line", Shape::kBool, "Reads each text by itself instead of joining texts to blocks", "false"},
      [](const YamlValue& v, Options& o) { o.masking.line_by_line = v.Bool(); }},
     [](const Options& o) { return Shown(o.masking.line_by_line); }, Recorded::kIfSet, kMasks},
    {{{"loss", Shape::kText, "multiple-negatives-ranking, cosent (for scored pairs) or triplet (of triples)", "the usual one of the data", false, "", "",
      kLosses},
      [](const YamlValue& v, Options& o) { o.loss = v.OneOf(kLosses); }},
     [](const Options& o) { return o.loss; }, Recorded::kIfSet, kEmbeddings},
    {{{"scale", Shape::kNumber, "What cosines are multiplied by", "20"}, [](const YamlValue& v, Options& o) { o.embedding.scale = v.Number(1e-3, 1e3); }},
     [](const Options& o) { return Shown(o.embedding.scale); }, Recorded::kIfSet, kEmbeddings},
    {{{"margin", Shape::kNumber, "Of the loss triplet: how much farther the negative is to be than the positive", "5"},
      [](const YamlValue& v, Options& o) { o.embedding.margin = v.Number(0, 1e3); }},
     [](const Options& o) { return Shown(o.embedding.margin); }, Recorded::kIfSet, kEmbeddings},
    {{{"distance", Shape::kText, "Of the loss triplet: euclidean or cosine", "euclidean", false, "", "", kDistances},
      [](const YamlValue& v, Options& o) {
        o.embedding.distance = v.OneOf(kDistances) == "cosine" ? EmbeddingDistance::kCosine : EmbeddingDistance::kEuclidean;
      }},
     [](const Options& o) { return std::string(kDistances[o.embedding.distance == EmbeddingDistance::kCosine]); }, Recorded::kIfSet, kEmbeddings},
    {{{"matryoshka", Shape::kTextOrTexts, "Sizes that vectors may be cut to later, such as 384, 128, 64: each learns alike", "whole vectors"},
      [](const YamlValue& v, Options& o) { o.embedding.matryoshka = Sizes(v); }},
     [](const Options& o) { return fmt::format("{}", fmt::join(o.embedding.matryoshka, ", ")); }, Recorded::kIfSet, kEmbeddings},
};

// clang-format on
const TrainKey* FindKey(std::string_view name) {
  const auto* found = std::find_if(std::begin(kKeys), std::end(kKeys), [&](const TrainKey& each) { return each.key.info.name == name; });
  return found == std::end(kKeys) ? nullptr : found;
}

bool Has(const std::vector<std::pair<std::string, YamlValue>>& entries, std::string_view name) {
  return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == name; });
}

bool IsTrue(const std::vector<std::pair<std::string, YamlValue>>& entries, std::string_view name) {
  return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == name && entry.second.Bool(); });
}

}  // namespace

std::vector<KeyInfo> TrainKeyInfos() {
  std::vector<KeyInfo> infos;
  for (const TrainKey& each : kKeys) {
    infos.push_back(each.key.info);
    infos.back().only_for = each.tasks;
  }
  return infos;
}

void ReadTrainKeys(const YamlValue& section, FineTuneOptions& options) {
  for (const auto& [number, value] : MatchKeys(section, TrainKeyInfos())) kKeys[number].key.read(value, options);
  const auto entries = section.Entries();
  if (options.lora.rank > 0 && options.training.freeze) section.Throw("'lora' and 'freeze' exclude each other");
  if (IsTrue(entries, "multi_label") && IsTrue(entries, "regression")) section.Throw("'multi_label' and 'regression' exclude each other");
  const SequenceObjectiveOptions& sequence = options.sequence;
  if (sequence.problem_type != ProblemType::kSingleLabel && (sequence.class_weights || sequence.label_smoothing > 0))
    section.Throw("'class_weights' and 'label_smoothing' are for texts with one label each");
  for (const auto& [name, value] : entries)
    if (options.lora.rank == 0 && name.starts_with("lora_")) value.Throw("stands without 'lora', the rank of the adapter", "lora: 8");
  if (options.lora.rank > 0 && !Has(entries, "lr")) options.training.learning_rate = kLoraLearningRate;
}

void CheckTrainKeys(const YamlValue& section, std::string_view task) {
  for (const auto& [name, value] : section.Entries()) {
    const TrainKey* key = FindKey(name);
    if (key == nullptr || key->tasks.empty() || key->tasks.find(task) != std::string_view::npos) continue;
    // A record has each of the old keys, whatever its task is.
    FineTuneOptions given;
    key->key.read(value, given);
    if (key->show(given) != key->show({})) value.Throw(fmt::format("is for {}; this is {}", key->tasks, task));
  }
}

std::vector<std::pair<std::string, std::string>> TrainKeyValues(const FineTuneOptions& options) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const TrainKey& each : kKeys) {
    const std::string value = each.show(options);
    if (each.recorded == Recorded::kAlways || (each.recorded == Recorded::kIfSet && value != each.show({})))
      values.emplace_back(each.key.info.name, value);
  }
  return values;
}

}  // namespace mlac
