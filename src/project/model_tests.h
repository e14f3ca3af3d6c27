#pragma once
// The tests of a model, as a file beside mlac.yaml: examples, what must not change an answer, what must change it, figures of parts of the
// test data, latency, memory. Kinds are listed once, in model_tests.cc, and each is run by one function of run_model_tests.cc.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "project/config.h"
#include "project/yaml_keys.h"

namespace mlac {

struct ExampleTest {
  std::vector<std::string> texts;
  std::string question = {};  // of question-answering: what is asked of the texts
  std::string expect;         // the label
  double min_share = 1;       // of texts that must get it
  std::optional<double> min_probability;
};

struct InvarianceTest {
  std::string change;                           // "typos", "case", "names", "synonyms"
  std::vector<std::vector<std::string>> lists;  // of names: one list; of synonyms: one a meaning
  std::vector<std::string> texts;               // none: rows of the test data
  std::string question = {};                    // of question-answering, with texts: what is changed
  size_t num_rows = 200;                        // of the test data, the first that the change applies to
  double min_share = 1;                         // of texts whose label must stay
  uint64_t seed = 0;                            // which letters change places
};

struct RankingTest {
  std::string query;
  std::vector<std::string> best, others;  // each of best must come before all others
};

struct DirectionalTest {
  std::string text, add, from, to;  // add is put behind the text, or `from` in it is replaced by `to`
  std::string label;
  bool rises = true;  // the probability of the label
  double by = 0;      // at least so much
};

struct SliceTest {
  std::string name;
  std::string column;  // with equals: rows of the test data with that value
  std::vector<std::string> equals;
  std::optional<size_t> min_length, max_length;  // characters of the text
  std::string matches;                           // a regular expression (PCRE) that is found in the text
  std::string metric = {};                       // "": the first of the task's that parts of the test data have
  double min = 0;
  size_t line = 0;  // of the file, for messages
};

struct LatencyTest {
  size_t num_tokens = 0;
  std::optional<double> p50_ms, p99_ms;
};

struct ModelTests {
  std::string file;  // "topics.yaml"
  std::vector<ExampleTest> examples;
  std::vector<RankingTest> rankings;
  std::vector<InvarianceTest> invariances;
  std::vector<DirectionalTest> directional;
  std::vector<SliceTest> slices;
  std::vector<LatencyTest> latencies;
  std::optional<uint64_t> memory_bytes;
  std::string hash;  // of what the file says: comments and blanks are not in it

  bool measures_machine() const { return !latencies.empty() || memory_bytes; }
  std::vector<std::string> Columns() const;  // of the test data that slices look at
};

// Throws kNotFound, and kInvalidInput with line, key and the known keys.
ModelTests ReadModelTests(const std::string& path);
ModelTests ParseModelTests(std::string_view text, const std::string& name);

// For the reference and the schema.
std::vector<SectionInfo> ModelTestSections();

}  // namespace mlac
