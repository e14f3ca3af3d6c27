#include "base/error.h"

#include <gtest/gtest.h>

#include "tests/support/test_support.h"

namespace mlac {
namespace {

TEST(ErrorTable, GivesEveryCodeItsNameExitStatusAndHttpStatus) {
  const auto expect = [](ErrorCode code, std::string_view name, int exit_status, int http_status) {
    EXPECT_EQ(KindOf(code).name, name);
    EXPECT_EQ(KindOf(code).exit_status, exit_status) << name;
    EXPECT_EQ(KindOf(code).http_status, http_status) << name;
  };
  expect(ErrorCode::kInvalidArgument, "invalid_argument", 1, 400);
  expect(ErrorCode::kInvalidInput, "invalid_input", 1, 400);
  expect(ErrorCode::kNotFound, "not_found", 1, 404);
  expect(ErrorCode::kAlreadyExists, "already_exists", 1, 409);
  expect(ErrorCode::kUnsupported, "unsupported", 1, 422);
  expect(ErrorCode::kTooLarge, "too_large", 1, 413);
  expect(ErrorCode::kResourceExhausted, "resource_exhausted", 1, 503);
  expect(ErrorCode::kIo, "io", 1, 500);
  expect(ErrorCode::kCancelled, "cancelled", 130, 503);
  expect(ErrorCode::kInternal, "internal", 1, 500);
}

TEST(Error, SaysMessageAndHintInOneLine) {
  const Error plain(ErrorCode::kIo, "disk: broken");
  EXPECT_STREQ(plain.what(), "disk: broken");
  const Error hinted(ErrorCode::kNotFound, "no model 'brt'", "did you mean 'bert'?");
  EXPECT_STREQ(hinted.what(), "no model 'brt' (did you mean 'bert'?)");
  EXPECT_EQ(hinted.message(), "no model 'brt'");
  EXPECT_EQ(hinted.hint(), "did you mean 'bert'?");
}

}  // namespace
}  // namespace mlac
