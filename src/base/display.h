#pragma once
// Text from strangers (labels, column names) on a terminal: what it would do there is shown instead, and how wide it is.
#include <cstddef>
#include <string>
#include <string_view>

namespace mlac {

// The columns that a terminal gives text: 2 for wide characters, 0 for combining marks and controls. text must be valid UTF-8.
size_t DisplayWidth(std::string_view text);

// One line that is safe to print: line breaks, other controls and bidirectional overrides become visible escapes (\n, \x1b,
// \u202e), bytes that are no UTF-8 too (\xff). Wider than max_width it is cut and ends in an ellipsis. For reading only: a text
// that holds such an escape itself looks the same.
std::string Printable(std::string_view text, size_t max_width = static_cast<size_t>(-1));

// A name from a stranger's file for a message: 'printable', of at most 100 columns, bounded in bytes too (combining marks have no width).
std::string Quoted(std::string_view text);

// text and as many spaces as fill it up to width columns. text must be valid UTF-8.
std::string PadRight(std::string_view text, size_t width);

}  // namespace mlac
