#pragma once
// Models and test rows of the tasks of mlac.yaml, for ModelTask: one file a form of answer. What each answers (Prediction::label) is said
// here.
#include <memory>
#include <string>
#include <vector>

#include "project/model_task.h"

namespace mlac {

// text-classification: the label. label_model.cc
std::vector<Finding> CheckLabels(const ModelData& data, std::vector<std::string>& notes);
std::unique_ptr<TaskModel> OpenLabelModel(const std::string& folder, const ModelData& data, size_t num_threads);
TaskEvaluation EvaluateLabels(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                              const std::atomic<bool>& stop);
std::vector<TestRow> RowsOfLabels(const ModelData& data, size_t at_most);

// With several labels: "sport; weather", in any order, "" for none. Figures of labels that the data has and the model does not know are
// those of a model that gives them to no text. label_set_model.cc
std::unique_ptr<TaskModel> OpenLabelSetModel(const std::string& folder, const ModelData& data, size_t num_threads);
TaskEvaluation EvaluateLabelSets(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                                 const std::atomic<bool>& stop);
std::vector<TestRow> RowsOfLabelSets(const ModelData& data, size_t at_most);
bool SameLabels(const std::string& a, const std::string& b);

// Of a regression the number, with five digits. number_model.cc
std::unique_ptr<TaskModel> OpenNumberModel(const std::string& folder, const ModelData& data, size_t num_threads);
TaskEvaluation EvaluateNumbers(const std::string& folder, const std::string& data, const ModelData& columns, size_t num_threads,
                               const std::atomic<bool>& stop);
std::vector<TestRow> RowsOfNumbers(const ModelData& data, size_t at_most);

// token-classification: "PER: Ann Lee; LOC: Paris", in the order of the text, "" for nothing; the meaning is "PER; LOC". entity_model.cc
std::unique_ptr<TaskModel> OpenEntityFinder(const std::string& folder, const ModelData& data, size_t num_threads);
std::vector<TestRow> RowsOfEntities(const ModelData& data, size_t at_most);

// question-answering: the part of the context, "" for nothing, which is an answer where some question of the test data has none; the
// meaning is its words as SQuAD's script compares them. answer_model.cc
std::unique_ptr<TaskModel> OpenAnswerFinder(const std::string& folder, const ModelData& data, size_t num_threads);
std::vector<TestRow> RowsOfQuestions(const ModelData& data, size_t at_most);
bool SameAnswer(const std::string& a, const std::string& b);

// fill-mask: the word, or the words with "; " between them. A row is the beginning of a text of the test data with a word taken out; texts
// have kMaskWord where the word is missing. mask_model.cc
std::unique_ptr<TaskModel> OpenMaskFiller(const std::string& folder, const ModelData& data, size_t num_threads);
std::vector<TestRow> RowsOfMasks(const ModelData& data, size_t at_most);
bool SameWord(const std::string& a, const std::string& b);
Figures MeasureTexts(const std::string& folder, const ModelData& data, std::span<const size_t> rows, size_t num_threads);

// sentence-similarity: of the second texts of the test data the one whose vector is nearest, and its cosine as the probability; of an input
// the first text counts. similarity_model.cc
std::unique_ptr<TaskModel> OpenSimilarity(const std::string& folder, const ModelData& data, size_t num_threads);
std::vector<TestRow> RowsOfTuples(const ModelData& data, size_t at_most);

// text-ranking: kAnswers or kAnswersNot of a query and a document. ranking_model.cc
inline constexpr char kAnswers[] = "answers", kAnswersNot[] = "does not answer";
std::unique_ptr<TaskModel> OpenRanker(const std::string& folder, const ModelData& data, size_t num_threads);
std::vector<TestRow> RowsOfRankedPairs(const ModelData& data, size_t at_most);

}  // namespace mlac
