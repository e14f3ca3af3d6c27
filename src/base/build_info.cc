#include "base/build_info.h"

#include <fmt/format.h>
#include <hwy/highway.h>
#include <openssl/crypto.h>
#include <simdjson.h>

#include <boost/version.hpp>
#include <nlohmann/json_fwd.hpp>  // names its version too

#include "version.h"

namespace mlac {
namespace {

std::string Compiler() {
#if defined(__clang__)
  return "Clang " __clang_version__;
#elif defined(__GNUC__)
  return "GCC " __VERSION__;
#else
  return "unknown";
#endif
}

std::string Sanitizers() {
#if defined(__SANITIZE_ADDRESS__)
  return "address";
#elif defined(__SANITIZE_THREAD__)
  return "thread";
#else
  return "";
#endif
}

}  // namespace

BuildInfo GetBuildInfo() {
  return {.version = kMlacVersion,
          .build_type = kMlacBuildType,
          .compiler = Compiler(),
          .sanitizers = Sanitizers(),
          .libraries = {{"Boost", fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100)},
                        {"CLI11", kCli11Version},
                        {"fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100)},
                        {"Highway", fmt::format("{}.{}.{}", HWY_MAJOR, HWY_MINOR, HWY_PATCH)},
                        {"nlohmann_json",
                         fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
                        {"OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING)},
                        {"PCRE2", kPcre2Version},
                        {"prometheus-cpp", kPrometheusVersion},
                        {"simdjson", fmt::format("{}.{}.{}", static_cast<int>(simdjson::SIMDJSON_VERSION_MAJOR),
                                                 static_cast<int>(simdjson::SIMDJSON_VERSION_MINOR),
                                                 static_cast<int>(simdjson::SIMDJSON_VERSION_REVISION))},
                        {"yaml-cpp", kYamlCppVersion}}};
}

}  // namespace mlac
