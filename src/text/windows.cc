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

std::vector<Encoding> CutIntoWindows(const Encoding& encoding, size_t max_length, size_t stride, size_t max_windows) {
  const size_t count = encoding.token_ids.size();
  const auto refuse_more_than = [&](size_t num_windows) {
    if (num_windows <= max_windows) return;
    throw Error(
        ErrorCode::kTooLarge,
        fmt::format("windows of {} tokens: a text of {} takes {}, at most {} are possible", max_length, count, num_windows, max_windows),
        "let windows share fewer tokens, or cut the text");
  };
  if (count <= max_length) {
    refuse_more_than(1);
    return {encoding};
  }
  const int8_t last = *std::max_element(encoding.sequence_ids.begin(), encoding.sequence_ids.end());
  const auto first = std::find(encoding.sequence_ids.begin(), encoding.sequence_ids.end(), last);
  const size_t begin = static_cast<size_t>(first - encoding.sequence_ids.begin());
  const size_t end = begin + static_cast<size_t>(std::count(first, encoding.sequence_ids.end(), last));
  const size_t others = count - (end - begin);
  if (last < 0 || max_length <= others || max_length - others <= stride)
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a window of {} tokens has {} besides the text that is cut; more than the stride of {} must be left", max_length, others, stride));
  const size_t room = max_length - others, step = room - stride;
  refuse_more_than(1 + (end - begin - room + step - 1) / step);
  std::vector<Encoding> windows;
  for (size_t start = begin;; start += step) {
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
