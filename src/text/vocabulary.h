#pragma once
// The tokens of a model and their ids: one block of bytes and one hash table, whatever their number.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

// A token as messages show it: in quotes, controls escaped, cut after 60 bytes.
std::string ShownToken(std::string_view token);

struct VocabularyEntry {
  std::string_view token;
  int64_t id;
};

class Vocabulary {
 public:
  // where: the file and field, for messages. Throws kInvalidInput if an id is negative or above 2^31 - 1, or if two entries share an
  // id or a token.
  Vocabulary(std::vector<VocabularyEntry> entries, std::string_view where);

  size_t size() const { return ids_.size(); }
  size_t num_bytes() const { return bytes_.size(); }  // of all tokens together
  int32_t largest_id() const { return ids_.empty() ? -1 : ids_.back(); }

  int32_t Find(std::string_view token) const;  // its id, or -1

  // The token with this id; a view whose data() is nullptr if there is none. Valid as long as this object.
  std::string_view TokenOf(int32_t id) const;

  // Entries in the order of their ids, index < size().
  int32_t id(size_t index) const { return ids_[index]; }
  std::string_view token(size_t index) const {
    return std::string_view(bytes_).substr(begins_[index], begins_[index + 1] - begins_[index]);
  }

 private:
  struct Place {
    uint32_t hash;
    uint32_t index_plus_1;  // 0: free
  };

  uint64_t Hash(std::string_view token) const;

  uint64_t seed_;
  std::string bytes_;             // the tokens end to end, in the order of their ids
  std::vector<uint32_t> begins_;  // [size() + 1]
  std::vector<int32_t> ids_;      // rising
  std::vector<Place> places_;
};

}  // namespace mlac
