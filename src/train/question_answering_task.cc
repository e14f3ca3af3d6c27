// question-answering: the part of a context that answers a question, or that there is none.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "data/split.h"
#include "train/answer_objective.h"
#include "train/fine_tune_task.h"
#include "train/questions.h"

namespace mlac {
namespace {

class QuestionAnsweringTask : public FineTuneTask {
 public:
  explicit QuestionAnsweringTask(const FineTuneOptions& options)
      : max_length_given_(options.max_length.has_value()), doc_stride_(options.doc_stride) {
    windows_.max_answer_length = options.max_answer_length;
    if (options.max_answer_length == 0) throw Error(ErrorCode::kInvalidArgument, "an answer must be allowed at least one token");
  }

  std::string name() const override { return "question-answering"; }

  void Read(const FineTuneOptions& options, FineTuneObserver& observer) override {
    Questions all = ReadQuestions(options.data);
    if (!options.validation.empty()) {
      parts_[1] = ReadQuestions(options.validation);
      parts_[0] = std::move(all);
    } else if (options.validation_split > 0) {
      SplitByContext(options, all, observer);
    } else {
      parts_[0] = std::move(all);
    }
    if (!options.test.empty()) parts_[2] = ReadQuestions(options.test);
  }

  HeadRequest head() const override { return {.head = Head::kQuestionAnswering, .num_labels = 2}; }
  const std::vector<std::string>& label_names() const override { return no_labels_; }

  void Tokenize(const Tokenizer& tokenizer, size_t max_length) override {
    tokenizer_ = &tokenizer;
    windows_ = AnswerWindowsFor(max_length, max_length_given_, doc_stride_, windows_.max_answer_length);
    train_ = CutQuestions(tokenizer, parts_[0], windows_);
    if (train_.size() == 0)
      throw Error(
          ErrorCode::kInvalidInput,
          fmt::format("{}: none of {} questions has an answer that stands in its context", parts_[0].texts.source, parts_[0].size()),
          "answer_start counts code points of the context, from 0");
  }

  std::vector<Finding> Check(size_t) const override {
    std::vector<DataPart> parts;
    for (size_t i = 0; i < 3; ++i)
      if (i == 0 || parts_[i].size() > 0) parts.push_back({kPartNames[i], &parts_[i].texts, 0});
    std::vector<Finding> findings = CheckData(parts, {.classes = false});
    for (size_t i = 0; i < 3; ++i)
      for (Finding& finding : CheckAnswers(parts_[i], kPartNames[i], i == 0)) findings.push_back(std::move(finding));
    const auto note = [&](const char* code, size_t count, const std::string& message) {
      if (count > 0) findings.push_back({.code = code, .severity = Severity::kNote, .count = count, .message = message});
    };
    note("long_context", train_.num_long,
         fmt::format("train: {} of {} questions are read through several windows of {} tokens", train_.num_long, parts_[0].size(),
                     windows_.window));
    note("uncovered_answer", train_.num_uncovered,
         fmt::format("train: the answers of {} questions are in no window as a whole; their windows count as without answer",
                     train_.num_uncovered));
    return findings;
  }

  std::array<PartSummary, 3> parts() const override {
    std::array<PartSummary, 3> summaries;
    for (size_t i = 0; i < 3; ++i)
      summaries[i] = {kPartNames[i], parts_[i].texts.source, parts_[i].size(), 0, HashOfTexts(parts_[i].texts)};
    return summaries;
  }

  std::string token_hash() const override { return HashOfTokens(train_.tokens, {}); }

  std::vector<std::pair<std::string, std::string>> parameters() const override {
    return {{"window", fmt::format("{} tokens", windows_.window)},
            {"doc stride", fmt::format("{}", windows_.doc_stride)},
            {"max answer length", fmt::format("{}", windows_.max_answer_length)}};
  }

  std::vector<std::pair<std::string, std::string>> reading() const override {
    return {{"max-length", fmt::format("{}", windows_.window)},
            {"doc-stride", fmt::format("{}", windows_.doc_stride)},
            {"max-answer-length", fmt::format("{}", windows_.max_answer_length)}};
  }

