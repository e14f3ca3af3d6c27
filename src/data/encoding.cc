#include "data/encoding.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace mlac {
namespace {

bool In(unsigned byte, unsigned low, unsigned high) { return byte >= low && byte <= high; }

struct Signature {
  std::string_view bytes, name, hint;
};
// The first bytes of files that people hand over as data by mistake.
constexpr Signature kSignatures[] = {
    {{"PK\x03\x04", 4}, "an Excel workbook or a zip archive", "in Excel: Save As, 'CSV UTF-8'; an archive: unzip it first"},
    {{"\xD0\xCF\x11\xE0", 4}, "an old Excel workbook", "in Excel: Save As, 'CSV UTF-8'"},
    {{"\x1F\x8B", 2}, "a gzip archive", "unpack it first: gunzip"},
    {{"\x28\xB5\x2F\xFD", 4}, "a zstd archive", "unpack it first: zstd -d"},
    {{"\xFD\x37\x7A\x58\x5A", 5}, "an xz archive", "unpack it first: unxz"},
    {{"BZh", 3}, "a bzip2 archive", "unpack it first: bunzip2"},
    {{"PAR1", 4}, "a Parquet file", "write it as CSV or JSONL"},
    {{"SQLite format 3", 15}, "an SQLite database", "write the table as CSV or JSONL"},
    {{"%PDF", 4}, "a PDF document", "write its text as CSV or JSONL"},
};

FileGuess Encoding(std::string_view name) {
  return {.name = std::string(name), .hint = fmt::format("to convert it: iconv -f {} -t UTF-8 FILE > NEW", name)};
}

// How well the block fits an encoding of one and two bytes.
struct Fit {
  size_t pairs = 0, typical = 0, broken = 0;
  bool Is(double typical_share) const { return broken == 0 && pairs > 0 && typical >= typical_share * pairs; }
};

// lead, trail: can the byte start a pair, end one? single: a byte above 0x7F that stands alone. typical: is it one of the pairs that
// make up most of such a text?
template <typename Lead, typename Trail, typename Single, typename Typical>
Fit Measure(std::string_view block, Lead lead, Trail trail, Single single, Typical typical) {
  Fit fit;
  for (size_t i = 0; i < block.size(); ++i) {
    const unsigned first = static_cast<unsigned char>(block[i]);
    if (first < 0x80 || single(first)) continue;
    if (i + 1 == block.size()) break;
    const unsigned second = static_cast<unsigned char>(block[i + 1]);
    if (!lead(first) || !trail(second)) {
      ++fit.broken;
      continue;
    }
    ++fit.pairs;
    fit.typical += typical(first, second);
    ++i;
  }
  return fit;
}

std::string_view TwoByteEncoding(std::string_view block) {
  const auto none = [](unsigned) { return false; };
  const auto high = [](unsigned byte) { return In(byte, 0xA1, 0xFE); };
  // Japanese text always holds kana.
  const Fit shift_jis = Measure(
      block, [](unsigned b) { return In(b, 0x81, 0x9F) || In(b, 0xE0, 0xFC); }, [](unsigned b) { return In(b, 0x40, 0xFC) && b != 0x7F; },
      [](unsigned b) { return In(b, 0xA1, 0xDF); },
      [](unsigned a, unsigned b) { return (a == 0x82 && b >= 0x9F) || (a == 0x83 && b <= 0x96); });
  if (shift_jis.Is(0.1)) return "SHIFT_JIS";
  const Fit euc_jp = Measure(
      block, [](unsigned b) { return In(b, 0xA1, 0xFE) || b == 0x8E; }, high, none, [](unsigned a, unsigned) { return In(a, 0xA4, 0xA5); });
  if (euc_jp.Is(0.1)) return "EUC-JP";
  // Hangul syllables fill the rows B0 to C8.
  const Fit euc_kr = Measure(block, high, high, none, [](unsigned a, unsigned) { return In(a, 0xB0, 0xC8); });
  if (euc_kr.Is(0.9)) return "EUC-KR";
  // Frequent characters: in Big5 the rows A4 to C6, many with a second byte below 0x7F; in GB 2312 the rows B0 to D7.
  const auto big5_trail = [](unsigned b) { return In(b, 0x40, 0x7E) || In(b, 0xA1, 0xFE); };
  const Fit big5 = Measure(
      block, [](unsigned b) { return In(b, 0xA1, 0xF9); }, big5_trail, none, [](unsigned a, unsigned) { return In(a, 0xA1, 0xC6); });
  const Fit big5_low = Measure(block, high, big5_trail, none, [](unsigned, unsigned b) { return b < 0x7F; });
  if (big5.Is(0.7) && big5_low.Is(0.15)) return "BIG5";
  const Fit gb = Measure(
      block, [](unsigned b) { return In(b, 0x81, 0xFE); }, [](unsigned b) { return In(b, 0x40, 0xFE) && b != 0x7F; }, none,
      [](unsigned a, unsigned b) { return (In(a, 0xB0, 0xD7) || In(a, 0xA1, 0xA3)) && b >= 0xA1; });
  if (gb.Is(0.7)) return "GB18030";
  return "";
}

// Letters of Windows-1250 where Windows-1252 has signs, letters that its languages hardly use, or nothing.
bool IsCentral(unsigned byte) {
  return std::string_view("\x9A\x9D\x9E\x9F\xB3\xB9\xBA\xBE\xBF").find(static_cast<char>(byte)) != std::string_view::npos;
}

bool IsLetter(unsigned byte) { return byte < 0x80 ? std::isalpha(static_cast<int>(byte)) != 0 : byte >= 0xC0 || IsCentral(byte); }

std::string_view OneByteEncoding(std::string_view block) {
  size_t letters = 0, high = 0, small_cyrillic = 0, large_cyrillic = 0, greek_accents = 0, never_greek = 0, central = 0, no_western = 0;
  for (size_t i = 0; i < block.size(); ++i) {
    const unsigned byte = static_cast<unsigned char>(block[i]);
    if (byte < 0x80) {
      letters += std::isalpha(static_cast<int>(byte)) != 0;
      continue;
    }
    ++high;
    small_cyrillic += byte >= 0xE0;
    large_cyrillic += In(byte, 0xC0, 0xDF);
    greek_accents += In(byte, 0xDC, 0xDF);
    never_greek += byte == 0xFF || byte == 0xD2;
    const bool is_central = IsCentral(byte);
    const bool behind_letter = i > 0 && IsLetter(static_cast<unsigned char>(block[i - 1]));
    central += is_central && behind_letter;
    no_western += In(byte, 0x80, 0x90) && byte != 0x85 && behind_letter && !is_central;  // 0x85 is the ellipsis
  }
  if (high > letters) {
    if (never_greek == 0 && greek_accents * 20 > high) return "WINDOWS-1253";
    if (small_cyrillic + large_cyrillic < high * 9 / 10) return "";
    return small_cyrillic > large_cyrillic ? "WINDOWS-1251" : "KOI8-R";
  }
  if (central * 10 > high) return "WINDOWS-1250";
  // Windows-1252 has signs and capitals where the code pages of DOS and the old Macintosh have their small letters.
  return no_western * 10 > high ? "" : "WINDOWS-1252";
}

}  // namespace

