#include "http/router.h"

#include <algorithm>
#include <cassert>

namespace mlac {
namespace {

// Whether the pattern fits, with what its braces stand for.
bool Fits(const std::vector<std::string>& pattern, std::span<const std::string> segments, std::vector<std::string>& parameters) {
  parameters.clear();
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (i >= segments.size()) return false;
    if (!pattern[i].starts_with('{')) {
      if (pattern[i] != segments[i]) return false;
      continue;
    }
    std::string parameter = segments[i];
    const bool takes_rest = pattern[i].ends_with("*}");
    if (takes_rest)
      for (size_t j = i + 1; j < segments.size(); ++j) parameter += '/' + segments[j];
    if (parameter.empty()) return false;
    parameters.push_back(std::move(parameter));
    if (takes_rest) return true;
  }
  return pattern.size() == segments.size();
}

}  // namespace

void HttpRouter::Add(HttpRoute route) {
  assert(route.pattern.starts_with('/') && route.handler);
  std::vector<std::string>& parts = patterns_.emplace_back();
  for (size_t begin = 1;;) {
    const size_t end = route.pattern.find('/', begin);
    parts.push_back(route.pattern.substr(begin, end - begin));
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  routes_.push_back(std::move(route));
}

HttpRouter::Match HttpRouter::Find(std::string_view method, std::span<const std::string> segments) const {
  Match match;
  for (size_t i = 0; i < routes_.size(); ++i) {
    std::vector<std::string> parameters;
    if (!Fits(patterns_[i], segments, parameters)) continue;
    const HttpRoute& route = routes_[i];
    if (!match.of_path) match.of_path = &route;
    if (!match.route && (route.method == method || (route.method == "GET" && method == "HEAD"))) {
      match.route = &route;
      match.parameters = std::move(parameters);
    }
    if (match.allow.find(route.method) != std::string::npos) continue;
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  if (!match.allow.empty()) match.allow += ", OPTIONS";
  return match;
}

std::string_view HttpRouter::Nearest(std::span<const std::string> segments) const {
  while (!segments.empty() && segments.back().empty()) segments = segments.first(segments.size() - 1);
  std::string_view nearest;
  size_t most_shared = 0;
  for (size_t i = 0; i < routes_.size(); ++i) {
    const std::vector<std::string>& pattern = patterns_[i];
    const size_t num_shared = std::min(pattern.size(), segments.size());
    const bool is_plain =
        std::none_of(pattern.begin(), pattern.end(), [](const std::string& part) { return part.empty() || part.front() == '{'; });
    if (!is_plain || num_shared <= most_shared) continue;
    if (!std::equal(pattern.end() - static_cast<ptrdiff_t>(num_shared), pattern.end(), segments.end() - static_cast<ptrdiff_t>(num_shared)))
      continue;
    nearest = routes_[i].pattern;
    most_shared = num_shared;
  }
  return nearest;
}

}  // namespace mlac
