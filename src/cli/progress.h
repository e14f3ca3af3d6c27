#pragma once
// A progress bar on a terminal, plain lines elsewhere; on standard error.
#include <chrono>
#include <cstddef>
#include <string>

namespace mlac {

class Progress {
 public:
  // label: what is counted, "step".
  explicit Progress(std::string label);
  ~Progress();

  // done of total so far, with a remark ("loss 0.412, macro-F1 0.44"), and behind the time that is left what a narrow terminal may lack
  // ("35 examples/s"). On a terminal the bar is drawn anew at most ten times a second; elsewhere a line appears every tenth of the whole.
  void Update(size_t done, size_t total, const std::string& remark, const std::string& rate = "");
  // A line of its own, above the bar.
  void Line(const std::string& text);

 private:
  void Clear();

  std::string label_;
  bool terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point begin_, last_;
  size_t first_ = 0, last_tenth_ = 0;
  bool started_ = false;
};

// A line of at most width columns: the text whole where that is possible, and in front of it what remains as a bar, of at most 24 columns.
std::string ProgressLine(size_t done, size_t total, const std::string& text, size_t width);

// "48 s", "3 min 20 s", "2 h 05 min".
std::string ShowDuration(double seconds);

}  // namespace mlac
