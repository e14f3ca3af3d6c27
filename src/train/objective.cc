#include "train/objective.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/find_not_finite.h"

namespace mlac {

ValidationReport ReportOf(const Figures& figures, bool is_telling, std::optional<double> score) {
  ValidationReport report = {
      .loss = figures.loss.value_or(0), .figures = {}, .score = score.value_or(figures.figures.front().value), .is_telling = is_telling};
  for (const Figure& figure : figures.figures) report.figures.emplace_back(figure.name, figure.value);
  return report;
}

void RefuseFrozenEncoder() {
  throw Error(ErrorCode::kUnsupported, "this task has no head over one vector a text, so the encoder cannot be frozen", "leave out --freeze");
}

void Objective::CacheFeatures(Run&, const std::function<void()>&) { RefuseFrozenEncoder(); }

TokenBatch GatherSequences(const TokenBatch& tokens, std::span<const size_t> indices) {
  TokenBatch batch;
  for (const size_t i : indices) {
    const auto begin = static_cast<ptrdiff_t>(tokens.offsets[i]), end = static_cast<ptrdiff_t>(tokens.offsets[i + 1]);
    batch.token_ids.insert(batch.token_ids.end(), tokens.token_ids.begin() + begin, tokens.token_ids.begin() + end);
    batch.token_type_ids.insert(batch.token_type_ids.end(), tokens.token_type_ids.begin() + begin, tokens.token_type_ids.begin() + end);
    batch.offsets.push_back(batch.token_ids.size());
  }
  return batch;
}

void ForEachPart(const Offsets& offsets, size_t max_tokens, size_t max_sequences, const std::function<void(size_t, size_t)>& body) {
  const size_t sequences = offsets.size() - 1;
  for (size_t begin = 0; begin < sequences;) {
    size_t end = begin + 1;
    while (end < sequences && end - begin < max_sequences && offsets[end + 1] - offsets[begin] <= max_tokens) ++end;
    body(begin, end);
    begin = end;
  }
}

std::optional<size_t> FindRowNotFinite(std::span<const float> values, size_t row_size) {
  const std::optional<size_t> bad = FindNotFinite(values);
  if (!bad) return std::nullopt;
  return *bad / row_size;
}

void RefuseOverflow(const std::string& found) {
  throw Error(ErrorCode::kInvalidInput, found, "the model overflows on this text: train it with a lower --lr");
}

std::string PlacesOf(const std::string& source, std::span<const size_t> lines, std::span<const std::string> files, std::span<const size_t> rows) {
  constexpr size_t kMostShown = 50;
  std::vector<std::string> places;
  for (const size_t row : rows.first(std::min(rows.size(), kMostShown))) places.push_back(files.empty() ? fmt::format("{}", lines[row]) : files[row]);
  if (rows.size() > kMostShown) places.push_back(fmt::format("{} more", rows.size() - kMostShown));
  std::string text = source + (!files.empty() ? " texts " : rows.size() == 1 ? " line " : " lines ");
  for (size_t i = 0; i < places.size(); ++i) text += (i == 0 ? "" : i + 1 == places.size() ? " and " : ", ") + places[i];
  return text;
}

}  // namespace mlac
