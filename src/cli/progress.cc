#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "cli/terminal.h"

namespace mlac {

std::string ShowDuration(double seconds) {
  const auto whole = static_cast<size_t>(std::max(0.0, seconds) + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

Progress::Progress(std::string label)
    : label_(std::move(label)), terminal_(IsTerminal(Stream::kError)), begin_(std::chrono::steady_clock::now()), last_(begin_) {}

Progress::~Progress() {
  if (drawn_) fmt::print(stderr, "\n");
}

void Progress::Clear() {
  if (drawn_) fmt::print(stderr, "\r\x1b[K");
  drawn_ = false;
}

void Progress::Line(const std::string& text) {
  Clear();
  fmt::print(stderr, "{}\n", text);
}

void Progress::Update(size_t done, size_t total, const std::string& remark) {
  const auto now = std::chrono::steady_clock::now();
  if (!started_) {  // after a resume the first steps were done before
    started_ = true;
    first_ = done - std::min<size_t>(done, 1);
  }
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  const std::string left =
      done > first_ && done < total
          ? fmt::format(", {} left", ShowDuration(elapsed * static_cast<double>(total - done) / static_cast<double>(done - first_)))
          : "";
  if (!terminal_) {
    const size_t tenth = total == 0 ? 0 : done * 10 / total;
    if (tenth > last_tenth_ || done == total) Line(fmt::format("{} {}/{}, {}{}", label_, done, total, remark, left));
    last_tenth_ = tenth;
    return;
  }
  if (done < total && drawn_ && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  constexpr size_t kBarWidth = 24;
  const size_t filled = total == 0 ? kBarWidth : kBarWidth * done / total;
  std::string bar;
  for (size_t i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
  const std::string rest = fmt::format(" {} {}/{}, {}{}", label_, done, total, remark, left);
  const size_t width = TerminalWidth(Stream::kError);
  fmt::print(stderr, "\r{}{}\x1b[K", bar, width > kBarWidth + 1 ? rest.substr(0, width - kBarWidth - 1) : "");
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace mlac
