#include "project/key_names.h"

#include <algorithm>

#include "project/train_keys.h"

namespace mlac {
namespace {

constexpr std::pair<std::string_view, std::string_view> kOtherKeys[] = {{"data", "data.train"},
                                                                        {"validation", "data.validation"},
                                                                        {"test", "data.test"},
                                                                        {"text-column", "data.text"},
                                                                        {"text-pair-column", "data.text_pair"},
                                                                        {"target-column", "data.target"},
                                                                        {"label-separator", "data.label_separator"},
                                                                        {"skip-unlabelled", "not_empty: true of data.filter"}};

bool IsLatinLetter(char c) { return c >= 'a' && c <= 'z'; }

// "" for an option that has no key.
std::string KeyOf(std::string_view option) {
  for (const auto& [name, key] : kOtherKeys)
    if (option == name) return std::string(key);
  std::string key(option);
  std::replace(key.begin(), key.end(), '-', '_');
  const std::vector<KeyInfo> infos = TrainKeyInfos();
  const bool known = std::any_of(infos.begin(), infos.end(), [&](const KeyInfo& info) { return info.name == key; });
  return known ? "train." + key : "";
}

}  // namespace

std::string WithKeyNames(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const bool stands_alone = i == 0 || (!IsLatinLetter(text[i - 1]) && text[i - 1] != '-');
    if (!stands_alone || !text.substr(i).starts_with("--")) {
      result += text[i++];
      continue;
    }
    size_t end = i + 2;
    while (end < text.size() && (IsLatinLetter(text[end]) || text[end] == '-')) ++end;
    const std::string key = KeyOf(text.substr(i + 2, end - i - 2));
    result += key.empty() ? text.substr(i, end - i) : key;
    i = end;
  }
  return result;
}

Error WithKeyNames(const Error& error) { return Error(error.code(), WithKeyNames(error.message()), WithKeyNames(error.hint())); }

}  // namespace mlac
