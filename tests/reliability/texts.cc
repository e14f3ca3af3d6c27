// reliability_texts FOLDER: the time that the tokenizer of FOLDER takes for hostile texts of 5 and of 10 MB. A time that grows with the
// square of the length doubles the ratio. Prints a table; the exit status is 1 if a ratio is outside of its bound.
#include <fmt/format.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/machine.h"
#include "text/tokenizer.h"

namespace {

using namespace mlac;

constexpr size_t kNumBytes = 5'000'000;
constexpr double kMaxRatio = 2.2;
// The shortest of some rounds counts; on a busy machine more are needed until neither time is disturbed.
constexpr int kMinRounds = 3, kMaxRounds = 15;
constexpr double kMinPlainRatio = 1.95, kMaxPlainRatio = 2.05;

struct HostileText {
  std::string_view name;
  std::string text;  // repeated as often as it fits
};

void AppendUtf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else {
    if (c < 0x10000) {
      put(0xE0 | c >> 12);
    } else {
      put(0xF0 | c >> 18);
      put(0x80 | (c >> 12 & 0x3F));
    }
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

// Every scalar value once, some 4.4 MB.
std::string AllScalarValues() {
  std::string text;
  for (char32_t c = 0; c < 0x110000; ++c)
    if (c < 0xD800 || c > 0xDFFF) AppendUtf8(text, c);
  return text;
}

// Scalar values of the planes that have letters and marks, without order.
std::string RandomScalarValues() {
  std::mt19937 generator(0);
  std::string text;
  while (text.size() < 1'000'000) {
    const char32_t c = generator() % 0x30000;
    if (c < 0xD800 || c > 0xDFFF) AppendUtf8(text, c);
  }
  return text;
}

std::vector<HostileText> HostileTexts() {
  return {{"one word without a space", "a"},
          {"one word of pieces that are known", "ing"},
          {"punctuation", "."},
          {"words of one letter", "a "},
          {"spaces alone", " "},
          {"newlines and tabs", "\n\t"},
          {"NUL", std::string(1, '\0')},
          {"combining marks on one starter", "\u0301"},
          {"combining marks that are reordered", "\u302e\u0344\u0316"},
          {"marks of rising and falling classes", "a\u0315\u0300\u05ae\u0316"},
          {"Hangul syllables", "\uac01"},
          {"Chinese characters", "\u6771"},
          {"characters that grow when they are decomposed", "\ufdfa"},
          {"capitals that change their length", "\u0130"},
          {"special tokens", "[MASK]"},
          {"special tokens that never end", "[MASK"},
          {"brackets", "["},
          {"prefixes of pieces", "##"},
          {"every scalar value", AllScalarValues()},
          {"scalar values without order", RandomScalarValues()}};
}

// Cut at a border of characters.
std::string RepeatTo(size_t num_bytes, const std::string& piece) {
  std::string text;
  while (text.size() < num_bytes) text += piece;
  while (text.size() > num_bytes || (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0xC0)) text.pop_back();
  // A character that the cut left without its end goes as a whole.
  size_t start = text.size();
  while (start > 0 && (static_cast<unsigned char>(text[start - 1]) & 0xC0) == 0x80) --start;
  if (start > 0 && start < text.size()) {
    const unsigned char first = static_cast<unsigned char>(text[start - 1]);
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (text.size() - start + 1 != length) text.resize(start - 1);
  }
  return text;
}

// Seconds of the processor, so that other programs of the machine do not count.
double CpuSeconds() {
  timespec time = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double TimeOf(const Tokenizer& tokenizer, const std::string& text, bool with_offsets) {
  const double start = CpuSeconds();
  const Encoding encoding = tokenizer.Encode(text, {.with_offsets = with_offsets});
  return CpuSeconds() - start;
}

bool MeasureAll(const Tokenizer& tokenizer) {
  fmt::print("{}\n", DescribeMachine().processor);
  bool all_within = true;
  double worst = 0;
  for (const HostileText& hostile : HostileTexts()) {
    const std::string half = RepeatTo(kNumBytes, hostile.text), whole = RepeatTo(2 * kNumBytes, hostile.text);
    for (const bool with_offsets : {false, true}) {
      double time_of_half = 1e9, time_of_whole = 1e9;
      const auto is_plain = [&] {
        return time_of_whole >= kMinPlainRatio * time_of_half && time_of_whole <= kMaxPlainRatio * time_of_half;
      };
      for (int round = 0; round < kMaxRounds && (round < kMinRounds || !is_plain()); ++round) {
        time_of_half = std::min(time_of_half, TimeOf(tokenizer, half, with_offsets));
        time_of_whole = std::min(time_of_whole, TimeOf(tokenizer, whole, with_offsets));
      }
      const double ratio = time_of_whole / time_of_half;
      worst = std::max(worst, ratio);
      const bool is_within = ratio <= kMaxRatio;
      all_within = all_within && is_within;
      fmt::print("{:<46} {:<13} {:8.1f} ms {:8.1f} ms   {:.2f}   at most {}{}\n", hostile.name, with_offsets ? "with offsets" : "ids alone",
                 time_of_half * 1e3, time_of_whole * 1e3, ratio, kMaxRatio, is_within ? "" : "  <- outside of its bound");
      std::fflush(stdout);
    }
  }
  fmt::print("worst ratio {:.2f}\n", worst);
  return all_within;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: {} FOLDER\n", argv[0]);
    return 2;
  }
  // Every large buffer comes fresh from the system, as for a first text. By default glibc keeps those up to 32 MiB, so that the shorter
  // text would be measured without page faults and the longer one with them.
  mallopt(M_MMAP_THRESHOLD, 128 << 10);
  try {
    return MeasureAll(Tokenizer::Load(argv[1])) ? 0 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
