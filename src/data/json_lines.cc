#include "data/json_lines.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/display.h"
#include "base/error.h"
#include "base/utf8.h"

namespace mlac {
namespace {

using nlohmann::json;

std::string NumberName(double value, const std::string& written) {
  if (written.find_first_not_of("-0123456789") == std::string::npos) return written;  // an integer beyond 64 bits
  char buffer[32];
  const bool whole = std::fabs(value) < 1e15 && std::floor(value) == value;
  const auto result = whole ? std::to_chars(buffer, buffer + sizeof buffer, static_cast<int64_t>(value))
                            : std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, result.ptr);
}

// Takes the wanted values out of one object as the parser passes them; nothing else is kept, whatever the line holds.
class RowBuilder : public nlohmann::json_sax<json> {
 public:
  RowBuilder(std::string_view text, std::string_view where, const TableOptions& options, std::vector<std::string>& cells)
      : text_(text), where_(where), options_(options), cells_(cells), filled_(cells.size(), false) {}

  void CheckComplete() const {
    for (size_t i = 0; i < filled_.size(); ++i) {
      if (!filled_[i]) ThrowMissingColumn(where_, options_.columns[i], known_, options_.column_hint);
    }
  }

  bool null() override { return Refuse("null"); }
  bool boolean(bool value) override { return Fill(value ? "true" : "false", "a boolean"); }
  bool number_integer(number_integer_t value) override { return Fill(std::to_string(value), "a number"); }
  bool number_unsigned(number_unsigned_t value) override { return Fill(std::to_string(value), "a number"); }
  bool number_float(number_float_t value, const string_t& written) override { return Fill(NumberName(value, written), "a number"); }
  bool string(string_t& value) override { return Fill(std::move(value), "a string"); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override {
    if (depth_ == 1) Refuse("an object");
    if (depth_ == 2 && reading_list()) Refuse("an object in the list");
    return Enter();
  }
  bool start_array(std::size_t) override {
    if (depth_ == 1 && wanted_ != kNone && !options_.list_separator.empty()) {
      in_list_ = true;
      cells_[wanted_].clear();
      filled_[wanted_] = true;
      num_items_ = 0;
    } else if (depth_ < 2) {
      Refuse("an array");
    } else if (depth_ == 2 && reading_list()) {
      Refuse("an array in the list");
    }
    return Enter();
  }
  bool end_object() override { return Leave(); }
  bool end_array() override {
    if (depth_ == 2) in_list_ = false;
    return Leave();
  }

  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    wanted_ = kNone;
    for (size_t i = 0; i < options_.columns.size(); ++i) {
      if (options_.columns[i] == name) wanted_ = i;
    }
    if (wanted_ != kNone && filled_[wanted_])
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: key '{}' stands twice", where_, Printable(name, 40)));
    constexpr size_t kMostKnown = 64, kLongestKnown = 1024;
    if (known_.size() < kMostKnown && name.size() <= kLongestKnown) known_.push_back(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const json::exception& exception) override {
    // nlohmann's text ends in what it found and expected; its start repeats the position. position: bytes taken, the bad one included.
    std::string_view reason = exception.what();
    if (const size_t dash = reason.find("- "); dash != std::string_view::npos)
      reason = reason.substr(dash + 2);
    else if (const size_t bracket = reason.find("] "); bracket != std::string_view::npos)
      reason = reason.substr(bracket + 2);
    size_t column = 0;
    for (size_t i = 0; i < text_.size() && i < position; ++i) column += (text_[i] & 0xC0) != 0x80;
    if (position > text_.size()) ++column;
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}, column {}: no valid JSON: {}", where_, column, Printable(reason, 160)),
                depth_ == 0 ? "expected one JSON object a line" : "");
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // A value that is no name for anything: refused if it is wanted, or if it stands where the object should.
  bool Refuse(std::string_view found) {
    if (depth_ == 0)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a JSON object, found {}", where_, found),
                  found == "an array" ? "a JSON array becomes one object a line with: jq -c '.[]' FILE > NEW.jsonl" : "");
    if ((depth_ == 1 || reading_list()) && wanted_ != kNone)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: expected a string, a number or a boolean under '{}', found {}", where_,
                                                        Printable(options_.columns[wanted_], 40), found));
    return true;
  }
  bool Fill(std::string value, std::string_view type) {
    if (depth_ == 0) return Refuse(type);
    if (depth_ == 2 && reading_list()) {
      if (num_items_++ > 0) cells_[wanted_] += options_.list_separator;
      cells_[wanted_] += value;
      return true;
    }
    if (depth_ != 1 || wanted_ == kNone) return true;
    cells_[wanted_] = std::move(value);
    filled_[wanted_] = true;
    return true;
  }
  bool Enter() {
    if (++depth_ > options_.max_json_depth)
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: nested deeper than {} levels", where_, options_.max_json_depth));
    return true;
  }
  bool Leave() {
    --depth_;
    return true;
  }

  std::string_view text_, where_;
  const TableOptions& options_;
  std::vector<std::string>& cells_;
  std::vector<bool> filled_;
  std::vector<std::string> known_;
  bool reading_list() const { return in_list_; }

  size_t depth_ = 0, wanted_ = kNone, num_items_ = 0;
  bool in_list_ = false;
};

}  // namespace

JsonLinesReader::JsonLinesReader(ByteStream stream, TableOptions options) : TableReader(std::move(stream), std::move(options)) {}

bool JsonLinesReader::ReadRow(std::vector<std::string>& cells) {
  do {
    line_ = stream_.line();
    if (!ReadLine(stream_, options_.max_row_bytes, text_)) return false;
  } while (text_.find_first_not_of(" \t") == std::string::npos);
  const std::string where = fmt::format("{}: line {}", name(), line_);
  RowBuilder row(text_, where, options_, cells);
  json::sax_parse(text_.begin(), text_.end(), &row);
  row.CheckComplete();
  return true;
}

}  // namespace mlac
