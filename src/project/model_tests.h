#pragma once
// The tests of a model, as a file beside mlac.yaml: examples, what must not change an answer, what must change it, figures of parts of the
// test data, latency, memory. Kinds are listed once, in model_tests.cc, and each is run by one function of run_model_tests.cc.
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pipelines/text_model.h"
#include "project/config.h"
#include "project/yaml_keys.h"

namespace mlac {

// What stands beside a text where a model reads two.
struct BesideText {
  std::string question = {};  // of question-answering: what is asked of the text
  std::string query = {};     // of rankings: what the text is to answer, or be near
  std::string pair = {};      // of text-classification of pairs: the second text

  // The text as a model takes it.
  TextInput InputOf(const std::string& text) const;
  std::vector<TextInput> InputsOf(std::span<const std::string> texts) const;
};

struct ExampleTest {
  std::vector<std::string> texts;
  BesideText beside = {};
  std::string expect;                 // the label; several with "; " between them
  std::optional<double> within = {};  // of a regression: how far the number may be from it
  double min_share = 1;               // of texts that must get it
  std::optional<double> min_probability;
};

struct InvarianceTest {
  std::string change;                           // "typos", "case", "names", "synonyms"
  std::vector<std::vector<std::string>> lists;  // of names: one list; of synonyms: one a meaning
  std::vector<std::string> texts;               // none: rows of the test data
  BesideText beside = {};                       // with texts; the question is what is changed
  size_t num_rows = 200;                        // of the test data, the first that the change applies to
  double min_share = 1;                         // of texts whose label must stay
  uint64_t seed = 0;                            // which letters change places
  std::optional<double> within = {};            // of a regression: how far the number may move
};

struct RankingTest {
  std::string query;
  std::vector<std::string> best, others;  // each of best must come before all others
};

struct DirectionalTest {
  std::string text, add, from, to;  // add is put behind the text, or `from` in it is replaced by `to`
  BesideText beside = {};
  std::string label;  // or entity, answer, word; "" where there is one score alone
  bool rises = true;  // its probability, or the score
  double by = 0;      // at least so much
};

struct SliceTest {
  std::string name;
  std::string column;  // with equals: rows of the test data with that value
  std::vector<std::string> equals;
  std::optional<size_t> min_length, max_length;  // characters of the text
  std::string matches;                           // a regular expression (PCRE) that is found in the text
  std::string metric = {};                       // "": the first of the task's that parts of the test data have
  std::optional<double> min, max;
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

// name: of the file, for messages: as mlac.yaml writes it. Throws kNotFound, and kInvalidInput with line, key and the known keys.
ModelTests ReadModelTests(const std::string& path, const std::string& name);
ModelTests ParseModelTests(std::string_view text, const std::string& name);

// For the reference and the schema.
std::vector<SectionInfo> ModelTestSections();

}  // namespace mlac
