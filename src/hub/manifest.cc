#include "hub/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/display.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/utf8.h"

namespace mlac {
namespace {

constexpr size_t kHashLength = 64, kLongestPath = 4096;

bool IsLowerHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Why a manifest cannot hold this path; "" if it can.
std::string_view FaultOfPath(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kLongestPath) return "is longer than 4096 bytes";
  if (path.front() == '/') return "is absolute; expected one inside the folder";
  if (FindInvalidUtf8(path) != std::string_view::npos) return "is no UTF-8";
  for (const char c : path)
    if (c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return "holds a backslash or a control character";
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return "has a part that is empty, '.' or '..'";
    begin = end + 1;
  }
  return "";
}

const ManifestEntry* FindIn(const std::vector<ManifestEntry>& entries, std::string_view path) {
  const auto found =
      std::lower_bound(entries.begin(), entries.end(), path, [](const ManifestEntry& entry, std::string_view wanted) { return entry.path < wanted; });
  return found != entries.end() && found->path == path ? &*found : nullptr;
}

// Reads "SHA256 SIZE PATH"; false if the line is none.
bool ParseLine(std::string_view line, ManifestEntry& entry) {
  const size_t first = line.find(' '), second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return false;
  entry.sha256 = line.substr(0, first);
  entry.path = line.substr(second + 1);
  const std::string_view size = line.substr(first + 1, second - first - 1);
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), entry.size);
  return error == std::errc() && end == size.data() + size.size() && (size == "0" || size.front() != '0') && entry.sha256.size() == kHashLength &&
         IsLowerHex(entry.sha256);
}

}  // namespace

bool IsRevision(std::string_view text) { return text.size() == kRevisionLength && IsLowerHex(text); }

Manifest::Manifest(std::vector<ManifestEntry> entries, std::string_view where) : entries_(std::move(entries)) {
  const auto refuse = [&](const std::string& path, std::string_view why) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the file name {} {}", where, Quoted(path), why));
  };
  if (entries_.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: holds no file", where));
  for (const ManifestEntry& entry : entries_)
    if (const std::string_view fault = FaultOfPath(entry.path); !fault.empty()) refuse(entry.path, fault);
  std::sort(entries_.begin(), entries_.end(), [](const ManifestEntry& a, const ManifestEntry& b) { return a.path < b.path; });
  for (size_t i = 0; i < entries_.size(); ++i) {
    const std::string& path = entries_[i].path;
    if (i > 0 && path == entries_[i - 1].path) refuse(path, "occurs twice");
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (FindIn(entries_, std::string_view(path).substr(0, slash)) != nullptr) refuse(path, "lies in another file");
  }
}

Manifest Manifest::Parse(std::string_view text, std::string_view where) {
  std::vector<ManifestEntry> entries;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    ManifestEntry entry;
    if (end == std::string_view::npos || !ParseLine(text.substr(begin, end - begin), entry))
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: expected 'SHA256 SIZE PATH'", where, entries.size() + 1));
    if (!entries.empty() && entry.path <= entries.back().path)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: line {}: expected paths in the order of their bytes", where, entries.size() + 1));
    entries.push_back(std::move(entry));
    begin = end + 1;
  }
  return Manifest(std::move(entries), where);
}

const ManifestEntry* Manifest::Find(std::string_view path) const { return FindIn(entries_, path); }

uint64_t Manifest::num_bytes() const {
  uint64_t sum = 0;
  for (const ManifestEntry& entry : entries_) sum += entry.size;
  return sum;
}

std::string Manifest::Text() const {
  std::string text;
  for (const ManifestEntry& entry : entries_) text += fmt::format("{} {} {}\n", entry.sha256, entry.size, entry.path);
  return text;
}

std::string Manifest::Revision() const {
  Sha256 hash;
  hash.Add(Text());
  return hash.Finish().substr(0, kRevisionLength);
}

}  // namespace mlac
