#pragma once
// Changes of a text that leave its meaning: what invariance tests do.
#include <cstdint>
#include <string>
#include <vector>

namespace mlac {

struct InvarianceTest;

// What the test's change makes of a text, but for kMaskWord in it: one text or several; none where it does not apply (no word long enough,
// none of the list). number: of the text among those of the test, so that each has letters of its own changing places. The same on every
// machine.
std::vector<std::string> ChangedTexts(const InvarianceTest& test, const std::string& text, uint64_t number);

}  // namespace mlac
