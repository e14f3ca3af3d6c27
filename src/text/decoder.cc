#include "text/decoder.h"

#include <utility>

namespace mlac {
namespace {

struct CleanUp {
  std::string_view from, to;
  bool in_transformers;  // else in `tokenizers` alone
};

// Each in turn, over all that is cleaned.
constexpr CleanUp kCleanUps[] = {
    {" .", ".", true},   {" ?", "?", true},     {" !", "!", true},     {" ,", ",", true},
    {" ' ", "'", true},  {" n't", "n't", true}, {" 'm", "'m", true},   {" do not", " don't", false},
    {" 's", "'s", true}, {" 've", "'ve", true}, {" 're", "'re", true},
};

std::string ReplaceAll(std::string_view text, std::string_view from, std::string_view to) {
  if (text.find(from) == std::string_view::npos) return std::string(text);
  std::string out;
  size_t done = 0;
  for (size_t found; (found = text.find(from, done)) != std::string_view::npos; done = found + from.size()) {
    out += text.substr(done, found - done);
    out += to;
  }
  return out += text.substr(done);
}

}  // namespace

std::string CleanUpSpaces(std::string text) {
  for (const CleanUp& step : kCleanUps) {
    if (step.in_transformers) text = ReplaceAll(text, step.from, step.to);
  }
  return text;
}

std::string SpaceDecoder::Decode(std::span<const std::string_view> tokens) const {
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += ' ';
    text += tokens[i];
  }
  return text;
}

std::string WordPieceDecoder::Decode(std::span<const std::string_view> tokens) const {
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    std::string token;
    if (i == 0) {
      token = tokens[i];
    } else if (tokens[i].starts_with(prefix_)) {
      token = tokens[i].substr(prefix_.size());
    } else {
      token = " ";
      token += tokens[i];
    }
    if (clean_up_) {
      for (const CleanUp& step : kCleanUps) token = ReplaceAll(token, step.from, step.to);
    }
    text += token;
  }
  return text;
}

}  // namespace mlac
