// Any bytes up to the first NUL as adapter_config.json, and those behind it as adapter_model.safetensors, over a small classifier: a model
// that is the same when it was written and opened again, or an Error of one line. A byte 1, which JSON has no use for, ends the first part and
// begins the adapter's own config.json. Without a NUL the weights are those of a pickle, without a first part there is no configuration.
// Reader: src/models/adapter_config.cc src/models/adapter.cc
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "models/adapter.h"
#include "models/registry.h"
#include "tests/fuzz/memory_folder.h"

namespace {

using namespace mlac;

void Check(bool holds) {
  if (!holds) abort();
}

bool SameBytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && (a.num_bytes() == 0 || std::memcmp(a.data(), b.data(), a.num_bytes()) == 0);
}

// The base, and a folder for adapters over it.
struct Fixture {
  const std::string base_folder = MLAC_TEST_FIXTURES "/models/classifier";
  const std::shared_ptr<Model> base = OpenBase(base_folder);
  const MemoryFolder given{"adapter"}, written{"adapter-written"};
};

void CheckWritten(const Fixture& fixture, Model& model, const AdapterConfig& config) {
  WriteAdapter(fixture.written.path(), model, config);
  Check(IsAdapterFolder(fixture.written.path()));
  const std::unique_ptr<Model> again = OpenAdapted(fixture.base, fixture.base_folder, fixture.written.path());
  const auto &one = model.parameters().parameters(), &other = again->parameters().parameters();
  Check(one.size() == other.size() && model.head() == again->head());
  for (size_t i = 0; i < one.size(); ++i) Check(one[i].name == other[i].name && SameBytes(one[i].value, other[i].value));
}

// A new adapter with the head of a model over the base, as training makes it. It adds nothing yet, so that the base may take it.
void CheckNew(const Fixture& fixture, const Model& like, const AdapterConfig& given) {
  AdapterConfig config;
  const std::unique_ptr<Model> model = MakeAdapted(fixture.base, fixture.base_folder, {.head = like.head(), .num_labels = like.num_labels()},
                                                   {.rank = std::min<size_t>(given.rank, 8), .alpha = given.alpha, .dropout = given.dropout,
                                                    .targets = given.targets},
                                                   config);
  CheckWritten(fixture, *model, config);
  MergeAdapter(*model);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Fixture fixture;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = input.find('\0');
  const std::string_view texts = input.substr(0, nul), config = texts.substr(0, texts.find('\1'));
  const auto write = [](const char* name, bool is_there, std::string_view content) {
    is_there ? fixture.given.Write(name, content) : fixture.given.Remove(name);
  };
  write(kAdapterConfigFile, !config.empty(), config);
  write("config.json", config.size() < texts.size(), texts.substr(std::min(config.size() + 1, texts.size())));
  write(kAdapterWeightsFile, nul != std::string_view::npos, nul == std::string_view::npos ? "" : input.substr(nul + 1));
  write("adapter_model.bin", nul == std::string_view::npos, "");
  const std::string folder = fixture.given.path();
  try {
    Check(TokenizerFolder(fixture.base_folder, folder) == fixture.base_folder && IsAdapterFolder(folder) == !config.empty());
    const AdapterConfig read = ReadAdapterConfig(folder);
    const std::unique_ptr<Model> model = OpenAdapted(fixture.base, fixture.base_folder, folder);
    Check(!model->parameters().loras().empty());
    Check(OpenOverBase(fixture.base, fixture.base_folder)->parameters().has_base());
    CheckNew(fixture, *model, {.rank = 2, .targets = {kAllLinear}});
    CheckNew(fixture, *model, read);
    // What is written has neither patterns nor the labels of config.json.
    if (config.size() == texts.size() && read.rank_pattern.empty() && read.alpha_pattern.empty()) CheckWritten(fixture, *model, read);
  } catch (const Error& error) {
    Check(error.code() != ErrorCode::kInternal && error.message().find('\n') == std::string::npos);
  }
  return 0;
}
