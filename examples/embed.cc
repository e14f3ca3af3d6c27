// How near are two sentences?   embed MODEL_FOLDER "a cat" "a feline"
#include <mlac/base/error.h>
#include <mlac/pipelines/text_model.h>

#include <cstdio>
#include <span>
#include <vector>

int main(int argc, char** argv) try {
  if (argc != 4) return std::fprintf(stderr, "usage: embed MODEL_FOLDER FIRST SECOND\n"), 2;
  mlac::TextModel model(argv[1]);
  const std::vector<mlac::TextInput> texts = {{argv[2], {}}, {argv[3], {}}};
  const std::vector<float> vectors = model.Embed(model.Encode(texts).batch);
  const std::span<const float> all(vectors);
  const size_t size = model.embedding_size();
  std::printf("%.4f\n", mlac::Cosine(all.first(size), all.last(size)));
} catch (const mlac::Error& error) {
  return std::fprintf(stderr, "%s\n", error.what()), 1;
}
