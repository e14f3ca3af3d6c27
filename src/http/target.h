#pragma once
// The target of a request and its host: the forms of RFC 9112 section 3.2 and the grammar of RFC 3986, nothing beyond them.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

struct HttpTarget {
  std::string authority;              // "host:port" of the absolute form, else ""
  std::string path;                   // percent-decoded once
  std::vector<std::string> segments;  // of the path, parted at '/' first and decoded once then: "/a%2Fb/" gives "a/b" and ""
  std::string query;                  // as sent
  bool asterisk = false;              // "OPTIONS *": about the server itself
};

// Of a hexadecimal digit; -1 for any other character.
int HexValue(char c);

// "/path?query", "http://host/path" or, for OPTIONS, "*". Nothing for what is no valid target: a fragment, user information, a byte
// that a URI may not hold, a broken percent sign, decoded bytes that are control characters or no UTF-8. CONNECT's form is not
// taken, as no route tunnels.
std::optional<HttpTarget> ParseTarget(std::string_view method, std::string_view target);

// "name", "1.2.3.4" or "[::1]", with a port if wished, as a Host field holds it.
bool IsValidAuthority(std::string_view authority);

// The host of a valid authority, without the port; an IPv6 address keeps its brackets.
std::string_view HostOf(std::string_view authority);

// "localhost", 127.0.0.0/8 or [::1], whatever the port.
bool IsLoopback(std::string_view authority);

}  // namespace mlac
