#pragma once
// What the tests of whole trainings share.
#include <fmt/format.h>

#include <atomic>
#include <string>
#include <vector>

#include "base/random.h"
#include "train/fine_tune.h"

namespace mlac::test {

// Says nothing, remembers what it was told, and stops the training behind step `stop_after`.
struct Silent : FineTuneObserver {
  void OnNote(const std::string& note) override { notes.push_back(note); }
  void OnFinding(const Finding& finding) override { codes.push_back(finding.code); }
  void OnStart(size_t, size_t, size_t, size_t) override {}
  void OnResume(size_t step) override { resumed = step; }
  void OnStep(const StepReport& report) override { stop = report.step == stop_after; }
  void OnSpike(const SpikeReport&) override {}
  void OnEpoch(const EpochReport&) override {}
  void OnCheckpoint(size_t, const std::string&) override {}
  void OnEarlyStop(size_t) override {}
  std::vector<std::string> notes, codes;
  size_t resumed = 0, stop_after = 0;
  std::atomic<bool> stop = false;
};

// Words of the fixtures' vocabulary.
inline std::string Words(Random& random, size_t count) {
  static constexpr const char* kWords[] = {"the", "people", "small", "large", "open", "train", "model", "word", "not", "this"};
  std::string text;
  for (size_t i = 0; i < count; ++i) text += fmt::format("{}{}", i == 0 ? "" : " ", kWords[random.Below(10)]);
  return text;
}

}  // namespace mlac::test
