// The C API from C++, each object freed by its destructor: nearest FOLDER QUERY TEXT...
// Prints the text that is nearest in meaning to the query.
#include <mlac.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Closer {
  void operator()(mlac_model* model) const { mlac_close(model); }
};
using Model = std::unique_ptr<mlac_model, Closer>;

// Throws what the library said of a call that failed.
void Check(mlac_status status, mlac_error* error) {
  if (status == MLAC_OK) return;
  const std::string message = std::string(mlac_status_name(status)) + ": " + mlac_error_message(error);
  mlac_error_free(error);
  throw std::runtime_error(message);
}

Model Open(const char* folder) {
  mlac_model* model = nullptr;
  mlac_error* error = nullptr;
  const mlac_status status = mlac_open(folder, nullptr, &model, &error);
  Check(status, error);
  return Model(model);
}

// [texts, size], size: numbers of a vector.
std::vector<float> Embed(const Model& model, const std::vector<const char*>& texts, size_t& size) {
  mlac_error* error = nullptr;
  mlac_status status = mlac_embedding_size(model.get(), &size, &error);
  Check(status, error);
  std::vector<float> vectors(texts.size() * size);
  status = mlac_embed(model.get(), texts.data(), nullptr, texts.size(), vectors.data(), vectors.size(), &error);
  Check(status, error);
  return vectors;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 4) return std::fprintf(stderr, "usage: nearest FOLDER QUERY TEXT...\n"), 2;
  const Model model = Open(argv[1]);
  const std::vector<const char*> texts(argv + 2, argv + argc);
  size_t size = 0, best = 0;
  float best_product = -1;
  const std::vector<float> vectors = Embed(model, texts, size);
  for (size_t i = 1; i < texts.size(); ++i) {
    float product = 0;  // the cosine, where the model gives vectors of length 1
    for (size_t d = 0; d < size; ++d) product += vectors[d] * vectors[i * size + d];
    if (best == 0 || product > best_product) best = i, best_product = product;
  }
  std::printf("%.4f  %s\n", static_cast<double>(best_product), texts[best]);
} catch (const std::exception& error) {
  return std::fprintf(stderr, "nearest: %s\n", error.what()), 1;
}
