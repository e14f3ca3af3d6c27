#pragma once
// JSON whose last key is a checksum of all that stands before it, so that a flipped bit anywhere is found.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace mlac {

enum class SealForm { kPretty, kLine };

// The object with the key "checksum" added, as text that ends in a line end: over several lines, or in one.
std::string Sealed(const nlohmann::ordered_json& object, SealForm form);

// The object of such a text, without its checksum. Throws kInvalidInput: "WHERE: is damaged: ..." for anything that Sealed did not write.
nlohmann::ordered_json Unsealed(std::string_view text, SealForm form, std::string_view where);

}  // namespace mlac
