#pragma once
// A model folder, ready for texts: tokenizer, encoder, head and labels together.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_team.h"
#include "models/inference.h"
#include "models/model.h"
#include "models/sentence_encoder.h"
#include "models/sentence_prompts.h"
#include "pipelines/rows.h"
#include "tensor/tensor.h"
#include "text/tokenizer.h"

namespace mlac {

struct TextModelOptions {
  size_t num_threads = 0;            // 0: DefaultNumThreads()
  std::optional<size_t> max_length = {};  // tokens; without it the folder's limit
  bool truncate = false;             // cut longer texts instead of refusing them
  DType dtype = DType::kF32;         // what products of f32 weights are computed in: kF32 or kBF16
  // Threads of a process that has several models, which compute one at a time; num_threads does not count then.
  std::shared_ptr<ThreadTeam> team = nullptr;
  std::string adapter = {};  // the folder of an adapter over the model (models/adapter.h), or ""
  // OpenBase of the model's folder, whose weights several adapters and the model itself share; without it each has its own.
  std::shared_ptr<Model> base = nullptr;
  std::function<void()> check_stop = nullptr;  // as of Inference
};

// One line of input: a text, or two that are read together.
struct TextInput {
  std::string text;
  std::optional<std::string> pair;
  std::string place = {};  // where it stands, for messages ("in.csv line 7"); "": its number among those given
};

// What the logits of a classification head mean: config.json's problem_type.
enum class ProblemType { kSingleLabel, kMultiLabel, kRegression };

// Throws kInvalidInput for a text without tokens, of which there is no first one and no mean. place: where it stands, or "".
[[noreturn]] void RefuseTextWithoutTokens(const std::string& place);

// A text to a batch.
void Append(const Encoding& encoding, TokenBatch& batch);

// Encoded texts, end to end.
struct EncodedTexts {
  TokenBatch batch;
  size_t num_truncated = 0;
  std::vector<size_t> pooled_from = {};  // SentenceEncoder's: of texts with a prompt that does not count
};

// The tokens of a text that are its prompt's, as sentence-transformers counts them: those of the prompt alone, cut to max_length, without
// the special one behind it (those before it count).
size_t NumPromptTokens(const Tokenizer& tokenizer, const std::string& prompt, size_t max_length);
// SentenceEncoder's pooled_from of sequences that all begin with so many tokens of a prompt that does not count; empty for 0.
std::vector<size_t> PooledFrom(const Offsets& offsets, size_t num_prompt_tokens);

// Throws kUnsupported where sentence_bert_config.json of the folder asks sentence-transformers to lower-case texts and the tokenizer keeps capitals.
void CheckLowerCase(const std::string& folder, const Tokenizer& tokenizer);

// One batch at a time, or one in each lane: else not for several threads at once.
class TextModel {
 public:
  // Throws as OpenModel, Tokenizer::Load and CheckLowerCase, kInvalidInput if the tokenizer has ids that the model has no embedding for,
  // kInvalidArgument for a max_length that leaves no room for a text.
  explicit TextModel(const std::string& folder, const TextModelOptions& options = {});

