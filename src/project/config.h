#pragma once
// mlac.yaml: the models of a repository, each with its data, its training, its tests and its gates.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "project/gate.h"
#include "project/yaml_keys.h"
#include "train/fine_tune.h"

namespace mlac {

// Rows that stay: those of which all that is given holds.
struct RowFilter {
  std::string column;                            // "" for the text
  std::vector<std::string> equals, not_equals;   // values of the column; empty: any
  std::optional<size_t> min_length, max_length;  // characters (Unicode scalar values)
  bool not_empty = false;                        // more than white space

  bool holds_always() const { return equals.empty() && not_equals.empty() && !min_length && !max_length && !not_empty; }
};

struct DataConfig {
  std::vector<std::string> train;  // several are read one after the other
  std::string validation, test;    // "" for none
  std::string text_column = "text", target_column = "label";
  std::string text_pair_column = {}, label_separator = ",";  // text-classification
  std::vector<RowFilter> filters;                            // of train, before all else
  bool dedupe = false;                                       // of rows of train with one and the same text the first stays
  double test_split = 0;                                     // share of train that becomes the test data
  uint64_t split_seed = 0;
};

struct OptimizeConfig {
  bool int8 = false;
  std::optional<double> max_drop;  // percentage points of metric
  std::string metric = {};         // "": the first of its task that the test data have
};

struct ModelConfig {
  std::string name;
  size_t line = 1;                                             // in mlac.yaml
  std::vector<std::pair<std::string, size_t>> key_lines = {};  // of the keys that name files and columns: "base", "data.train[1]"
  std::string task = "text-classification";
  std::string base;             // a folder, or where none is there NAME@ALIAS or NAME@REVISION of the store; "" with base_model
  std::string base_model = {};  // the model of the same file that it starts from, "" for none
  DataConfig data;
  FineTuneOptions train = {};  // what the section says; not where model and data are
  OptimizeConfig optimize;
  std::string tests;  // a file, "" for none
  std::vector<Gate> gates;

  size_t LineOf(std::string_view key) const;  // where it stands in mlac.yaml; of a key that does not stand there the model's
  const std::string& ShownBase() const { return base_model.empty() ? base : base_model; }
  bool prepares_data() const { return data.train.size() > 1 || !data.filters.empty() || data.dedupe || data.test_split > 0; }
};

// Paths are as they are written; Path() makes them relative to the working directory.
struct ProjectConfig {
  std::string file;    // "mlac.yaml", as the user gave it
  std::string folder;  // that it stands in: "." or "elsewhere"
  std::string store = ".mlac";
  std::vector<ModelConfig> models;

  std::string Path(const std::string& path) const;  // of a path in the file
  // Throws kNotFound with the nearest name.
  const ModelConfig& Find(const std::string& model) const;
};

constexpr char kProjectFile[] = "mlac.yaml";

// Throws kNotFound for no such file, kInvalidInput with line, key and the known keys for what it says wrong. Nothing that it names is
// looked at.
ProjectConfig ReadProject(const std::string& file);
ProjectConfig ParseProject(std::string_view text, const std::string& file);

// The tables of keys, for the reference and the schema: "" first (the file itself), then "models.NAME", "models.NAME.data" and so on.
struct SectionInfo {
  std::string_view title;
  std::string_view description;
  std::vector<KeyInfo> keys;
};
std::vector<SectionInfo> ProjectSections();

}  // namespace mlac
