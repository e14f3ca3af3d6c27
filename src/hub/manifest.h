#pragma once
// What a revision consists of: its files, each with size and SHA-256, and the identity that follows from them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

// A revision: the first 40 digits of the SHA-256 of its manifest's text, in lower-case hexadecimal.
constexpr size_t kRevisionLength = 40;
bool IsRevision(std::string_view text);

struct ManifestEntry {
  std::string path;  // relative, parts joined by '/'
  uint64_t size = 0;
  std::string sha256;  // 64 lower-case hexadecimal digits
  bool operator==(const ManifestEntry&) const = default;
};

// Entries are sorted by the bytes of their paths; no path occurs twice or lies in another one.
class Manifest {
 public:
  Manifest() = default;
  // Sorts. Throws kInvalidInput, with `where` before the message, for a path that is empty, absolute, above 4,096 bytes, no UTF-8, has an empty
  // part, '.' or '..', a backslash or a control character, for a path that occurs twice or lies in another one, and for no entry at all.
  explicit Manifest(std::vector<ManifestEntry> entries, std::string_view where = "manifest");

  // Reads Text() back. Throws kInvalidInput with the line for anything that Text() would not have written.
  static Manifest Parse(std::string_view text, std::string_view where);

  const std::vector<ManifestEntry>& entries() const { return entries_; }
  const ManifestEntry* Find(std::string_view path) const;  // nullptr if there is none
  uint64_t num_bytes() const;                              // of all files together
  // A line an entry: "SHA256 SIZE PATH\n".
  std::string Text() const;
  std::string Revision() const;
  bool operator==(const Manifest&) const = default;

 private:
  std::vector<ManifestEntry> entries_;
};

}  // namespace mlac
