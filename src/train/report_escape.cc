#include "train/report_escape.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/display.h"
#include "base/utf8.h"

namespace mlac {

std::string EscapeMarkdown(std::string_view text) {
  // CommonMark 0.31, section 2.4: a backslash before ASCII punctuation makes it a character. Those here mean something inside a line
  // ('$' begins a formula on the Hub); "://" and "www." begin links that GitHub recognises by itself.
  constexpr std::string_view kMeaning = "\\`*_[]<>|~$&";
  const std::string printable = Printable(text);
  std::string out;
  for (size_t i = 0; i < printable.size(); ++i) {
    const char c = printable[i];
    const bool begins_link = (c == ':' && printable.compare(i, 3, "://") == 0) ||
                             (c == '.' && i >= 3 && (printable.compare(i - 3, 3, "www") == 0 || printable.compare(i - 3, 3, "WWW") == 0));
    if (begins_link || kMeaning.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

std::string EscapeXml(std::string_view text) {
  std::string out;
  const std::string printable = Printable(text);
  for (size_t position = 0; position < printable.size();) {
    const size_t start = position;
    const char32_t scalar = DecodeUtf8(printable, position);
    switch (scalar) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case 0xFFFE:
      case 0xFFFF:
        out += "\uFFFD";
        break;  // no characters of XML 1.0, section 2.2
      default:
        out.append(printable, start, position - start);
    }
  }
  return out;
}

std::string QuoteYaml(std::string_view text) {
  // YAML 1.1, section 5.1: what is not printable, and what a parser may take for a line break or a byte order mark, is escaped.
  std::string out = "\"";
  for (size_t position = 0; position < text.size();) {
    const size_t start = position;
    const char32_t scalar = DecodeUtf8(text, position);
    const uint32_t value = scalar;
    if (scalar == '"' || scalar == '\\') {
      out += '\\';
      out += static_cast<char>(scalar);
    } else if (scalar < 0x20 || (scalar >= 0x7F && scalar < 0xA0)) {
      out += fmt::format("\\x{:02X}", value);
    } else if (scalar == 0x2028 || scalar == 0x2029 || scalar == 0xFEFF || scalar == 0xFFFE || scalar == 0xFFFF) {
      out += fmt::format("\\u{:04X}", value);
    } else if (scalar >= 0x10000) {
      out += fmt::format("\\U{:08X}", value);  // some readers know the basic plane alone
    } else {
      out.append(text, start, position - start);
    }
  }
  return out + "\"";
}

std::string ShellQuoted(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string CodeBlock(std::string_view language, std::string_view code) {
  size_t longest = 2, run = 0;
  std::string shown;
  while (!code.empty()) {
    const size_t end = std::min(code.find('\n'), code.size());
    shown += Printable(code.substr(0, end)) + "\n";
    code.remove_prefix(std::min(end + 1, code.size()));
  }
  for (const char c : shown) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return fmt::format("{}{}\n{}{}\n", fence, language, shown, fence);
}

}  // namespace mlac
