// Any bytes as mlac.yaml, as the tests of a model and as a gate: a value or an Error of one line, and a gate that reads its own spelling
// back.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
// Reader: src/project/yaml_document.cc src/project/yaml_keys.cc src/project/config.cc src/project/model_tests.cc src/project/gate.cc

#include "base/error.h"
#include "project/config.h"
#include "project/model_tests.h"

namespace {

template <typename Read>
void ReadOrError(Read read) {
  try {
    read();
  } catch (const mlac::Error& error) {
    if (error.code() == mlac::ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ReadOrError([&] { mlac::ParseProject(text, "mlac.yaml"); });
  ReadOrError([&] { mlac::ParseModelTests(text, "tests.yaml"); });
  ReadOrError([&] {
    const std::string spelling = mlac::ParseGate(text).Text();
    if (mlac::ParseGate(spelling).Text() != spelling) abort();
  });
  return 0;
}
