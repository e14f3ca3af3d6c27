// fill-mask: the words that a masked language model puts in place of each mask token, most probable first.
// JSON, as transformers' pipeline for a list of texts: a list of {"score", "token", "token_str", "sequence"} for each text, or with several masks a list
// of those lists. Text: the text, then a word a line with its probability.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "pipelines/sequence_task.h"

namespace mlac {
namespace {

constexpr size_t kTopK = 5;
constexpr double kBytesBesideText = 100;  // of a word in JSON, about

// Ids of the words to choose among. transformers lets the first piece of a word that is no token stand for it, and says so in a log: the
// answer is then another word than the one that was asked about, so it is refused here.
std::vector<int32_t> TargetIds(const TextModel& model, std::span<const std::string> targets) {
  const Tokenizer& tokenizer = model.tokenizer();
  if (targets.empty()) throw Error(ErrorCode::kInvalidArgument, "fill-mask: expected at least one target, found none");
  std::vector<int32_t> ids;
  for (const std::string& target : targets) {
    int32_t id = tokenizer.FindToken(target);
    if (id < 0) {
      const Encoding pieces = tokenizer.Encode(target, {.add_special_tokens = false});
      if (pieces.token_ids.size() != 1)
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("fill-mask: the target {} is no token of the model, which has {} for it: a mask stands for one",
                                Quoted(target), pieces.token_ids.size()),
                    "'mlac tokenize' shows the tokens of a text");
      if (pieces.token_ids.front() == tokenizer.special_ids().unk)
        throw Error(ErrorCode::kInvalidArgument, fmt::format("fill-mask: the model does not know the target {}", Quoted(target)),
                    "'mlac tokenize' shows the tokens of a text");
      id = pieces.token_ids.front();  // in lower case, perhaps
    }
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

class FillMask : public SequenceTask {
 public:
  explicit FillMask(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {}

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  TaskBatch Ask(const TextModel& model, std::span<const TextInput> texts) override {
    model.Require("fill-mask");
    CheckSingleTexts("fill-mask", texts);
    const int32_t mask = model.tokenizer().special_ids().mask;
    if (mask < 0) throw Error(ErrorCode::kUnsupported, fmt::format("{}: the tokenizer has no mask token", model.folder()));
    if (options_.targets && targets_.empty()) targets_ = TargetIds(model, *options_.targets);
    EncodedTexts encoded = model.Encode(texts);
    num_truncated_ += encoded.num_truncated;
    TaskBatch asked = {.batch = std::move(encoded.batch), .output = Output::kMasks};
    sequences_.clear();
    const std::vector<int32_t>& ids = asked.batch.token_ids;
    for (size_t i = 0; i < texts.size(); ++i) {
      const size_t begin = asked.batch.offsets[i], end = asked.batch.offsets[i + 1];
      Sequence sequence;
      sequence.ids.assign(ids.begin() + static_cast<ptrdiff_t>(begin), ids.begin() + static_cast<ptrdiff_t>(end));
      for (size_t t = begin; t < end; ++t) {
        if (ids[t] != mask) continue;
        asked.tokens.push_back(t);
        sequence.masks.push_back({t - begin, {}});
      }
      if (sequence.masks.empty()) RefuseTextWithoutMask(model, texts[i], i);
      asked.num_answer_bytes += static_cast<double>(sequence.masks.size()) * static_cast<double>(NumBest(model.model().vocab_size())) *
                                (kBytesBesideText + static_cast<double>(texts[i].text.size()));
      sequences_.push_back(std::move(sequence));
    }
    return asked;
  }

  // rows: [masks of the sequence, vocab_size]. The best are kept, and no row: it is as long as the vocabulary.
  void Take(const TextModel& model, size_t sequence, std::span<const float> rows) override {
    const size_t vocab_size = model.model().vocab_size();
    for (size_t m = 0; m < sequences_[sequence].masks.size(); ++m) {
      const std::vector<float> probabilities = Probabilities(rows.subspan(m * vocab_size, vocab_size), vocab_size);
      for (const int32_t id : Best(probabilities))
        sequences_[sequence].masks[m].best.push_back({id, probabilities[static_cast<size_t>(id)]});
    }
  }

  void Write(const TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    for (size_t i = 0; i < texts.size(); ++i) AppendText(model.tokenizer(), sequences_[i], texts[i].text, out);
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  struct Word {
    int32_t id;
    float score;
  };
  struct Mask {
    size_t place;  // in its sequence
    std::vector<Word> best;
  };
  struct Sequence {
    std::vector<int32_t> ids;
    std::vector<Mask> masks;
  };

  [[noreturn]] static void RefuseTextWithoutMask(const TextModel& model, const TextInput& text, size_t index) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected the mask token {} in the text, found none",
                                                      text.place.empty() ? fmt::format("text {}", index + 1) : text.place,
                                                      model.tokenizer().TokenOf(model.tokenizer().special_ids().mask)));
  }

  void AppendText(const Tokenizer& tokenizer, const Sequence& sequence, const std::string& text, std::string& out) {
    const std::vector<Mask>& masks = sequence.masks;
    if (json_ && !first_) out += ", ";
    first_ = false;
    if (!json_) out += Printable(text) + '\n';
    if (json_ && masks.size() > 1) out += '[';
    for (size_t m = 0; m < masks.size(); ++m) {
      if (json_ && m > 0) out += ", ";
      if (!json_ && masks.size() > 1) out += fmt::format("mask {}\n", m + 1);
      AppendMask(tokenizer, sequence.ids, masks[m], /*single=*/masks.size() == 1, out);
    }
    if (json_ && masks.size() > 1) out += ']';
  }

  void AppendMask(const Tokenizer& tokenizer, std::vector<int32_t> ids, const Mask& mask, bool single, std::string& out) const {
    if (json_) out += '[';
    for (size_t i = 0; i < mask.best.size(); ++i) {
      const auto& [id, score] = mask.best[i];
      const std::string token = tokenizer.Decode(std::span(&id, 1), /*skip_special_tokens=*/false);
      if (!json_) {
        out += fmt::format("  {}\t{:.4f}\n", Printable(token), score);
        continue;
      }
      ids[mask.place] = id;
      std::vector<int32_t> shown;  // as transformers: without padding, and with the other masks where there are several
      std::copy_if(ids.begin(), ids.end(), std::back_inserter(shown), [&](int32_t other) { return other != tokenizer.special_ids().pad; });
      out += i > 0 ? ", {\"score\": " : "{\"score\": ";
      AppendFloat(out, score);
      out += fmt::format(", \"token\": {}, \"token_str\": ", id);
      AppendJsonString(out, token);
      out += ", \"sequence\": ";
      AppendJsonString(out, tokenizer.Decode(shown, /*skip_special_tokens=*/single));
      out += '}';
    }
    if (json_) out += ']';
  }

  size_t NumBest(size_t vocab_size) const {
    const size_t wanted = options_.top_k.value_or(kTopK), num_choices = targets_.empty() ? vocab_size : targets_.size();
    return wanted == 0 ? num_choices : std::min(wanted, num_choices);
  }

  // The best ids, among the targets if there are any.
  std::vector<int32_t> Best(std::span<const float> probabilities) const {
    std::vector<int32_t> ids = targets_;
    if (ids.empty()) {
      ids.resize(probabilities.size());
      std::iota(ids.begin(), ids.end(), 0);
    }
    const size_t count = NumBest(probabilities.size());
    std::partial_sort(ids.begin(), ids.begin() + static_cast<ptrdiff_t>(count), ids.end(), [&](int32_t a, int32_t b) {
      const float x = probabilities[static_cast<size_t>(a)], y = probabilities[static_cast<size_t>(b)];
      return x != y ? x > y : a < b;
    });
    ids.resize(count);
    return ids;
  }

  TaskOptions options_;
  bool json_, first_ = true;
  std::vector<int32_t> targets_;
  std::vector<Sequence> sequences_;
};

}  // namespace

std::unique_ptr<SequenceTask> MakeFillMask(const TaskOptions& options) { return std::make_unique<FillMask>(options); }

}  // namespace mlac
