#pragma once
// Which trace a request belongs to, as its client says: the field traceparent of https://www.w3.org/TR/trace-context/, section 3.2.
#include <optional>
#include <string>
#include <string_view>

namespace mlac {

struct TraceContext {
  std::string trace_id;   // 32 hexadecimal digits in small letters, not all 0
  std::string parent_id;  // 16 likewise: the client's span
  bool sampled = false;   // whether the client records the trace
};

// Nothing for a field that is not well formed: it is ignored then, as the standard wants it.
std::optional<TraceContext> ParseTraceparent(std::string_view field);

}  // namespace mlac
