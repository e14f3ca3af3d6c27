// Any bytes as mlac.yaml, as the tests of a model and as a gate: a value, which is the same from a file, or an Error of one line, and a gate that
// reads its own spelling back and decides in one line.
// Reader: src/project/yaml_document.cc src/project/yaml_keys.cc src/project/config.cc src/project/model_tests.cc src/project/gate.cc
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "project/config.h"
#include "project/model_tests.h"
#include "tests/fuzz/memory_folder.h"

namespace {

using namespace mlac;

void Check(bool holds) {
  if (!holds) abort();
}

template <typename Read>
void ReadOrError(Read read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
  }
}

// What the reference page and the editors' schema are printed from.
bool SectionsAreWhole() {
  for (const std::vector<SectionInfo>& sections : {ProjectSections(), ModelTestSections()})
    for (const SectionInfo& section : sections)
      for (const KeyInfo& key : section.keys) Check(!key.name.empty() && !key.description.empty() && !NameOf(key.shape).empty());
  return true;
}

void CheckProject(const MemoryFolder& folder, std::string_view text) {
  ParseProject(text, "mlac.yaml");
  folder.Write("mlac.yaml", text);
  const ProjectConfig project = ReadProject(folder / "mlac.yaml");
  for (const ModelConfig& model : project.models) {
    Check(&project.Find(model.name) == &model && model.LineOf("data") > 0 && model.LineOf("no such key") == model.line);
    Check(model.base.empty() || project.Path(model.base).ends_with(model.base));
  }
  ReadOrError([&] { project.Find(""); });
}

void CheckTests(const MemoryFolder& folder, std::string_view text) {
  const std::string hash = ParseModelTests(text, "tests.yaml").hash;
  folder.Write("tests.yaml", text);
  const ModelTests tests = ReadModelTests(folder / "tests.yaml", "tests.yaml");
  Check(tests.hash == hash && tests.Columns().size() <= tests.slices.size());
  for (const ExampleTest& example : tests.examples) Check(example.beside.InputsOf(example.texts).size() == example.texts.size());
}

void CheckGate(std::string_view text, bool confident) {
  const Gate gate = ParseGate(text, confident);
  if (!confident) Check(ParseGate(gate.Text()).Text() == gate.Text());
  for (const double value : {0.0, 0.5, 1e6}) {
    GateMeasurement measured = {.value = value};
    if (gate.against_production) Check(Decide(gate, measured).passed);  // there is none yet
    measured.production = 0.5;
    measured.value_interval = measured.difference_interval = Interval{.low = -0.1, .high = 0.1};
    measured.processor = "fuzz";
    Check(Decide(gate, measured).line.find('\n') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const MemoryFolder folder("mlac-yaml");
  static const bool sections_are_whole = SectionsAreWhole();
  Check(sections_are_whole);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // With limits that a short text can reach.
  constexpr YamlLimits kSmall = {.max_bytes = 1024, .max_depth = 4, .max_nodes = 32, .max_lines = 16, .max_line_bytes = 128, .max_flow_bytes = 64};
  ReadOrError([&] { YamlDocument(text, "mlac.yaml", kSmall); });
  ReadOrError([&] { CheckProject(folder, text); });
  ReadOrError([&] { CheckTests(folder, text); });
  for (const bool confident : {false, true}) ReadOrError([&] { CheckGate(text, confident); });
  return 0;
}
