#include "http/target.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/utf8.h"
#include "http/message.h"

namespace mlac {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

namespace {

bool IsAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool IsOneOf(char c, std::string_view set) { return c != '\0' && set.find(c) != std::string_view::npos; }

// unreserved and sub-delims of RFC 3986 section 2.
bool IsPlain(char c) { return IsAlphanumeric(c) || IsOneOf(c, "-._~!$&'()*+,;="); }

// Whether text holds plain characters, those of `more`, and whole percent signs only.
bool IsValid(std::string_view text, std::string_view more) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsPlain(text[i]) || IsOneOf(text[i], more)) continue;
    if (text[i] != '%' || i + 2 >= text.size() || HexValue(text[i + 1]) < 0 || HexValue(text[i + 2]) < 0) return false;
    i += 2;
  }
  return true;
}

// Decodes percent signs of valid text, once. Nothing if a control character or no UTF-8 comes out.
std::optional<std::string> Decode(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      c = static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
      i += 2;
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    decoded += c;
  }
  if (FindInvalidUtf8(decoded) != std::string_view::npos) return std::nullopt;
  return decoded;
}

}  // namespace

std::optional<HttpTarget> ParseTarget(std::string_view method, std::string_view target) {
  HttpTarget result;
  if (target == "*") {
    if (method != "OPTIONS") return std::nullopt;
    result.asterisk = true;
    return result;
  }
  if (method == "CONNECT") return std::nullopt;
  if (!target.starts_with('/')) {
    const size_t colon = target.find("://");
    if (colon == std::string_view::npos) return std::nullopt;
    if (const std::string_view scheme = target.substr(0, colon); !EqualsIgnoringCase(scheme, "http") && !EqualsIgnoringCase(scheme, "https"))
      return std::nullopt;
    target.remove_prefix(colon + 3);
    const size_t end = std::min(target.find_first_of("/?"), target.size());
    result.authority = target.substr(0, end);
    if (!IsValidAuthority(result.authority)) return std::nullopt;
    target.remove_prefix(end);
  }
  std::string_view path = target.substr(0, target.find('?'));
  if (path.size() < target.size()) result.query = target.substr(path.size() + 1);
  if (path.empty()) path = "/";  // of the absolute form alone: "http://host?query"
  if (!IsValid(path, ":@/") || !IsValid(result.query, ":@/?")) return std::nullopt;
  for (size_t begin = 1;;) {
    const size_t end = std::min(path.find('/', begin), path.size());
    std::optional<std::string> segment = Decode(path.substr(begin, end - begin));
    if (!segment) return std::nullopt;
    result.path += '/';
    result.path += *segment;
    result.segments.push_back(std::move(*segment));
    if (end == path.size()) return result;
    begin = end + 1;
  }
}

std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

bool IsValidAuthority(std::string_view authority) {
  const std::string_view host = HostOf(authority);
  if (host.empty()) return false;
  if (host.starts_with('[')) {
    in6_addr address;
    if (host.size() < 2 || !host.ends_with(']')) return false;
    if (inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), &address) != 1) return false;
  } else if (!IsValid(host, "")) {
    return false;
  }
  std::string_view port = authority.substr(host.size());
  if (port.empty()) return true;
  if (port[0] != ':') return false;
  port.remove_prefix(1);
  int number = 0;  // "host:" is valid and means the default
  for (const char c : port) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + (c - '0');
    if (number > 65535) return false;
  }
  return true;
}

bool IsLoopback(std::string_view authority) {
  const std::string_view host = HostOf(authority);
  if (EqualsIgnoringCase(host, "localhost") || host == "[::1]") return true;
  in_addr address;
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

}  // namespace mlac
