#include "pipelines/text_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "autograd/gather_rows.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/thread_team.h"
#include "kernels/cross_entropy.h"
#include "kernels/vector_ops.h"
#include "models/adapter.h"
#include "models/model_folder.h"
#include "text/length_limit.h"

namespace mlac {
namespace {

// What a user without the head does.
std::string HintFor(std::string_view task) {
  if (task == "zero-shot-classification") return "it needs a classifier of natural language inference, one of whose labels begins with 'entail'";
  if (task == "text-ranking") return "it needs a classifier with one label, a cross-encoder: `mlac train text-ranking` makes one";
  return fmt::format("`mlac train {}` makes one", task);
}

// As transformers reads it: one label alone is no choice, so its logit is a probability of its own.
ProblemType ProblemTypeOf(const std::string& folder, const std::string& adapter) {
  const std::string name = ProblemTypeNameOf(folder, adapter);
  if (name == "regression") return ProblemType::kRegression;
  if (name == "multi_label_classification" || LabelNamesOf(folder, adapter).size() == 1) return ProblemType::kMultiLabel;
  return ProblemType::kSingleLabel;
}

std::unique_ptr<Model> Open(const std::string& folder, const TextModelOptions& options) {
  if (options.adapter.empty()) return options.base ? OpenOverBase(options.base, folder) : OpenModel(folder);
  return OpenAdapted(options.base ? options.base : OpenBase(folder), folder, options.adapter);
}

}  // namespace

// Nearly all tokenizers of such folders lower-case texts themselves, and then it changes nothing.
void CheckLowerCase(const std::string& folder, const Tokenizer& tokenizer) {
  const std::string path = folder + "/sentence_bert_config.json";
  if (!FileExists(path)) return;
  const nlohmann::json settings = ReadJsonFile(path);
  const auto found = settings.is_object() ? settings.find("do_lower_case") : settings.end();
  if (found == settings.end() || !found->is_boolean() || !found->get<bool>()) return;
  std::string capitals, letters;
  for (char c = 'a'; c <= 'z'; ++c) {
    capitals += {static_cast<char>(c - 'a' + 'A'), ' '};
    letters += {c, ' '};
  }
  if (tokenizer.Encode(capitals, {}).token_ids == tokenizer.Encode(letters, {}).token_ids) return;
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: do_lower_case is true, but the tokenizer keeps capitals", path),
              "set do_lower_case to true in tokenizer_config.json, or \"lowercase\" in the normalizer of tokenizer.json");
}

TextModel::TextModel(const std::string& folder, const TextModelOptions& options)
    : options_(options),
      folder_(folder),
      model_(Open(folder, options)),
      tokenizer_(Tokenizer::Load(TokenizerFolder(folder, options.adapter))),
      sentence_encoder_(std::make_unique<SentenceEncoder>(folder, *model_)),
      prompts_(ReadSentencePrompts(folder)),
      label_names_(LabelNamesOf(folder, options.adapter)),
      problem_type_(ProblemTypeOf(folder, options.adapter)),
      is_cross_encoder_(IsCrossEncoder(folder, options.adapter)),
      max_length_(FindLengthLimit(TokenizerFolder(folder, options.adapter), options.max_length, model_->max_positions()).num_tokens),
      inference_(
          options.team ? options.team : std::make_shared<ThreadTeam>(options.num_threads == 0 ? DefaultNumThreads() : options.num_threads),
          options.dtype, options.check_stop) {
  tokenizer_.CheckEmbeddingSize(model_->vocab_size());
  CheckLowerCase(TransformerFolder(folder), tokenizer_);
  CheckHoldsText(tokenizer_, options.max_length);
}

size_t TextModel::embedding_size() const { return sentence_encoder_->embedding_size(); }

void RefuseTextWithoutTokens(const std::string& place) {
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}{}expected a text with tokens, found none: the tokenizer keeps nothing of it and adds nothing", place,
                          place.empty() ? "" : ": "));
}

void Append(const Encoding& encoding, TokenBatch& batch) {
  batch.token_ids.insert(batch.token_ids.end(), encoding.token_ids.begin(), encoding.token_ids.end());
  batch.token_type_ids.insert(batch.token_type_ids.end(), encoding.token_type_ids.begin(), encoding.token_type_ids.end());
  batch.offsets.push_back(batch.token_ids.size());
}

size_t NumPromptTokens(const Tokenizer& tokenizer, const std::string& prompt, size_t max_length) {
  if (prompt.empty()) return 0;
  const Encoding encoding = tokenizer.Encode(prompt, {.add_special_tokens = true, .max_length = max_length, .truncate = true});
  const size_t size = encoding.token_ids.size();
  return size > 0 && encoding.special_tokens_mask[size - 1] != 0 ? size - 1 : size;
}

std::vector<size_t> PooledFrom(const Offsets& offsets, size_t num_prompt_tokens) {
  std::vector<size_t> pooled_from;
  if (num_prompt_tokens == 0) return pooled_from;
  for (size_t s = 0; s + 1 < offsets.size(); ++s)  // a token is left, even where the text went on with the prompt's last word
    pooled_from.push_back(std::min(offsets[s] + num_prompt_tokens, offsets[s + 1] - 1));
  return pooled_from;
}

