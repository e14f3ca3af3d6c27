// fill-mask: the words that a masked language model puts in place of each mask token, most probable first.
// JSON, as transformers' pipeline for a list of texts: a list of {"score", "token", "token_str", "sequence"} for each text, or with several masks a list
// of those lists. Text: the text, then a word a line with its probability.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/json.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

constexpr size_t kTopK = 5;

// Ids of the words to choose among; all tokens where none are given.
std::vector<int32_t> TargetIds(const TextModel& model, std::span<const std::string> targets) {
  const Tokenizer& tokenizer = model.tokenizer();
  std::vector<int32_t> ids;
  for (const std::string& target : targets) {
    int32_t id = tokenizer.FindToken(target);
    if (id < 0) {  // its first piece stands for a word that is no token, as in transformers
      const Encoding pieces = tokenizer.Encode(target, {.add_special_tokens = false});
      if (pieces.token_ids.empty()) throw Error(ErrorCode::kInvalidArgument, fmt::format("fill-mask: the target '{}' has no token", target));
      id = pieces.token_ids.front();
    }
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

class FillMask : public Task {
 public:
  explicit FillMask(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {}

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    model.Require("fill-mask");
    const int32_t mask = model.tokenizer().special_ids().mask;
    if (mask < 0) throw Error(ErrorCode::kUnsupported, fmt::format("{}: the tokenizer has no mask token", model.folder()));
    if (targets_.empty()) targets_ = TargetIds(model, options_.targets);
    const EncodedTexts encoded = model.Encode(texts);
    num_truncated_ += encoded.num_truncated;
    const std::vector<int32_t>& ids = encoded.batch.token_ids;
    std::vector<size_t> masks;
    for (size_t t = 0; t < ids.size(); ++t)
      if (ids[t] == mask) masks.push_back(t);
    const std::vector<float> logits = model.MaskedLogits(encoded.batch, masks);
    auto next = masks.begin();
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto first = next;
      while (next != masks.end() && *next < encoded.batch.offsets[i + 1]) ++next;
      if (first == next) RefuseTextWithoutMask(model, texts[i], i);
      AppendText(model, encoded.batch, i, {first, next}, std::span(logits).subspan(static_cast<size_t>(first - masks.begin()) * model.model().vocab_size()),
                 texts[i].text, out);
    }
  }

  void End(std::string& out) override {
    if (json_) out += "]\n";
  }

 private:
  [[noreturn]] static void RefuseTextWithoutMask(const TextModel& model, const TextInput& text, size_t index) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected the mask token {} in the text, found none",
                                                      text.place.empty() ? fmt::format("text {}", index + 1) : text.place,
                                                      model.tokenizer().TokenOf(model.tokenizer().special_ids().mask)));
  }

  // masks: places in the batch. logits: [masks, vocab_size] and more.
  void AppendText(const TextModel& model, const TokenBatch& batch, size_t sequence, std::span<const size_t> masks, std::span<const float> logits,
                  const std::string& text, std::string& out) {
    const size_t vocab_size = model.model().vocab_size(), begin = batch.offsets[sequence];
    const std::vector<int32_t> ids(batch.token_ids.begin() + static_cast<ptrdiff_t>(begin),
                                   batch.token_ids.begin() + static_cast<ptrdiff_t>(batch.offsets[sequence + 1]));
    if (json_ && !first_) out += ", ";
    first_ = false;
    if (!json_) out += text + '\n';
    if (json_ && masks.size() > 1) out += '[';
    for (size_t m = 0; m < masks.size(); ++m) {
      const std::vector<float> probabilities = Probabilities(logits.subspan(m * vocab_size, vocab_size), vocab_size);
      if (json_ && m > 0) out += ", ";
      if (!json_ && masks.size() > 1) out += fmt::format("mask {}\n", m + 1);
      AppendMask(model, ids, masks[m] - begin, probabilities, /*single=*/masks.size() == 1, out);
    }
    if (json_ && masks.size() > 1) out += ']';
  }

  void AppendMask(const TextModel& model, std::vector<int32_t> ids, size_t place, std::span<const float> probabilities, bool single, std::string& out) {
    const std::vector<int32_t> best = Best(probabilities);
    const Tokenizer& tokenizer = model.tokenizer();
    if (json_) out += '[';
    for (size_t i = 0; i < best.size(); ++i) {
      const float score = probabilities[static_cast<size_t>(best[i])];
      const std::string token = tokenizer.Decode(std::span(&best[i], 1), /*skip_special_tokens=*/false);
      if (!json_) {
        out += fmt::format("  {}\t{:.4f}\n", token, score);
        continue;
      }
      ids[place] = best[i];
      std::vector<int32_t> shown;  // as transformers: without padding, and with the other masks where there are several
      std::copy_if(ids.begin(), ids.end(), std::back_inserter(shown), [&](int32_t id) { return id != tokenizer.special_ids().pad; });
      out += i > 0 ? ", {\"score\": " : "{\"score\": ";
      AppendFloat(out, score);
      out += fmt::format(", \"token\": {}, \"token_str\": ", best[i]);
      AppendJsonString(out, token);
      out += ", \"sequence\": ";
      AppendJsonString(out, tokenizer.Decode(shown, /*skip_special_tokens=*/single));
      out += '}';
    }
    if (json_) out += ']';
  }

  // The best ids, among the targets if there are any.
  std::vector<int32_t> Best(std::span<const float> probabilities) const {
    std::vector<int32_t> ids = targets_;
    if (ids.empty()) {
      ids.resize(probabilities.size());
      std::iota(ids.begin(), ids.end(), 0);
    }
    const size_t wanted = options_.top_k.value_or(kTopK), count = wanted == 0 ? ids.size() : std::min(wanted, ids.size());
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
};

}  // namespace

std::unique_ptr<Task> MakeFillMask(const TaskOptions& options) { return std::make_unique<FillMask>(options); }

}  // namespace mlac
