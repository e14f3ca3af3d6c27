#pragma once
// A YAML file as a tree. What a hostile or broken file may cost is bounded before and while it is parsed: bytes, nesting, nodes.
#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace mlac {

struct YamlNode;

struct YamlEntry {
  std::string key;
  size_t line = 1;  // from 1
  const YamlNode* value = nullptr;
};

// Nodes belong to their document. An alias is one more pointer to the node of its anchor.
struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  size_t line = 1, column = 1;         // from 1
  std::string text;                    // of a scalar
  bool quoted = false;                 // a scalar that is text whatever it looks like
  std::vector<YamlEntry> entries;      // of a map, in the order of the file; those of a merge key (<<) behind its own
  std::vector<const YamlNode*> items;  // of a sequence
  size_t num_nodes = 1;                // with all below it, those of an alias counted again at each use
};

struct YamlLimits {
  size_t max_bytes = size_t{8} << 20;
  size_t max_depth = 32;
  size_t max_nodes = 300'000;  // with aliases expanded: what bombs are made of
  size_t max_lines = 300'000;  // ten times what a thousand models take; seen before anything is kept in memory
  size_t max_line_bytes = size_t{256} << 10;
  size_t max_flow_bytes = size_t{64} << 10;  // of one [...] or {...}, which yaml-cpp keeps in memory until it ends
};

// One document. Messages carry `name` and the line: "mlac.yaml line 7: ...".
class YamlDocument {
 public:
  // Throws kTooLarge above a limit, kInvalidInput for what is no YAML, invalid UTF-8, a key that stands twice, a tag, an alias inside what
  // it names, a second document.
  YamlDocument(std::string_view text, std::string name, const YamlLimits& limits = {});

  const YamlNode& root() const { return *root_; }  // kNull for an empty file
  const std::string& name() const { return name_; }

 private:
  std::string name_;
  std::deque<YamlNode> nodes_;
  const YamlNode* root_ = nullptr;
};

}  // namespace mlac
