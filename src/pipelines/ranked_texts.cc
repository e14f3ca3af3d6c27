#include "pipelines/ranked_texts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/display.h"
#include "base/json.h"

namespace mlac {

void RankedTexts::Add(size_t index, float score, const std::string& text) {
  Ranked ranked = {index, score, ""};
  const bool full = limit_ > 0 && ranked_.size() == limit_;
  if (full && ranked_.front() < ranked) return;
  if (!json_) ranked.text = text;
  ranked_.push_back(std::move(ranked));
  if (limit_ == 0) return;
  std::push_heap(ranked_.begin(), ranked_.end());
  if (!full) return;
  std::pop_heap(ranked_.begin(), ranked_.end());
  ranked_.pop_back();
}

void RankedTexts::Write(std::string& out) {
  std::sort(ranked_.begin(), ranked_.end());
  if (json_) out += '[';
  for (size_t i = 0; i < ranked_.size(); ++i) {
    const Ranked& ranked = ranked_[i];
    if (json_) {
      out += fmt::format("{}{{\"index\": {}, \"score\": ", i > 0 ? ", " : "", ranked.index);
      AppendFloat(out, ranked.score);
      out += '}';
    } else {
      out += fmt::format("{}\t{:.4f}\t{}\n", ranked.index, ranked.score, Printable(ranked.text));
    }
  }
  if (json_) out += "]\n";
}

}  // namespace mlac