  const Model& model() const { return *model_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::vector<std::string>& label_names() const { return label_names_; }
  size_t max_length() const { return max_length_; }
  size_t embedding_size() const;
  const SentenceEncoder& sentence_encoder() const { return *sentence_encoder_; }
  // What the folder wants put before texts that become vectors; of a cross-encoder, before the query that texts are ranked by.
  const SentencePrompts& prompts() const { return prompts_.of_cross_encoder ? no_prompts_ : prompts_; }
  const SentencePrompts& ranking_prompts() const { return prompts_.of_cross_encoder ? prompts_ : no_prompts_; }

  ProblemType problem_type() const { return problem_type_; }
  bool is_cross_encoder() const { return is_cross_encoder_; }  // does text-ranking
  const std::string& folder() const { return folder_; }
  const std::string& adapter() const { return options_.adapter; }  // of TextModelOptions
  bool truncates() const { return options_.truncate; }

  // Throws kTooLarge with both lengths for a text above max_length() unless options.truncate, kInvalidInput for one that has no tokens,
  // since nothing can be said of it; both name its place.
  EncodedTexts Encode(std::span<const TextInput> texts, Truncation truncation = Truncation::kLongestFirst) const;
  // The same of texts that become vectors, with the prompt before each (of a pair, before its first).
  EncodedTexts EncodeWithPrompt(std::span<const TextInput> texts, const std::string& prompt) const;
  // EncodedTexts::pooled_from of sequences that begin with this prompt; empty where its tokens count.
  std::vector<size_t> PooledFrom(const Offsets& offsets, const std::string& prompt) const;
  // One text or pair with offsets in bytes, as long as it is.
  Encoding EncodeWhole(const TextInput& text) const;

  // How many numbers a row of this kind has; 0 where the model has no such rows.
  size_t row_size(Output output) const;
  // [rows, row_size()]. Throws kUnsupported for rows that the model has not, saying what it can do; likewise below. lane: as
  // Inference::ForEachGroup's.
  std::vector<float> Compute(const TokenBatch& batch, const RowsWanted& wanted, Lane lane = kWholeTeam);
  // The same of hidden states that the encoder gave for a part of a batch, whose offsets and tokens count from its beginning.
  Tensor RowsOf(Run& run, const Tensor& hidden_states, const Offsets& offsets, const RowsWanted& wanted) const;
  // The same of the part itself: the last layer computes only what the head looks at.
  Tensor RowsOf(Run& run, const TokenBatch& part, const RowsWanted& wanted) const;

  // [texts, embedding_size()]: one vector a text, pooled (and normalised) as the folder says, else the mean of its tokens.
  // normalize: false leaves out the normalising at the end. pooled_from: EncodedTexts's.
  std::vector<float> Embed(const TokenBatch& batch, bool normalize = true, std::span<const size_t> pooled_from = {});
  // [tokens, hidden_size]: one vector a token.
  std::vector<float> EmbedTokens(const TokenBatch& batch);
  // [texts, labels].
  std::vector<float> Logits(const TokenBatch& batch);
  // [tokens, labels] of token classification; [tokens, 2] of question answering.
  std::vector<float> TokenLogits(const TokenBatch& batch);
  // [tokens.size(), vocab_size] of a masked language model. tokens: which of the batch's are asked for, rising.
  std::vector<float> MaskedLogits(const TokenBatch& batch, std::span<const size_t> tokens);

  // The tasks that this model can do: "feature-extraction", "text-classification" and so on.
  std::vector<std::string> Tasks() const;
  // Throws kUnsupported, saying what it can do, for a task that it cannot.
  void Require(std::string_view task) const;

 private:
  EncodedTexts Encode(std::span<const TextInput> texts, Truncation truncation, const std::string& prompt) const;

  TextModelOptions options_;
  std::string folder_;
  std::unique_ptr<Model> model_;
  Tokenizer tokenizer_;
  std::unique_ptr<SentenceEncoder> sentence_encoder_;
  SentencePrompts prompts_, no_prompts_;
  std::vector<std::string> label_names_;
  ProblemType problem_type_;
  bool is_cross_encoder_;
  size_t max_length_;
  Inference inference_;
};

// The label of a model of natural language inference that says that a text follows from another: its name begins with "entail", in any case.
std::optional<size_t> EntailmentLabel(std::span<const std::string> label_names);

// softmax of each row of logits.
std::vector<float> Probabilities(std::span<const float> logits, size_t num_labels);
// 1 / (1 + exp(-x)) of each.
std::vector<float> Sigmoids(std::span<const float> logits);

// The cosine of two vectors, by one order of sums; 0 if one is all zeros.
float Cosine(std::span<const float> a, std::span<const float> b);

}  // namespace mlac