FileGuess GuessFile(std::string_view block, uint64_t offset) {
  if (offset == 0) {
    for (const Signature& signature : kSignatures) {
      if (block.starts_with(signature.bytes)) return {.name = std::string(signature.name), .hint = std::string(signature.hint)};
    }
    if (block.starts_with(std::string_view("\xFF\xFE\0\0", 4)) || block.starts_with(std::string_view("\0\0\xFE\xFF", 4)))
      return Encoding("UTF-32");
    if (block.starts_with("\xFF\xFE") || block.starts_with("\xFE\xFF")) return Encoding("UTF-16");
  }
  // Most of a text in a European language is ASCII, and UTF-16 gives each ASCII character a NUL byte on one side.
  size_t nul[2] = {};
  for (size_t i = 0; i < block.size(); ++i) nul[(offset + i) % 2] += block[i] == '\0';
  const auto at_least = [&](size_t count, size_t percent) { return block.size() >= 2 && count * 200 >= block.size() * percent; };
  if (at_least(nul[1], 40) && nul[0] * 20 < nul[1]) return Encoding("UTF-16LE");
  if (at_least(nul[0], 40) && nul[1] * 20 < nul[0]) return Encoding("UTF-16BE");
  if (nul[0] + nul[1] > 0) return {.name = "a binary file", .hint = "expected CSV, TSV, JSONL or plain text"};
  std::string_view name = TwoByteEncoding(block);
  if (name.empty()) name = OneByteEncoding(block);
  if (name.empty()) return {.name = "", .hint = "save it as UTF-8"};
  return Encoding(name);
}

}  // namespace mlac
