#pragma once
// Runs the real binary as a user would, for tests of what it prints and how it ends.
#include <string>
#include <vector>

namespace mlac {

struct ProgramResult {
  int status = 0;  // exit status, or 128 + the signal that ended it, as a shell shows it
  std::string out, error;
};

struct ProgramOptions {
  std::string in = {};                   // what stands on stdin
  std::vector<std::string> environment = {};  // "NAME=value", beside that of the test
  bool close_out = false;                // stdout is a pipe that nobody reads
  std::string out_path = {};             // stdout is this file ("/dev/full"); "" for a pipe that the test reads
};

// argv[0] is the program, found by PATH if it has no slash.
ProgramResult RunProgram(const std::vector<std::string>& argv, const ProgramOptions& options = {});

// The mlac of this build.
ProgramResult RunMlac(std::vector<std::string> arguments, const ProgramOptions& options = {});

}  // namespace mlac
