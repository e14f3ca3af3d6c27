#include "base/json.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "base/display.h"
#include "base/error.h"
#include "base/file.h"

namespace mlac {
namespace {

using nlohmann::json, nlohmann::ordered_json;

// Builds the value through nlohmann's own DOM builder, and counts depth and looks for keys said twice on the way.
template <typename Json>
class LimitedBuilder : public nlohmann::detail::json_sax_dom_parser<Json> {
 public:
  using Base = nlohmann::detail::json_sax_dom_parser<Json>;
  LimitedBuilder(Json& result, std::string_view where, size_t max_depth)
      : Base(result, /*allow_exceptions=*/false), where_(where), max_depth_(max_depth) {}

  bool start_object(std::size_t size) {
    Enter();
    keys_.emplace_back();
    return Base::start_object(size);
  }
  bool end_object() {
    --depth_;
    keys_.pop_back();
    return Base::end_object();
  }
  bool start_array(std::size_t size) {
    Enter();
    return Base::start_array(size);
  }
  bool end_array() {
    --depth_;
    return Base::end_array();
  }
  bool key(std::string& name) {
    if (!keys_.back().insert(name).second) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: key {} stands twice", where_, Quoted(name)));
    return Base::key(name);
  }
  bool parse_error(std::size_t position, const std::string& token, const nlohmann::detail::exception& exception) {
    // nlohmann's text ends in what it expected; its start repeats the position in a form that we give ourselves.
    std::string_view text = exception.what();
    if (const size_t dash = text.find("- "); dash != std::string_view::npos) text = text.substr(dash + 2);
    (void)token;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: no valid JSON at byte {}: {}", where_, position, text));
  }

 private:
  void Enter() {
    if (++depth_ > max_depth_) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: nested deeper than {} levels", where_, max_depth_));
  }

  std::string_view where_;
  size_t max_depth_, depth_ = 0;
  std::vector<std::set<std::string>> keys_;
};

template <typename Json>
Json Parse(std::string_view text, std::string_view where, size_t max_depth) {
  Json result;
  LimitedBuilder<Json> builder(result, where, max_depth);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return result;
}

template <typename Json>
Json ParseOrDiscard(std::string_view text) {
  return Json::parse(text.begin(), text.end(), /*cb=*/nullptr, /*allow_exceptions=*/false);
}

template <typename Json>
std::string Dump(const Json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace

json ParseJson(std::string_view text, std::string_view where, size_t max_depth) { return Parse<json>(text, where, max_depth); }
ordered_json ParseOrderedJson(std::string_view text, std::string_view where, size_t max_depth) {
  return Parse<ordered_json>(text, where, max_depth);
}
json ParseJsonOrDiscard(std::string_view text) { return ParseOrDiscard<json>(text); }
ordered_json ParseOrderedJsonOrDiscard(std::string_view text) { return ParseOrDiscard<ordered_json>(text); }

std::string DumpJson(const json& value, int indent) { return Dump(value, indent); }
std::string DumpJson(const ordered_json& value, int indent) { return Dump(value, indent); }

json ReadJsonFile(const std::string& path, size_t max_bytes) { return ParseJson(ReadFile(path, max_bytes), path); }

void AppendFloat(std::string& out, float value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char buffer[32];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  out.append(buffer, end);
}

void AppendFloats(std::string& out, std::span<const float> values) {
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0) out += ',';
    AppendFloat(out, values[i]);
  }
  out += ']';
}

void AppendJsonString(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out += kHex[(c >> 4) & 15];
          out += kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

}  // namespace mlac
