#include "cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace mlac {
namespace {

int Descriptor(Stream stream) { return stream == Stream::kOut ? STDOUT_FILENO : STDERR_FILENO; }

// The parameter of "select graphic rendition", ECMA-48 section 8.3.117.
int Rendition(Color color) {
  switch (color) {
    case Color::kRed: return 31;
    case Color::kGreen: return 32;
    case Color::kYellow: return 33;
    case Color::kBold: return 1;
    case Color::kFaint: return 2;
  }
  return 0;
}

std::string_view Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

bool IsTerminal(Stream stream) { return isatty(Descriptor(stream)) == 1; }

bool BothOnOneTerminal() { return IsTerminal(Stream::kOut) && IsTerminal(Stream::kError); }

size_t TerminalWidth(Stream stream) {
  winsize size = {};
  return ioctl(Descriptor(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool HasColor(Stream stream) { return IsTerminal(stream) && Variable("NO_COLOR").empty() && Variable("TERM") != "dumb"; }

std::string Colored(Stream stream, Color color, std::string_view text) {
  return HasColor(stream) ? fmt::format("\033[{}m{}\033[0m", Rendition(color), text) : std::string(text);
}

}  // namespace mlac
