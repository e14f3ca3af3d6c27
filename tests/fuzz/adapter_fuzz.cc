// Any bytes up to the first NUL as adapter_config.json, and those behind it as adapter_model.safetensors, over a small classifier: a model,
// or an Error of one line.
#include <unistd.h>
// Reader: src/models/adapter_config.cc src/models/adapter.cc

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "models/adapter.h"

namespace {

// The adapter's folder; in memory where the system has such a place, since every input is written there.
struct Folder {
  Folder() {
    const std::filesystem::path memory = "/dev/shm";
    path = (std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path()) /
           ("mlac-fuzz-adapter-" + std::to_string(getpid()));
    std::filesystem::create_directory(path);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  void Write(const char* name, std::string_view content) const {
    std::ofstream(path / name, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  std::filesystem::path path;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Folder folder;
  static const std::string base_folder = MLAC_TEST_FIXTURES "/models/classifier";
  static const std::shared_ptr<mlac::Model> base = mlac::OpenBase(base_folder);
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = input.find('\0');
  folder.Write(mlac::kAdapterConfigFile, input.substr(0, nul));
  folder.Write(mlac::kAdapterWeightsFile, nul == std::string_view::npos ? "" : input.substr(nul + 1));
  try {
    const std::unique_ptr<mlac::Model> model = mlac::OpenAdapted(base, base_folder, folder.path.string());
    if (model->parameters().loras().empty()) abort();
  } catch (const mlac::Error& error) {
    if (error.code() == mlac::ErrorCode::kInternal || error.message().find('\n') != std::string::npos) abort();
  }
  return 0;
}
