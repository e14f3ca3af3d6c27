#pragma once
// The files of web/, compiled in (cmake/embed.cmake).
#include <string_view>

namespace mlac {

extern const std::string_view kIndexHtml;
extern const std::string_view kOpenApiJson;

}  // namespace mlac
