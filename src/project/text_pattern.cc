#include "project/text_pattern.h"

#include <fmt/format.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/display.h"
#include "base/error.h"

namespace mlac {
namespace {

constexpr uint32_t kMostSteps = 1'000'000, kMostDepth = 10'000, kMostHeapKib = 32 << 10;

std::string MessageOf(int code) {
  unsigned char message[256] = {};
  pcre2_get_error_message(code, message, sizeof message);
  return reinterpret_cast<const char*>(message);
}

}  // namespace

struct TextPattern::Code {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  ~Code() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

TextPattern::TextPattern(const std::string& expression) : code_(std::make_unique<Code>()), expression_(expression) {
  int error = 0;
  PCRE2_SIZE at = 0;
  code_->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                              PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  if (code_->code == nullptr)
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} is no regular expression: column {}: {}", Quoted(expression), at + 1, MessageOf(error)));
  code_->match = pcre2_match_data_create(1, nullptr);
  code_->context = pcre2_match_context_create(nullptr);
  if (code_->match == nullptr || code_->context == nullptr) throw std::bad_alloc();
  pcre2_set_match_limit(code_->context, kMostSteps);
  pcre2_set_depth_limit(code_->context, kMostDepth);
  pcre2_set_heap_limit(code_->context, kMostHeapKib);
}

TextPattern::~TextPattern() = default;

bool TextPattern::FoundIn(std::string_view text) const {
  const int result = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0, code_->match, code_->context);
  if (result >= 0) return true;
  if (result == PCRE2_ERROR_NOMATCH) return false;
  throw Error(ErrorCode::kTooLarge,
              fmt::format("the regular expression {} takes too long on a text of {} bytes: {}", Quoted(expression_), text.size(),
                          MessageOf(result)),
              "nested repetitions, as in (a+)+, are what takes long");
}

}  // namespace mlac
