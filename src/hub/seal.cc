#include "hub/seal.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/sha256.h"

namespace mlac {
namespace {

using nlohmann::ordered_json;

// What stands before and behind the checksum's 64 digits.
struct Frame {
  std::string_view before, after;
};
Frame FrameOf(SealForm form) { return form == SealForm::kPretty ? Frame{",\n  \"checksum\": \"", "\"\n}\n"} : Frame{",\"checksum\":\"", "\"}\n"}; }

std::string HashOf(std::string_view text) {
  Sha256 hash;
  hash.Add(text);
  return hash.Finish();
}

}  // namespace

std::string Sealed(const ordered_json& object, SealForm form) {
  // Text of strangers (a user's name, a reason) may be no UTF-8.
  std::string text = DumpJson(object, form == SealForm::kPretty ? 2 : -1);
  text.erase(text.size() - (form == SealForm::kPretty ? 2 : 1));  // the closing brace, and the line end before it
  const auto [before, after] = FrameOf(form);
  const std::string checksum = HashOf(text);
  return fmt::format("{}{}{}{}", text, before, checksum, after);
}

ordered_json Unsealed(std::string_view text, SealForm form, std::string_view where) {
  const auto [before, after] = FrameOf(form);
  constexpr size_t kDigits = 64;
  const size_t frame = before.size() + kDigits + after.size();
  const bool framed = text.size() > frame && text.ends_with(after) && text.substr(text.size() - frame).starts_with(before);
  if (!framed) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is damaged: it does not end in its checksum", where));
  const std::string_view content = text.substr(0, text.size() - frame);
  if (HashOf(content) != text.substr(content.size() + before.size(), kDigits))
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: is damaged: its checksum is of other content", where));
  ordered_json object = ParseOrderedJson(std::string(content) + "}", where);
  if (!object.is_object()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a JSON object", where));
  return object;
}

}  // namespace mlac
