// sentence-similarity: an encoder whose vectors are near where texts belong together.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>

#include "base/display.h"
#include "base/error.h"
#include "models/model_folder.h"
#include "models/sentence_prompts.h"
#include "pipelines/text_model.h"
#include "train/embedding_objective.h"
#include "train/fine_tune_task.h"
#include "train/sentence_folder.h"
#include "train/text_tuples.h"

namespace mlac {
namespace {

EmbeddingLoss UsualLoss(TupleKind kind) {
  return kind == TupleKind::kScoredPairs ? EmbeddingLoss::kCoSent : EmbeddingLoss::kMultipleNegativesRanking;
}

// What each loss learns from.
void CheckLoss(EmbeddingLoss loss, const TextTuples& tuples) {
  const bool scored = tuples.kind == TupleKind::kScoredPairs, triples = tuples.kind == TupleKind::kTriples;
  const auto check = [&](bool fine, const char* expected) {
    if (!fine)
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("--loss {}: expected {}, found {} in {}", Name(loss), expected, Name(tuples.kind), tuples.texts.source),
                  fmt::format("the loss of {} is {}", Name(tuples.kind), Name(UsualLoss(tuples.kind))));
  };
  switch (loss) {
    case EmbeddingLoss::kMultipleNegativesRanking:
      return check(!scored, "pairs or triples (columns such as anchor, positive, negative)");
    case EmbeddingLoss::kCoSent:
      return check(scored, "scored pairs (columns such as sentence1, sentence2, score)");
    case EmbeddingLoss::kTriplet:
      return check(triples, "triples (columns such as anchor, positive, negative)");
  }
}

class SentenceSimilarityTask : public FineTuneTask {
 public:
  explicit SentenceSimilarityTask(const FineTuneOptions& options)
      : base_(options.model), options_(options.embedding), loss_name_(options.loss) {
    options_.batch_size = std::max<size_t>(options.training.step_size(), 1);
    std::sort(options_.matryoshka.begin(), options_.matryoshka.end(), std::greater<>());
  }

  std::string name() const override { return "sentence-similarity"; }

  void Read(const FineTuneOptions& options, FineTuneObserver& observer) override {
    TextTuples all = ReadTextTuples(options.data, options.tuple_columns);
    for (const std::string& note : all.texts.notes) observer.OnNote(note);
    options_.loss = loss_name_.empty() ? UsualLoss(all.kind) : EmbeddingLossNamed(loss_name_);
    CheckLoss(options_.loss, all);
    CheckTrainable(all);
    observer.OnNote(fmt::format("{}; loss {}", Describe(all), Name(options_.loss)));
    if (!base_.empty()) {
      CheckSentenceModules(base_);
      prompt_ = ReadSentencePrompts(base_).Default();
    }
    if (!prompt_.empty()) observer.OnNote(fmt::format("each text is read behind the prompt of the base, {}", Quoted(prompt_)));
    for (const SentenceModule& module : ReadSentenceModules(base_))
      if (module.kind == "Dense") observer.OnNote(fmt::format("{} keeps its weights; the encoder before it learns", module.path));
    const auto read = [columns = all.columns, kind = all.kind](const std::string& path) { return ReadTextTuples(path, columns, kind); };
    std::array<TextTuples, 3> divided = DivideByFirstText<TextTuples>(options, std::move(all), read, "rows", observer);
    for (size_t i = 0; i < 3; ++i) parts_[i].tuples = std::move(divided[i]);
  }

  HeadRequest head() const override { return {.head = Head::kNone}; }
  const std::vector<std::string>& label_names() const override { return label_names_; }

  void Tokenize(const Tokenizer& tokenizer, size_t max_length) override {
    CheckLowerCase(TransformerFolder(base_), tokenizer);  // or the folder that is written could not be opened
    for (Part& part : parts_) part.tokens = TokenizeTuples(tokenizer, max_length, part.tuples, prompt_);
  }

  std::vector<Finding> Check(size_t max_length) const override {
    std::vector<DataPart> parts;
    std::vector<Finding> own;
    for (size_t i = 0; i < 3; ++i) {
      if (i > 0 && parts_[i].tuples.size() == 0) continue;
      parts.push_back({kPartNames[i], &parts_[i].tuples.texts, parts_[i].tokens.num_cut});
      for (Finding& finding : CheckTuples(kPartNames[i], parts_[i].tuples)) own.push_back(std::move(finding));
    }
    std::vector<Finding> findings = CheckData(parts, {.max_length = max_length, .classes = false});
    findings.insert(findings.end(), std::make_move_iterator(own.begin()), std::make_move_iterator(own.end()));
    return findings;
  }