EncodedTexts TextModel::Encode(std::span<const TextInput> texts, Truncation truncation) const { return Encode(texts, truncation, ""); }

EncodedTexts TextModel::EncodeWithPrompt(std::span<const TextInput> texts, const std::string& prompt) const {
  EncodedTexts encoded = Encode(texts, Truncation::kLongestFirst, prompt);
  encoded.pooled_from = PooledFrom(encoded.batch.offsets, prompt);
  return encoded;
}

std::vector<size_t> TextModel::PooledFrom(const Offsets& offsets, const std::string& prompt) const {
  return mlac::PooledFrom(offsets, sentence_encoder_->pools_prompt() ? 0 : NumPromptTokens(tokenizer_, prompt, max_length_));
}

EncodedTexts TextModel::Encode(std::span<const TextInput> texts, Truncation truncation, const std::string& prompt) const {
  EncodedTexts encoded;
  const EncodeOptions options = {.add_special_tokens = true, .with_offsets = false, .max_length = max_length_, .truncate = options_.truncate,
                                 .truncation = truncation};
  for (size_t i = 0; i < texts.size(); ++i) {
    Encoding encoding;
    try {
      const std::string with_prompt = prompt.empty() ? "" : prompt + texts[i].text;
      const std::string& text = prompt.empty() ? texts[i].text : with_prompt;
      encoding = texts[i].pair ? tokenizer_.EncodePair(text, *texts[i].pair, options) : tokenizer_.Encode(text, options);
      if (encoding.token_ids.empty()) RefuseTextWithoutTokens("");
    } catch (const Error& error) {
      if (texts.size() == 1 && texts[i].place.empty()) throw;
      const std::string place = texts[i].place.empty() ? fmt::format("text {}", i + 1) : texts[i].place;
      throw Error(error.code(), fmt::format("{}: {}", place, error.message()), error.hint());
    }
    encoded.num_truncated += encoding.truncated;
    Append(encoding, encoded.batch);
  }
  return encoded;
}

Encoding TextModel::EncodeWhole(const TextInput& text) const {
  const EncodeOptions options = {.add_special_tokens = true, .with_offsets = true};
  try {
    return text.pair ? tokenizer_.EncodePair(text.text, *text.pair, options) : tokenizer_.Encode(text.text, options);
  } catch (const Error& error) {
    if (text.place.empty()) throw;
    throw Error(error.code(), fmt::format("{}: {}", text.place, error.message()), error.hint());
  }
}

size_t TextModel::row_size(Output output) const {
  const Head head = model_->head();
  switch (output) {
    case Output::kSequence:
      return head == Head::kSequenceClassification ? model_->num_labels() : embedding_size();
    case Output::kTokens:
      return model_->hidden_size();
    case Output::kTokenLabels:
      return head == Head::kTokenClassification || head == Head::kQuestionAnswering ? model_->num_labels() : 0;
    case Output::kMasks:
      return head == Head::kMaskedLanguageModel ? model_->vocab_size() : 0;
  }
  return 0;
}

Tensor TextModel::RowsOf(Run& run, const Tensor& hidden_states, const Offsets& offsets, const RowsWanted& wanted) const {
  switch (wanted.output) {
    case Output::kSequence:
      if (model_->head() != Head::kSequenceClassification)
        return (*sentence_encoder_)(run, hidden_states, offsets, /*normalize=*/false, wanted.tokens);
      return model_->Classify(run, model_->SequenceFeatures(run, hidden_states, offsets));
    case Output::kTokens:
      return hidden_states;
    case Output::kTokenLabels:
      return model_->ClassifyTokens(run, hidden_states);
    case Output::kMasks:
      break;
  }
  return model_->PredictTokens(run, GatherRows(run, hidden_states, wanted.tokens));  // the decoder is as wide as the vocabulary
}

Tensor TextModel::RowsOf(Run& run, const TokenBatch& part, const RowsWanted& wanted) const {
  if (wanted.output == Output::kMasks) return model_->PredictTokens(run, model_->EncodeRows(run, part, wanted.tokens));
  if (wanted.output != Output::kSequence) return RowsOf(run, model_->Encode(run, part), part.offsets, wanted);
  if (model_->head() != Head::kSequenceClassification) return (*sentence_encoder_)(run, *model_, part, /*normalize=*/false, wanted.tokens);
  return model_->Classify(run, model_->SequenceFeatures(run, part));
}

