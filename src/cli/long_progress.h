#pragma once
// A progress bar for what is over at once more often than not: it appears after a second.
#include <chrono>
#include <memory>
#include <string>

#include "cli/progress.h"

namespace mlac {

class LongProgress {
 public:
  explicit LongProgress(std::string label) : label_(std::move(label)) {}
  void Update(size_t done, size_t total, const std::string& remark);

 private:
  std::string label_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::unique_ptr<Progress> progress_;
};

}  // namespace mlac
