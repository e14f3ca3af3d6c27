#pragma once
// One task that can be fine-tuned: its data, its objective, its metrics, its part of the card.
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/split.h"
#include "train/fine_tune.h"
#include "train/report_card.h"
#include "train/text_tuples.h"

namespace mlac {

// What the record (training.json) says of one part of the data.
struct PartSummary {
  std::string name, source;
  size_t num_rows = 0, num_cut = 0;
  std::string sha256;
};

// Of the data, by their number.
inline constexpr const char* kPartNames[] = {"train", "validation", "test"};

class FineTuneTask {
 public:
  virtual ~FineTuneTask() = default;

  virtual std::string name() const = 0;
  // Reads options.data, sets a part aside or reads it, checks what can be checked without a tokenizer.
  virtual void Read(const FineTuneOptions& options, FineTuneObserver& observer) = 0;
  // The head to train; its labels.
  virtual HeadRequest head() const = 0;
  virtual const std::vector<std::string>& label_names() const = 0;
  virtual std::string problem_type() const { return ""; }  // of config.json, or ""
  virtual void Tokenize(const Tokenizer& tokenizer, size_t max_length) = 0;
  virtual std::vector<Finding> Check(size_t max_length) const = 0;
  // Train, validation, test; sizes of 0 where there is none.
  virtual std::array<PartSummary, 3> parts() const = 0;
  // A hash of the tokens that are trained on and validated with.
  virtual std::string token_hash() const = 0;
  // Names and values of options that the result depends on and other tasks do not have, for the identity of a run and for its card.
  virtual std::vector<std::pair<std::string, std::string>> parameters() const { return {}; }
  // Whether the encoder can be frozen: the head looks at one vector a text (Objective::CacheFeatures).
  virtual bool can_freeze() const { return false; }
  // Options of `mlac eval` by their long names, and their values, with which it reads examples as this training did. Behind Tokenize.
  virtual std::vector<std::pair<std::string, std::string>> reading() const { return {}; }
  virtual std::unique_ptr<Objective> MakeObjective(Model& model) = 0;
  // Sets metrics, figures and metrics_json of the result, on the part with this number. check_stop: called again and again; what it throws
  // ends it.
  virtual void Measure(const Model& model, Run& run, size_t part, const std::function<void()>& check_stop,
                       FineTuneResult& result) const = 0;
  // Writes what the folder has besides weights, config.json and tokenizer.
  virtual void Complete(const std::string& /*folder*/, const Model&, size_t /*max_length*/) const {}
  // What of the card is the task's own; the rest is filled in.
  virtual ModelCard Card(const FineTuneResult& result) const = 0;
};

// What of a card is the task's own, of figures that were measured elsewhere. options: those of the training, with the folder that it wrote as
// model. result outlives the card.
ModelCard CardOfTask(const std::string& task, const FineTuneOptions& options, FineTuneObserver& observer, const FineTuneResult& result);

std::unique_ptr<FineTuneTask> MakeTextClassificationTask(const FineTuneOptions& options);
std::unique_ptr<FineTuneTask> MakeTokenClassificationTask(const FineTuneOptions& options);
std::unique_ptr<FineTuneTask> MakeQuestionAnsweringTask(const FineTuneOptions& options);
std::unique_ptr<FineTuneTask> MakeFillMaskTask(const FineTuneOptions& options);
std::unique_ptr<FineTuneTask> MakeSentenceSimilarityTask(const FineTuneOptions& options);
std::unique_ptr<FineTuneTask> MakeTextRankingTask(const FineTuneOptions& options);

// Text (and second text) of each row, cut to max_length, behind what tokens holds; returns how many were cut.
size_t TokenizeTexts(const Tokenizer& tokenizer, size_t max_length, const LabelledTexts& texts, TokenBatch& tokens);

// A validation part from the data, stratified by label where rows have labels; notes what was done.
void SplitOffValidation(const FineTuneOptions& options, LabelledTexts all, LabelledTexts& train, LabelledTexts& validation, FineTuneObserver& observer);

// Notes that rows of a file were divided: "train.csv: 90 rows to train, 10 to validate (seed 0)". rows: what they are called.
void NoteDivision(const std::string& source, const std::string& rows, const SplitRows& split, uint64_t seed, FineTuneObserver& observer);

// Train, validation and test of a task whose rows begin with a text that several may share, an anchor or a query: from files of their own, else
// the validation is what SplitByFirstText sets aside, which is noted. rows: what they are called, "pairs"; read: reads a file as `all` was read.
template <typename Data>
std::array<Data, 3> DivideByFirstText(const FineTuneOptions& options, Data all, const std::function<Data(const std::string& path)>& read,
                                      const std::string& rows, FineTuneObserver& observer) {
  std::array<Data, 3> parts;
  if (!options.test.empty()) parts[2] = read(options.test);
  if (!options.validation.empty()) parts[1] = read(options.validation);
  if (!options.validation.empty() || options.validation_split <= 0) {
    parts[0] = std::move(all);
    return parts;
  }
  const SplitRows split = SplitByFirstText(all.texts, options.validation_split, options.training.seed);
  parts[0] = Subset(all, split.train);
  parts[1] = Subset(all, split.validation);
  NoteDivision(all.texts.source, rows, split, options.training.seed, observer);
  return parts;
}

// The hash of rows of texts, second texts, labels and targets.
std::string HashOfTexts(const LabelledTexts& texts);
std::string HashOfTokens(const TokenBatch& train, const TokenBatch& validation);

}  // namespace mlac
