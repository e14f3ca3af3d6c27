#include "cli/long_progress.h"

namespace mlac {

void LongProgress::Update(size_t done, size_t total, const std::string& remark) {
  if (progress_ == nullptr) {
    if (std::chrono::steady_clock::now() - begin_ < std::chrono::seconds(1)) return;
    progress_ = std::make_unique<Progress>(label_);
  }
  progress_->Update(done, total, remark);
}

}  // namespace mlac