  std::array<PartSummary, 3> parts() const override {
    std::array<PartSummary, 3> summaries;
    for (size_t i = 0; i < 3; ++i)
      summaries[i] = {kPartNames[i], parts_[i].tuples.texts.source, parts_[i].tuples.size(), parts_[i].tokens.num_cut,
                      HashOfTexts(parts_[i].tuples.texts)};
    return summaries;
  }

  std::string token_hash() const override { return HashOfTokens(parts_[0].tokens.tokens, parts_[1].tokens.tokens); }

  std::vector<std::pair<std::string, std::string>> parameters() const override {
    std::vector<std::pair<std::string, std::string>> parameters = {{"data kind", std::string(Name(parts_[0].tuples.kind))},
                                                                   {"loss", std::string(Name(options_.loss))}};
    if (options_.loss == EmbeddingLoss::kTriplet) {
      parameters.emplace_back("margin", fmt::format("{}", options_.margin));
      parameters.emplace_back("distance", options_.distance == EmbeddingDistance::kCosine ? "cosine" : "euclidean");
    } else {
      parameters.emplace_back("scale", fmt::format("{}", options_.scale));
    }
    if (!prompt_.empty()) parameters.emplace_back("prompt", prompt_);
    if (!options_.matryoshka.empty()) parameters.emplace_back("matryoshka", fmt::format("{}", fmt::join(options_.matryoshka, ", ")));
    return parameters;
  }

  std::vector<std::pair<std::string, std::string>> reading() const override { return ReadingOf(parts_[0].tuples.columns); }

  std::unique_ptr<Objective> MakeObjective(Model& model) override {
    encoder_.emplace(base_, model);
    for (const size_t size : options_.matryoshka)
      if (size == 0 || size > encoder_->embedding_size())
        throw Error(ErrorCode::kInvalidArgument, fmt::format("--matryoshka {}: expected sizes from 1 to {}, that of the model's vectors",
                                                             size, encoder_->embedding_size()));
    return MakeEmbeddingObjective(model, *encoder_, parts_[0].tokens, parts_[1].tokens, options_);
  }

  void Measure(const Model& model, Run& run, size_t part, const std::function<void()>& check_stop, FineTuneResult& result) const override {
    const SentenceEncoder encoder(base_, model);
    result.figures = MeasureEmbeddings(EmbedTuples(model, encoder, run, parts_[part].tokens, check_stop), encoder.embedding_size(),
                                       parts_[part].tokens, run, {.check_stop = check_stop});
    result.metrics_json = FiguresJson(result.figures);
  }

  void Complete(const std::string& folder, const Model& model, size_t max_length) const override {
    WriteSentenceModules(folder, base_, model.hidden_size(), max_length);
  }

  ModelCard Card(const FineTuneResult& result) const override {
    ModelCard card;
    card.task = name();
    card.title = "Sentence embeddings";
    card.introduction = "Gives a text a vector; texts that belong together have near ones.";
    card.usage_options = " \"another text\"";
    card.python_library = "sentence-transformers";
    card.usage_python =
        "from sentence_transformers import SentenceTransformer\n\n"
        "model = SentenceTransformer(\".\")\n"
        "vectors = model.encode([\"your text here\", \"another text\"])\n"
        "print(model.similarity(vectors, vectors))";
    card.columns = Describe(parts_[0].tuples) + ".";
    card.figures = &result.figures;
    return card;
  }

 private:
  struct Part {
    TextTuples tuples;
    TupleTokens tokens;
  };

  std::string base_;
  EmbeddingObjectiveOptions options_;
  std::string loss_name_;
  std::string prompt_;  // that the result puts before each text where nobody names one, as the base does: it learns what it will be given
  std::optional<SentenceEncoder> encoder_;  // of the objective
  std::vector<std::string> label_names_;    // none
  std::array<Part, 3> parts_;
};

}  // namespace

std::unique_ptr<FineTuneTask> MakeSentenceSimilarityTask(const FineTuneOptions& options) {
  return std::make_unique<SentenceSimilarityTask>(options);
}

}  // namespace mlac
