#pragma once
// What this program was made of.
#include <string>
#include <utility>
#include <vector>

namespace mlac {

struct BuildInfo {
  std::string version;                                          // "0.1.0"
  std::string build_type;                                       // "Release"
  std::string compiler;                                         // "GCC 12.2.0"
  std::string sanitizers;                                       // "address, thread" or ""
  std::vector<std::pair<std::string, std::string>> libraries;  // name and version; a shared one's is that in use
};

BuildInfo GetBuildInfo();

}  // namespace mlac
