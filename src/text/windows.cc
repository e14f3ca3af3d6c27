#include "text/windows.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace mlac {
namespace {

// Tokens [begin, end) of `from` behind those of `to`.
void Append(const Encoding& from, size_t begin, size_t end, Encoding& to) {
  const auto append = [&](const auto& source, auto& target) {
    if (!source.empty()) target.insert(target.end(), source.begin() + static_cast<ptrdiff_t>(begin), source.begin() + static_cast<ptrdiff_t>(end));
  };
  append(from.token_ids, to.token_ids);
  append(from.token_type_ids, to.token_type_ids);
  append(from.special_tokens_mask, to.special_tokens_mask);
  append(from.sequence_ids, to.sequence_ids);
  append(from.offsets, to.offsets);
}

}  // namespace

std::vector<Encoding> CutIntoWindows(const Encoding& encoding, size_t max_length, size_t stride) {
  const size_t count = encoding.token_ids.size();
  if (count <= max_length) return {encoding};
  const int8_t last = *std::max_element(encoding.sequence_ids.begin(), encoding.sequence_ids.end());
  const auto first = std::find(encoding.sequence_ids.begin(), encoding.sequence_ids.end(), last);
  const size_t begin = static_cast<size_t>(first - encoding.sequence_ids.begin());
  const size_t end = begin + static_cast<size_t>(std::count(first, encoding.sequence_ids.end(), last));
  const size_t others = count - (end - begin);
  if (last < 0 || max_length <= others + stride)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a window of {} tokens has {} besides the text that is cut; more than the stride of {} must be left", max_length, others, stride));
  const size_t room = max_length - others;
  std::vector<Encoding> windows;
  for (size_t start = begin;; start += room - stride) {
    const size_t stop = std::min(start + room, end);
    Encoding window;
    Append(encoding, 0, begin, window);
    Append(encoding, start, stop, window);
    Append(encoding, end, count, window);
    window.num_tokens_before_truncation = count;
    windows.push_back(std::move(window));
    if (stop == end) return windows;
  }
}

}  // namespace mlac
