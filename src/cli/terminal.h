#pragma once
// What the terminal can show. Colour stands on a terminal only, and never where NO_COLOR is set (https://no-color.org) or TERM is dumb.
#include <cstddef>
#include <string>
#include <string_view>

namespace mlac {

enum class Stream { kOut, kError };
enum class Color { kRed, kGreen, kYellow, kBold, kFaint };

bool IsTerminal(Stream stream);
bool BothOnOneTerminal();  // what is printed on either stream is seen by the same person
size_t TerminalWidth(Stream stream);  // columns; 80 where that is not known
bool HasColor(Stream stream);

// text in that colour if the stream shows colour, else text.
std::string Colored(Stream stream, Color color, std::string_view text);

}  // namespace mlac
