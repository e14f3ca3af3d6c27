#pragma once
// A model without weights: its answer to a text is plain arithmetic on the token ids, so tests can say what it must be.
#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "serve/served_model.h"
#include "tests/support/test_support.h"

namespace mlac {

struct FakeModelOptions {
  bool is_classifier = false;
  bool normalizes = true;
  size_t max_length = 16;
  bool broken = false;  // gives NaN, but for the sequence that a model is checked with
  size_t num_labels = 3;
  int32_t shift = 0;  // added to each token id, so that models differ
  bool has_default_prompt = false;  // that of queries
  bool pools_prompt = true;
  bool reads_single_texts = false;
  bool is_multi_label = false;
};

class FakeModel : public ServedModel {
 public:
  static constexpr size_t kEmbeddingSize = 4, kTokenSize = 2;

  explicit FakeModel(FakeModelOptions options = {}) : options_(options), tokenizer_(Load()) {
    labels_.resize(options.num_labels);
    if (options.has_default_prompt) prompts_.default_name = "query";
    if (!options.is_classifier) {
      tasks_ = {"feature-extraction", "sentence-similarity"};
    } else {
      tasks_ = {"text-classification"};
      if (options.num_labels == 1) tasks_.emplace_back("text-ranking");
    }
  }

  const Tokenizer& tokenizer() const override { return tokenizer_; }
  size_t max_length() const override { return options_.max_length; }
  size_t vocab_size() const override { return 64; }
  bool is_classifier() const override { return options_.is_classifier; }
  const std::vector<std::string>& label_names() const override { return labels_; }
  size_t output_size() const override { return options_.is_classifier ? labels_.size() : kEmbeddingSize; }
  std::string_view pooling() const override { return "mean"; }
  bool normalizes() const override { return options_.normalizes; }
  bool reads_single_texts() const override { return options_.reads_single_texts; }
  ProblemType problem_type() const override {
    return options_.num_labels == 1 || options_.is_multi_label ? ProblemType::kMultiLabel : ProblemType::kSingleLabel;
  }
  size_t row_size(Output output) const override {
    return output == Output::kSequence ? output_size() : output == Output::kTokens && !options_.is_classifier ? kTokenSize : 0;
  }
  const std::vector<std::string>& tasks() const override { return tasks_; }
  std::string_view dtype() const override { return "float32"; }
  const SentencePrompts& prompts() const override { return prompts_; }
  bool pools_prompt() const override { return options_.pools_prompt; }

  void Compute(const TokenBatch& batch, const RowsWanted& wanted, std::span<float> out, Lane) override {
    if (batch.token_ids == std::vector<int32_t>{0}) {  // the check of a new model
      std::fill(out.begin(), out.end(), 0.0f);
      return;
    }
    {
      std::unique_lock lock(mutex_);
      ++num_batches_;
      for (size_t s = 0; s < batch.num_sequences(); ++s)
        computed_.emplace_back(batch.token_ids.begin() + static_cast<ptrdiff_t>(batch.offsets[s]),
                               batch.token_ids.begin() + static_cast<ptrdiff_t>(batch.offsets[s + 1]));
      for (const size_t token : wanted.tokens) tokens_.push_back(token);
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
    }
    if (wanted.output == Output::kTokens) {
      for (size_t t = 0; t < batch.num_tokens(); ++t) {
        out[2 * t] = static_cast<float>(batch.token_ids[t]);
        out[2 * t + 1] = 0.5f;
      }
      return;
    }
    for (size_t s = 0; s < batch.num_sequences(); ++s) {
      const std::vector<int32_t> ids(batch.token_ids.begin() + static_cast<ptrdiff_t>(batch.offsets[s]),
                                     batch.token_ids.begin() + static_cast<ptrdiff_t>(batch.offsets[s + 1]));
      const std::vector<float> row = Row(ids);
      std::copy(row.begin(), row.end(), out.begin() + static_cast<ptrdiff_t>(s * output_size()));
    }
  }

  std::unique_ptr<ServedModel> OpenAdapter(const std::string&) const override {
    throw Error(ErrorCode::kUnsupported, "tests open the adapters of a fake model");
  }
  int32_t shift() const { return options_.shift; }

  void Answer(Task& task, std::span<const TextInput> texts, std::string& out) override {
    // The names and pairs of the texts, whatever the task: what a task makes of them is tested where it is.
    (void)task;
    for (const TextInput& text : texts) out += (out.empty() ? "" : ", ") + ("\"" + text.text + "|" + text.pair.value_or("") + "\"");
  }

  // What Compute gives for one sequence.
  std::vector<float> Row(const std::vector<int32_t>& ids) const {
    std::vector<float> row(output_size());
    for (size_t t = 0; t < ids.size(); ++t)
      for (size_t j = 0; j < row.size(); ++j) row[j] += static_cast<float>(((ids[t] + options_.shift) * (j + 1) + t) % 7) / 4;
    if (options_.broken) row[0] = 0.0f / row[0] * 0.0f + std::numeric_limits<float>::quiet_NaN();
    return row;
  }

  // Computations wait from Hold to Release.
  void Hold() { SetHeld(true); }
  void Release() { SetHeld(false); }
  // Waits until so many batches have begun.
  void AwaitBatches(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return num_batches_ >= count; });
  }
  // RowsWanted::tokens of all batches.
  std::vector<size_t> tokens() {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }
  std::vector<std::vector<int32_t>> computed() {
    const std::lock_guard lock(mutex_);
    return computed_;
  }

 private:
  void SetHeld(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held;
    changed_.notify_all();
  }

  static Tokenizer Load() {
    const test::TemporaryFolder folder;
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (const char* word : {"a", "b", "c", "query", ":", "hello", "world", "good", "bad", "##s", "\xc3\xa9t\xc3\xa9"}) vocabulary += std::string(word) + "\n";
    folder.Write("vocab.txt", vocabulary);
    return Tokenizer::Load(folder.path());
  }

  const FakeModelOptions options_;
  const Tokenizer tokenizer_;
  std::vector<std::string> tasks_;
  std::vector<std::string> labels_ = {"good", "bad", "so \"so\""};
  SentencePrompts prompts_ = {.texts = {{"query", "query: "}}};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool held_ = false;
  size_t num_batches_ = 0;
  std::vector<std::vector<int32_t>> computed_;
  std::vector<size_t> tokens_;
};

}  // namespace mlac
