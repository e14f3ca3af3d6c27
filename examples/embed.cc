// Embeds two sentences and prints how near they are: embed FOLDER SENTENCE SENTENCE
#include <cstdio>
#include <exception>
#include <span>

#include <mlac/pipelines/text_model.h>

int main(int argc, char** argv) try {
  if (argc != 4) return std::fprintf(stderr, "usage: embed FOLDER SENTENCE SENTENCE\n"), 2;
  mlac::TextModel model(argv[1]);
  const mlac::TextInput texts[] = {{argv[2], {}}, {argv[3], {}}};
  const std::vector<float> vectors = model.Embed(model.Encode(texts).batch);
  const size_t size = model.embedding_size();
  std::printf("%.4f\n", static_cast<double>(mlac::Cosine(std::span(vectors).first(size), std::span(vectors).last(size))));
} catch (const std::exception& error) {
  return std::fprintf(stderr, "embed: %s\n", error.what()), 1;
}
