#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/display.h"
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

std::string ProgressLine(size_t done, size_t total, const std::string& text, size_t width) {
  constexpr size_t kWidestBar = 24, kNarrowestBar = 3;
  const std::string shown = Printable(text, width);
  const size_t room = width - std::min(width, DisplayWidth(shown) + 1), cells = std::min(room, kWidestBar);
  if (cells < kNarrowestBar) return shown;
  const size_t filled = total == 0 ? cells : cells * std::min(done, total) / total;
  std::string bar;
  for (size_t i = 0; i < cells; ++i) bar += i < filled ? "█" : "░";
  return bar + " " + shown;
}

void Progress::Update(size_t done, size_t total, const std::string& remark, const std::string& rate) {
  const auto now = std::chrono::steady_clock::now();
  if (!started_) {  // after a resume the first steps were done before
    started_ = true;
    first_ = done - std::min<size_t>(done, 1);
  }
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  std::string text = fmt::format("{} {}/{}, {}", label_, done, total, remark);
  if (done > first_ && done < total)
    text += fmt::format(", {} left", ShowDuration(elapsed * static_cast<double>(total - done) / static_cast<double>(done - first_)));
  if (!rate.empty()) text += ", " + rate;
  if (!terminal_) {
    const size_t tenth = total == 0 ? 0 : done * 10 / total;
    if (tenth > last_tenth_ || done == total) Line(text);
    last_tenth_ = tenth;
    return;
  }
  if (done < total && drawn_ && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  const size_t width = TerminalWidth(Stream::kError);  // in the last column some terminals begin a new line
  fmt::print(stderr, "\r{}\x1b[K", ProgressLine(done, total, text, width - std::min<size_t>(width, 1)));
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace mlac
