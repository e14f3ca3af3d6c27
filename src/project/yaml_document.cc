#include "project/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "base/display.h"
#include "base/error.h"
#include "base/utf8.h"

namespace mlac {
namespace {

std::string At(const std::string& name, size_t line) { return fmt::format("{} line {}", name, line); }

// Looks at the bytes for what yaml-cpp would take memory or stack for before it says a word: the nesting and the length of [...] and {...}.
// Quotes and comments are known; in plain text a bracket counts only where one may open.
class FlowScanner {
 public:
  FlowScanner(std::string_view text, const std::string& name, const YamlLimits& limits) : text_(text), name_(name), limits_(limits) {}

  void Run() {
    bool may_open = true;  // a value, a key or a quoted text may begin here
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        may_open = true;
      } else if (c == '#' && (at_ == 0 || std::string_view(" \t\n").find(text_[at_ - 1]) != std::string_view::npos)) {
        at_ = std::min(text_.find('\n', at_), text_.size()) - 1;
      } else if (may_open && (c == '"' || c == '\'')) {
        SkipQuoted(c);
        may_open = false;
      } else if ((c == '[' || c == '{') && (may_open || !open_.empty())) {
        Open();
        may_open = true;
      } else if ((c == ']' || c == '}') && !open_.empty()) {
        open_.pop_back();
        may_open = false;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        may_open = c == ',' || c == ':' || c == '-' || c == '?';
      }
      if (!open_.empty() && at_ - open_.front() > limits_.max_flow_bytes)
        throw Error(ErrorCode::kTooLarge,
                    fmt::format("{}: what stands in brackets here is longer than {} bytes", At(name_, open_line_), limits_.max_flow_bytes),
                    "write it as lines that begin with a dash or a key");
    }
  }

 private:
  void Open() {
    if (open_.empty()) open_line_ = line_;
    open_.push_back(at_);
    if (open_.size() > limits_.max_depth)
      throw Error(ErrorCode::kTooLarge, fmt::format("{}: nested deeper than {}", At(name_, line_), limits_.max_depth));
  }

  void SkipQuoted(char quote) {
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\n') ++line_;
      if (quote == '"' && text_[at_] == '\\') ++at_;
    }
  }

  std::string_view text_;
  const std::string& name_;
  const YamlLimits& limits_;
  size_t at_ = 0, line_ = 1, open_line_ = 1;
  std::vector<size_t> open_;  // where each bracket that is open stands
};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::deque<YamlNode>& nodes, const std::string& name, const YamlLimits& limits)
      : nodes_(nodes), name_(name), limits_(limits) {}

  const YamlNode* root() const { return root_; }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const YamlNode& node = NewNode(YamlNode::Kind::kNull, mark);
    Name(anchor, node);
    Attach(node);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override {
    RefuseTag(mark, tag);
    YamlNode& node = NewNode(YamlNode::Kind::kScalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    Name(anchor, node);
    Attach(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end() || open_anchors_.contains(found->second))
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: an alias stands inside what it is the name of", At(name_, LineOf(mark))));
    line_ = LineOf(mark);
    Attach(*found->second);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kSequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override {
    Merge();
    Close();
  }

 private:
  struct OpenNode {
    YamlNode* node = nullptr;
    bool has_key = false;                                         // the next node of this map is the value of its last entry
    std::vector<std::pair<size_t, const YamlNode*>> merged = {};  // line and value of each merge key
    bool next_is_merged = false;
    std::unordered_set<std::string_view> keys = {};
  };

  static size_t LineOf(const YAML::Mark& mark) { return static_cast<size_t>(std::max(mark.line, 0)) + 1; }

  YamlNode& NewNode(YamlNode::Kind kind, const YAML::Mark& mark) {
    line_ = LineOf(mark);
    nodes_.push_back(
        {.kind = kind, .line = line_, .column = static_cast<size_t>(std::max(mark.column, 0)) + 1, .text = {}, .entries = {}, .items = {}});
    return nodes_.back();
  }

  // yaml-cpp gives "?" or "" for what has no tag and "!" for quoted text.
  void RefuseTag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the tag {} has no meaning here", At(name_, LineOf(mark)), Quoted(tag)),
                  "leave it out");
  }

  void Name(YAML::anchor_t anchor, const YamlNode& node) {
    if (anchor != 0) anchors_[anchor] = &node;
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    RefuseTag(mark, tag);
    if (open_.size() >= limits_.max_depth)
      throw Error(ErrorCode::kTooLarge, fmt::format("{}: nested deeper than {}", At(name_, LineOf(mark)), limits_.max_depth));
    YamlNode& node = NewNode(kind, mark);
    Name(anchor, node);
    if (anchor != 0) open_anchors_.insert(&node);
    open_.push_back({&node});
  }

  void Close() {
    const YamlNode& node = *open_.back().node;
    open_.pop_back();
    open_anchors_.erase(&node);
    Attach(node);
  }

  // A node that is whole becomes the next part of what is open.
  void Attach(const YamlNode& node) {
    if (open_.empty()) {
      root_ = &node;
      return;
    }
    OpenNode& parent = open_.back();
    if (parent.node->kind == YamlNode::Kind::kMap && !parent.has_key) {
      AddKey(parent, node);
      return;
    }
    parent.node->num_nodes += node.num_nodes;
    if (parent.node->num_nodes > limits_.max_nodes)
      throw Error(ErrorCode::kTooLarge,
                  fmt::format("{}: more than {} values, those of aliases counted at each use", At(name_, line_), limits_.max_nodes));
    if (parent.node->kind == YamlNode::Kind::kSequence) {
      parent.node->items.push_back(&node);
    } else if (parent.next_is_merged) {
      parent.merged.emplace_back(line_, &node);
    } else {
      parent.node->entries.back().value = &node;
    }
    parent.has_key = parent.next_is_merged = false;
  }

  void AddKey(OpenNode& parent, const YamlNode& node) {
    if (node.kind != YamlNode::Kind::kScalar)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a word as key", At(name_, node.line)));
    parent.has_key = true;
    parent.next_is_merged = node.text == "<<" && !node.quoted;
    if (parent.next_is_merged) return;
    if (!parent.keys.insert(node.text).second)  // nodes stay where they are, so the view does
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: the key {} stands twice", At(name_, node.line), Quoted(node.text)));
    parent.node->entries.push_back({node.text, node.line, nullptr});
  }

  // Merge keys (https://yaml.org/type/merge.html): entries of the map, or maps, that they name, where the map has none of its own.
  void Merge() {
    OpenNode& open = open_.back();
    const auto take = [&](size_t line, const YamlNode& from) {
      if (from.kind != YamlNode::Kind::kMap) throw Error(ErrorCode::kInvalidInput, fmt::format("{}: '<<' takes a map", At(name_, line)));
      for (const YamlEntry& entry : from.entries)
        if (open.keys.insert(entry.key).second) open.node->entries.push_back(entry);
    };
    for (const auto& [line, node] : open.merged) {
      if (node->kind == YamlNode::Kind::kSequence) {
        for (const YamlNode* item : node->items) take(line, *item);
      } else {
        take(line, *node);
      }
    }
  }

  std::deque<YamlNode>& nodes_;
  const std::string& name_;
  const YamlLimits& limits_;
  const YamlNode* root_ = nullptr;
  std::vector<OpenNode> open_;
  std::unordered_map<YAML::anchor_t, const YamlNode*> anchors_;
  std::unordered_set<const YamlNode*> open_anchors_;
  size_t line_ = 1;
};