std::vector<float> TextModel::Compute(const TokenBatch& batch, const RowsWanted& wanted, Lane lane) {
  if (wanted.output == Output::kMasks) Require("fill-mask");
  if (wanted.output == Output::kTokenLabels && model_->head() != Head::kQuestionAnswering) Require("token-classification");
  const size_t size = row_size(wanted.output);
  std::vector<float> out(NumRows(batch, wanted) * size);
  const auto compute = [&](Run& run, const TokenBatch& group, size_t first) {
    const size_t begin = RowsBefore(batch.offsets, wanted, first), end = RowsBefore(batch.offsets, wanted, first + group.num_sequences());
    if (begin == end) return;
    const std::vector<size_t> tokens = TokensWithin(wanted, batch.offsets[first], batch.offsets[first + group.num_sequences()]);
    const Tensor part = RowsOf(run, group, {wanted.output, tokens});
    std::copy(part.floats().begin(), part.floats().end(), out.begin() + static_cast<ptrdiff_t>(begin * size));
  };
  inference_.ForEachGroup(batch, compute, lane);
  return out;
}

std::vector<float> TextModel::Embed(const TokenBatch& batch, bool normalize, std::span<const size_t> pooled_from) {
  std::vector<float> out(batch.num_sequences() * embedding_size());
  inference_.ForEachGroup(batch, [&](Run& run, const TokenBatch& group, size_t first) {
    const RowsWanted wanted = {Output::kSequence, pooled_from};
    const std::vector<size_t> tokens = TokensWithin(wanted, batch.offsets[first], batch.offsets[first + group.num_sequences()]);
    const Tensor part = (*sentence_encoder_)(run, *model_, group, normalize, tokens);
    std::copy(part.floats().begin(), part.floats().end(), out.begin() + static_cast<ptrdiff_t>(first * embedding_size()));
  });
  return out;
}

std::vector<float> TextModel::EmbedTokens(const TokenBatch& batch) { return Compute(batch, {Output::kTokens}); }

std::vector<float> TextModel::Logits(const TokenBatch& batch) {
  Require("text-classification");
  return Compute(batch, {Output::kSequence});
}

std::vector<float> TextModel::TokenLogits(const TokenBatch& batch) { return Compute(batch, {Output::kTokenLabels}); }

std::vector<float> TextModel::MaskedLogits(const TokenBatch& batch, std::span<const size_t> tokens) {
  return Compute(batch, {Output::kMasks, tokens});
}

std::vector<std::string> TextModel::Tasks() const {
  std::vector<std::string> tasks = {"feature-extraction", "sentence-similarity"};
  switch (model_->head()) {
    case Head::kNone: break;
    case Head::kSequenceClassification:
      tasks.emplace_back("text-classification");
      if (EntailmentLabel(label_names_)) tasks.emplace_back("zero-shot-classification");
      if (is_cross_encoder_) tasks.emplace_back("text-ranking");
      break;
    case Head::kTokenClassification: tasks.emplace_back("token-classification"); break;
    case Head::kQuestionAnswering: tasks.emplace_back("question-answering"); break;
    case Head::kMaskedLanguageModel: tasks.emplace_back("fill-mask"); break;
  }
  return tasks;
}

void TextModel::Require(std::string_view task) const {
  const std::vector<std::string> tasks = Tasks();
  if (std::find(tasks.begin(), tasks.end(), task) != tasks.end()) return;
  // Of a stranger's cross-encoder, which may say so all the same.
  const bool one_label = task == "text-ranking" && model_->head() == Head::kSequenceClassification && model_->num_labels() == 1;
  throw Error(ErrorCode::kUnsupported, fmt::format("{}: the model has no head for {}; it can do {}", folder_, task, fmt::join(tasks, ", ")),
              one_label ? fmt::format("by problem_type of its config.json, '{}', its one output is no answer to a query; a cross-encoder has no problem_type",
                                      ProblemTypeNameOf(folder_, options_.adapter))
                        : HintFor(task));
}

std::optional<size_t> EntailmentLabel(std::span<const std::string> label_names) {
  for (size_t i = 0; i < label_names.size(); ++i) {
    std::string start = label_names[i].substr(0, 6);
    for (char& c : start) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (start == "entail") return i;
  }
  return std::nullopt;
}

std::vector<float> Sigmoids(std::span<const float> logits) {
  std::vector<float> pairs(2 * logits.size()), sigmoids(logits.size());  // exp(x) / (exp(x) + exp(0)), by the same exp as all else
  for (size_t i = 0; i < logits.size(); ++i) pairs[2 * i] = logits[i];
  kernels::Softmax(pairs.data(), logits.size(), 2, pairs.data());
  for (size_t i = 0; i < logits.size(); ++i) sigmoids[i] = pairs[2 * i];
  return sigmoids;
}

std::vector<float> Probabilities(std::span<const float> logits, size_t num_labels) {
  std::vector<float> probabilities(logits.size());
  if (num_labels > 0) kernels::Softmax(logits.data(), logits.size() / num_labels, num_labels, probabilities.data());
  return probabilities;
}

float Cosine(std::span<const float> a, std::span<const float> b) {
  const float product = kernels::Dot(a.data(), b.data(), a.size());
  const float lengths = std::sqrt(kernels::Dot(a.data(), a.data(), a.size())) * std::sqrt(kernels::Dot(b.data(), b.data(), b.size()));
  return lengths > 0 ? std::clamp(product / lengths, -1.0f, 1.0f) : 0.0f;
}

}  // namespace mlac
