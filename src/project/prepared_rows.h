#pragma once
// Rows of training data as the steps that change data see them, whatever their task is: one function a form of data reads them.
#include <string>
#include <vector>

namespace mlac {

// Where the data of a model is, after all that is done with it: paths, "" for what there is not.
struct ModelData {
  std::string train, validation, test;
  std::string text_column = "text", target_column = "label";
  std::string text_pair_column = {}, label_separator = ",";  // text-classification: "" for texts alone; of several labels in a cell
};

struct PreparedRow {
  std::string text;                       // whose length filters look at
  std::string key = {};                   // what makes two rows the same; "": the text
  std::string group = {};                 // rows of one group stay on one side of a split; "": the text
  std::string label = {};                 // of whose rows a split takes its share; "" where there are no labels
  std::vector<std::string> labels = {};   // of a text with several
  std::vector<std::string> columns = {};  // the cells of the columns that filters name
  std::string line = {};                  // the row as it is written, with the end of its line

  const std::string& Key() const { return key.empty() ? text : key; }
  const std::string& Group() const { return group.empty() ? text : group; }
};

struct PreparedRows {
  std::string head = {};  // of the file: the line that names the columns, or nothing
  std::vector<PreparedRow> rows = {};
};

// Each throws what reading such data for training throws. columns: its columns and its separator. What is written is read again as the same
// rows.

// Texts or pairs with one label each, any table or a folder; written as CSV (RFC 4180) of texts, labels, second texts and filter columns.
// Rows with the same text, of pairs with the same two, stay together; likewise the next two.
PreparedRows ReadRowsOfLabels(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);
// Texts or pairs with several labels each, any table. Written as JSON Lines, likewise below.
PreparedRows ReadRowsOfLabelSets(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);
// Texts or pairs with a number each, any table.
PreparedRows ReadRowsOfNumbers(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);
// Texts alone; blank ones are left out.
PreparedRows ReadRowsOfTexts(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);
// Rows of two or three texts, or of two and a score; those of one first text stay together.
PreparedRows ReadRowsOfTuples(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);
// Sentences with tags or spans. There are no filter columns; likewise below.
PreparedRows ReadRowsOfEntities(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);
// Questions with contexts; the text is the context, and its questions stay together.
PreparedRows ReadRowsOfQuestions(const std::string& path, const ModelData& columns, const std::vector<std::string>& filter_columns);

// Whole or not at all.
void WriteRows(const std::string& path, const PreparedRows& rows);

}  // namespace mlac
