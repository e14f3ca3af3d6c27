#include "project/text_changes.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/random.h"
#include "project/model_task.h"
#include "project/model_tests.h"

namespace mlac {
namespace {

// First names of several languages, for tests that bring no list.
const std::vector<std::string>& FirstNames() {
  static const std::vector<std::string> kNames = {"Anna",   "James",  "Maria",   "Ahmed", "Wei",   "Olga",  "David",
                                                  "Fatima", "Carlos", "Yuki",    "Emma",  "Ivan",  "Sarah", "Kofi",
                                                  "John",   "Priya",  "Michael", "Lena",  "Peter", "Aisha"};
  return kNames;
}

bool IsAsciiLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80; }

std::vector<std::string> Typos(const InvarianceTest& test, const std::string& text, uint64_t number) {
  std::vector<std::pair<size_t, size_t>> words;  // of at least four letters: begin and length
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && IsAsciiLetter(text[end])) ++end;
    const bool alone = (i == 0 || !IsWordByte(text[i - 1])) && (end == text.size() || !IsWordByte(text[end]));
    if (end - i >= 4 && alone) words.emplace_back(i, end - i);
    i = std::max(end, i + 1);
  }
  if (words.empty()) return {};
  Random random(test.seed, number);
  const auto [begin, length] = words[random.Below(words.size())];
  const size_t at = begin + 1 + random.Below(length - 2);  // the first letter stays
  std::string changed = text;
  std::swap(changed[at], changed[at + 1]);
  if (changed == text) return {};
  return {changed};
}

std::string WithCase(std::string text, int (*convert)(int)) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x80) c = static_cast<char>(convert(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::string> Cases(const std::string& text) {
  std::vector<std::string> changed;
  for (std::string each : {WithCase(text, std::tolower), WithCase(text, std::toupper)})
    if (each != text) changed.push_back(std::move(each));
  return changed;
}

bool SameLetters(std::string_view a, std::string_view b) {
  return WithCase(std::string(a), std::tolower) == WithCase(std::string(b), std::tolower);
}

// text with each word of a list replaced by the next one of that list.
std::vector<std::string> Replaced(const std::vector<std::vector<std::string>>& lists, const std::string& text, bool exact_case) {
  std::string changed;
  for (size_t i = 0; i < text.size();) {
    const bool begins_word = i == 0 || !IsWordByte(text[i - 1]);
    std::optional<std::pair<size_t, const std::string*>> replacement;
    for (const std::vector<std::string>& list : lists) {
      for (size_t w = 0; begins_word && w < list.size(); ++w) {
        const std::string_view found = std::string_view(text).substr(i, list[w].size());
        if (found.size() != list[w].size() || !(exact_case ? found == list[w] : SameLetters(found, list[w]))) continue;
        if (i + found.size() < text.size() && IsWordByte(text[i + found.size()])) continue;
        replacement = {found.size(), &list[(w + 1) % list.size()]};
      }
    }
    if (!replacement) {
      changed += text[i++];
      continue;
    }
    changed += *replacement->second;
    i += replacement->first;
  }
  if (changed == text) return {};
  return {changed};
}

std::vector<std::string> Change(const InvarianceTest& test, const std::string& text, uint64_t number) {
  if (test.change == "typos") return Typos(test, text, number);
  if (test.change == "case") return Cases(text);
  if (test.change == "names" && test.lists.empty()) return Replaced({FirstNames()}, text, /*exact_case=*/true);
  return Replaced(test.lists, text, test.change == "names");
}

std::string WithEach(std::string_view text, std::string_view what, std::string_view instead) {
  std::string out;
  for (size_t begin = 0;;) {
    const size_t at = text.find(what, begin);
    out += text.substr(begin, at - begin);
    if (at == std::string_view::npos) return out;
    out += instead;
    begin = at + what.size();
  }
}

}  // namespace

std::vector<std::string> ChangedTexts(const InvarianceTest& test, const std::string& text, uint64_t number) {
  constexpr std::string_view kPlaceholder = "\x01";  // no letter and no part of a word
  if (text.find(kMaskWord) == std::string::npos) return Change(test, text, number);
  std::vector<std::string> changed = Change(test, WithEach(text, kMaskWord, kPlaceholder), number);
  for (std::string& each : changed) each = WithEach(each, kPlaceholder, kMaskWord);
  return changed;
}

}  // namespace mlac