void CheckBytes(std::string_view text, const std::string& name, const YamlLimits& limits) {
  if (text.size() > limits.max_bytes)
    throw Error(ErrorCode::kTooLarge, fmt::format("{}: {} bytes; at most {} are read", name, text.size(), limits.max_bytes));
  const size_t bad = std::min(FindInvalidUtf8(text), text.find('\0'));
  if (bad != std::string_view::npos)
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("{}: a byte that is no text (expected UTF-8)",
                    At(name, 1 + static_cast<size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n')))));
}

// Whatever may be the key of a line (tags and anchors without end) is kept in memory until the line ends.
void CheckLines(std::string_view text, const std::string& name, const YamlLimits& limits) {
  for (size_t begin = 0, line = 1; begin < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    if (end - begin > limits.max_line_bytes)
      throw Error(ErrorCode::kTooLarge, fmt::format("{}: is longer than {} bytes", At(name, line), limits.max_line_bytes),
                  "a text may go on in the next line");
    if (line > limits.max_lines) throw Error(ErrorCode::kTooLarge, fmt::format("{}: more than {} lines", name, limits.max_lines));
    begin = end + 1;
  }
}

}  // namespace

YamlDocument::YamlDocument(std::string_view text, std::string name, const YamlLimits& limits) : name_(std::move(name)) {
  CheckBytes(text, name_, limits);
  FlowScanner(text, name_, limits).Run();
  CheckLines(text, name_, limits);
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(nodes_, name_, limits);
  try {
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder)) root_ = builder.root();
    struct : YAML::EventHandler {
      void OnDocumentStart(const YAML::Mark&) override { any = true; }
      void OnDocumentEnd() override {}
      void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
      void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
      void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
      void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
      void OnSequenceEnd() override {}
      void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
      void OnMapEnd() override {}
      bool any = false;
    } second;
    if (root_ != nullptr && parser.HandleNextDocument(second) && second.any)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected one document, found a second one behind '---'", name_));
  } catch (const YAML::Exception& error) {
    const size_t line = error.mark.line < 0 ? 1 : static_cast<size_t>(error.mark.line) + 1;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: this is no YAML: {}", At(name_, line), Printable(error.msg, 100)),
                "indent with spaces, not tabs, and put a text that holds ': ' or ' #' in quotes");
  }
  if (root_ == nullptr) {
    nodes_.emplace_back();
    root_ = &nodes_.back();
  }
}

}  // namespace mlac
