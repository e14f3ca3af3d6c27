#pragma once
// Texts, with or without labels, from a file or a folder: what is trained on, evaluated and run.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/table.h"

namespace mlac {

constexpr size_t kShownLabel = 40;  // columns of a label in a message

// Rows of one source. Parallel: texts, labels and lines have one entry a row.
struct LabelledTexts {
  std::string source;  // the file's or folder's own name, without its path: "train.csv"
  std::vector<std::string> texts;
  std::vector<int32_t> labels;           // an index into label_names
  std::vector<std::string> label_names;  // by number if all are integers, else by their bytes; or as they were given
  std::vector<size_t> lines;             // where each row starts, from 1; 1 for the files of a folder
  std::vector<std::string> files;        // of a folder: each text's "label/name.txt"; else empty
  std::vector<std::string> pairs = {};   // the second text of each row, where a column of them is read; else empty
  std::vector<std::string> targets = {};  // what stands in the label column, where it is no label (LabelledTextsOptions::targets); else empty
  std::vector<std::string> notes;        // what was recognised and what was passed over, one sentence each

  size_t size() const { return texts.size(); }
  // "train.csv line 5", "reviews/pos/12.txt": where a person finds the row.
  std::string Place(size_t row) const;
  // The row's text, and its second one behind it: what makes two rows the same.
  std::string Key(size_t row) const;
};

struct LabelledTextsOptions {
  std::string text_column = "text", label_column = "label";
  std::string pair_column = {};  // "": rows of one text
  // The label column holds numbers, or several labels: each row's goes to `targets` as it stands, of a JSON list the items with kListSeparator between
  // them; all rows have the one label "".
  bool targets = false;
  std::vector<std::string> label_names = {};  // if not empty, the labels there are: another is an error, and label_names keeps this order
  bool skip_unlabelled = false;               // rows whose label is empty are left out, and a note counts them; else they are an error
  size_t max_row_bytes = size_t{16} << 20;
};

inline constexpr char kListSeparator[] = "\x1f";

// Reads CSV, TSV or JSONL by the file's name, or a folder that holds one folder of .txt files a label (DIR/label/*.txt, labels and
// files in the order of their bytes, each file one text as it stands). A label of a table loses the blanks at its ends, unless it is among
// label_names with them; a note counts these. Throws what OpenTable throws, and kInvalidInput for rows without a label and labels that are
// not among those given.
LabelledTexts ReadLabelledTexts(const std::string& path, const LabelledTextsOptions& options);
LabelledTexts ReadLabelledTexts(TableReader& reader, const LabelledTextsOptions& options);  // reader's columns: text, label

// Without spaces, tabs, line ends and no-break spaces (U+00A0, which spreadsheets write) at both ends.
std::string_view TrimmedLabel(std::string_view label);

// "train.csv: 3 labels in 'topic' had blanks at an end and are read without", or nothing for 0.
std::string TrimmedLabelsNote(std::string_view source, std::string_view column, size_t count);

// Without spaces and tabs at both ends.
std::string_view WithoutSpaces(std::string_view text);

// The number of a cell, without the spaces around it; nothing for what is no finite number.
std::optional<float> ParseNumberCell(std::string_view cell);

// The hint for "3,5" where a number is expected; "" for what is no number with a decimal comma.
std::string DecimalCommaHint(std::string_view cell);

// Nothing but white space of ASCII, or nothing at all.
bool IsBlank(std::string_view text);

// The given rows, in the given order, of the same source with the same label names.
LabelledTexts Subset(const LabelledTexts& data, std::span<const size_t> rows);

// Sorts label names: by value if all are integers, else by their bytes. Equal names must not occur.
void SortLabelNames(std::vector<std::string>& names);

struct Texts {
  std::vector<std::string> texts;
  std::vector<size_t> lines;
  std::vector<std::string> notes;
};

// Reads texts alone: each line of a .txt file or of standard input ("-"), empty ones too, so that text n is line n; or one column of
// CSV, TSV or JSONL.
Texts ReadTexts(const std::string& path, const std::string& text_column = "text");
Texts ReadTexts(TableReader& reader);  // one column

}  // namespace mlac