  std::unique_ptr<Objective> MakeObjective(Model& model) override {
    return MakeAnswerObjective(model, *tokenizer_, train_, parts_[0], parts_[1], windows_);
  }

  void Measure(const Model& model, Run& run, size_t part, const std::function<void()>& check_stop, FineTuneResult& result) const override {
    result.figures =
        MeasureAnswers(AnswerLogitsOf(model, run, check_stop), *tokenizer_, parts_[part], windows_, {.check_stop = check_stop});
    result.metrics_json = FiguresJson(result.figures);
  }

  ModelCard Card(const FineTuneResult& result) const override {
    ModelCard card;
    card.task = name();
    card.title = "Answers to questions";
    card.introduction = "Finds the part of a text that answers a question";
    if (parts_[0].HasUnanswerable()) card.introduction += ", or that there is none";
    card.introduction +=
        fmt::format(". Longer texts are read through windows of {} tokens that share {}.", windows_.window, windows_.doc_stride);
    card.arguments = "--question \"your question\" \"the text that answers it\"";
    card.usage_options = fmt::format(" --max-seq-len {} --doc-stride {} --max-answer-len {}{}", windows_.window, windows_.doc_stride,
                                     windows_.max_answer_length, parts_[0].HasUnanswerable() ? " --handle-impossible-answer" : "");
    card.usage_python = PythonUsage();
    card.reads_whole_texts = true;
    card.figures = &result.figures;
    return card;
  }

 private:
  // Without the pipeline for questions, which transformers 5 has no longer.
  std::string PythonUsage() const {
    std::string text = fmt::format(
        "import torch\nfrom transformers import AutoModelForQuestionAnswering, AutoTokenizer\n\n"
        "tokenizer = AutoTokenizer.from_pretrained(\".\")\nmodel = AutoModelForQuestionAnswering.from_pretrained(\".\")\n"
        "inputs = tokenizer(\"your question\", \"the text that answers it\", return_tensors=\"pt\", truncation=\"only_second\", "
        "max_length={})\n"
        "with torch.no_grad():\n    outputs = model(**inputs)\n"
        "scores = outputs.start_logits[0][:, None] + outputs.end_logits[0][None, :]  # of each start and end\n"
        "in_text = torch.tensor([sequence == 1 for sequence in inputs.sequence_ids(0)])\n"
        "possible = (in_text[:, None] & in_text).triu().tril({})  # answers of at most {} tokens\n",
        windows_.window, windows_.max_answer_length - 1, windows_.max_answer_length);
    if (parts_[0].HasUnanswerable()) text += "possible[0, 0] = True  # no answer: \"\"\n";
    return text +
           "start, end = divmod(scores.masked_fill(~possible, float(\"-inf\")).argmax().item(), len(in_text))\n"
           "print(tokenizer.decode(inputs[\"input_ids\"][0, start : end + 1], skip_special_tokens=True))";
  }

  // Questions of one context stay together: else the model would be measured on texts that it has learnt.
  void SplitByContext(const FineTuneOptions& options, const Questions& all, FineTuneObserver& observer) {
    LabelledTexts contexts = all.texts;
    contexts.texts = std::move(contexts.pairs);
    contexts.pairs.clear();
    const SplitRows rows = SplitStratified(contexts, options.validation_split, options.training.seed);
    parts_[0] = Subset(all, rows.train);
    parts_[1] = Subset(all, rows.validation);
    observer.OnNote(rows.validation.empty()
                        ? fmt::format("{}: too few contexts to set questions aside; nothing is validated", all.texts.source)
                        : fmt::format("{}: {} questions to train, {} to validate, of other contexts (seed {})", all.texts.source,
                                      rows.train.size(), rows.validation.size(), options.training.seed));
  }

  bool max_length_given_;
  std::optional<size_t> doc_stride_;
  AnswerWindowOptions windows_;
  const Tokenizer* tokenizer_ = nullptr;
  const std::vector<std::string> no_labels_;
  std::array<Questions, 3> parts_;
  AnswerWindows train_;
};

}  // namespace

std::unique_ptr<FineTuneTask> MakeQuestionAnsweringTask(const FineTuneOptions& options) {
  return std::make_unique<QuestionAnsweringTask>(options);
}

}  // namespace mlac
