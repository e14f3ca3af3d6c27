// sentence-similarity: the cosine of the first text's vector with that of each other text.
// JSON: [0.61, 0.05]. Text: cosine and text a line, in the order given.
// With a query, a search: the cosine of each text with it, best first, as text-ranking writes them. Blank texts are passed over and counted
// in the index.
#include <fmt/format.h>

#include "base/display.h"
#include "base/error.h"
#include "base/json.h"
#include "data/texts.h"
#include "pipelines/ranked_texts.h"
#include "pipelines/task.h"

namespace mlac {
namespace {

// A vector a text, end to end, each of length 1. Adds the texts that were cut to num_truncated.
std::vector<float> VectorsOf(TextModel& model, std::span<const TextInput> texts, const std::string& prompt, size_t& num_truncated) {
  const EncodedTexts encoded = model.EncodeWithPrompt(texts, prompt);
  num_truncated += encoded.num_truncated;
  std::vector<float> vectors = model.Embed(encoded.batch, /*normalize=*/true, encoded.pooled_from);
  RequireFinite(vectors);
  return vectors;
}

class SentenceSimilarity : public Task {
 public:
  explicit SentenceSimilarity(const TaskOptions& options) : options_(options), json_(options.format == OutputFormat::kJson) {
    CheckPrompt(options);
  }

  void Begin(std::string& out) override {
    if (json_) out += '[';
  }

  void Add(TextModel& model, std::span<const TextInput> texts, std::string& out) override {
    const std::vector<float> vectors = VectorsOf(model, texts, PromptOf(model, options_), num_truncated_);
    const size_t size = model.embedding_size();
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::span<const float> vector = std::span(vectors).subspan(i * size, size);
      if (first_.empty()) {
        first_.assign(vector.begin(), vector.end());
        continue;
      }
      const float cosine = Cosine(first_, vector);
      if (json_) {
        if (num_compared_ > 0) out += ", ";
        AppendFloat(out, cosine);
      } else {
        out += fmt::format("{:7.4f}  {}\n", cosine, Printable(texts[i].text));
      }
      ++num_compared_;
    }
  }

  void End(std::string& out) override {
    if (num_compared_ == 0) throw Error(ErrorCode::kInvalidArgument, "sentence-similarity: expected at least two texts, found one");
    if (json_) out += "]\n";
  }

 private:
  const TaskOptions options_;
  bool json_;
  std::vector<float> first_;
  size_t num_compared_ = 0;
};

// The prompt of the first of these names that the model has, else its default: as encode_query and encode_document of sentence-transformers
// choose.
const std::string& PromptNamed(const TextModel& model, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (model.prompts().texts.contains(name)) return model.prompts().Find(name);
  return model.prompts().Default();
}

class TextSearch : public Task {
 public:
  explicit TextSearch(const TaskOptions& options) : options_(options), ranked_(options.top_k.value_or(0), options.format) {
    CheckPrompt(options);
  }

  void Begin(std::string&) override {}

  void Add(TextModel& model, std::span<const TextInput> texts, std::string&) override {
    if (query_.empty()) {
      const bool is_said = options_.prompt || options_.prompt_name;
      query_ = VectorsOf(model, std::vector<TextInput>{{options_.query, std::nullopt, "the query"}},
                         is_said ? PromptOf(model, options_) : PromptNamed(model, {"query"}), num_truncated_);
    }
    std::vector<TextInput> wanted;
    std::vector<size_t> indices;
    for (const TextInput& text : texts) {
      if (!IsBlank(text.text)) {
        wanted.push_back(text);
        indices.push_back(num_seen_);
      }
      ++num_seen_;
    }
    if (wanted.empty()) return;
    const std::vector<float> vectors = VectorsOf(model, wanted, PromptNamed(model, {"document", "passage", "corpus"}), num_truncated_);
    for (size_t i = 0; i < wanted.size(); ++i)
      ranked_.Add(indices[i], Cosine(query_, std::span(vectors).subspan(i * query_.size(), query_.size())), wanted[i].text);
  }

  void End(std::string& out) override { ranked_.Write(out); }

 private:
  const TaskOptions options_;
  RankedTexts ranked_;
  std::vector<float> query_;
  size_t num_seen_ = 0;
};

}  // namespace

std::unique_ptr<Task> MakeSentenceSimilarity(const TaskOptions& options) {
  if (!options.query.empty()) return std::make_unique<TextSearch>(options);
  return std::make_unique<SentenceSimilarity>(options);
}

}  // namespace mlac
