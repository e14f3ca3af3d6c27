#pragma once
// What a model answered to a few texts when it was published: kept in the store, so that whoever loads the revision later can see that it
// still does. Of the examples of the model's own tests; of the first test texts where it has none.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pipelines/task.h"

namespace mlac {

struct RecordedAnswer {
  TextInput input;
  std::string answer;  // JSON, as `mlac run TASK --json` writes it for this one text
};

struct RecordedAnswers {
  std::string task;  // of pipelines/: "text-classification"
  std::vector<RecordedAnswer> answers;
};

constexpr char kAnswersFile[] = "answers.jsonl";
constexpr size_t kMostAnswers = 64;

// How far a number may be from the recorded one. f32 and int8 give the same bits everywhere, with the same version of mlac; products in
// bf16 do not.
constexpr double kTolerance32 = 1e-3, kTolerance16 = 0.05;

// The task with the options that answers are recorded with. Throws kInvalidArgument for a name that is none.
std::unique_ptr<Task> MakeRecordedTask(const std::string& task);

// The answers of a folder's model to the first kMostAnswers of the inputs; those that would be cut are left out. Throws as TextModel and
// Task.
RecordedAnswers RecordAnswers(const std::string& folder, const std::string& task, std::span<const TextInput> inputs, size_t num_threads);

// JSON Lines: {"task", "text", "pair", "answer"}, a pair where there is one. Whole or not at all.
void WriteRecordedAnswers(const std::string& path, const RecordedAnswers& answers);
// Throws kInvalidInput, with the line, for anything else, for JSON that is nested deeper than 64 levels and for more than kMostAnswers.
RecordedAnswers ReadRecordedAnswers(const std::string& path);

// Where two answers differ, for people: "label: expected 'sports', found 'world'"; "" if they do not: texts are the same and numbers not
// further apart than the tolerance. What is not JSON differs.
std::string DifferenceOfAnswers(const std::string& expected, const std::string& found, double tolerance);

}  // namespace mlac
