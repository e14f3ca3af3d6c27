#pragma once
// A loop over the allocations of something, each of which fails in turn.
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace mlac::test {

// What is done at each point, all of it in a child process, in which nothing else is done. act says that there was no memory by
// std::bad_alloc or an Error of kResourceExhausted, and that a connection was closed without an answer by one of kCancelled. Whatever else
// they throw is a finding, and so is a text that they give, other than "".
struct Attempt {
  std::function<void()> before = [] {};  // with memory
  std::function<std::string()> act;      // while an allocation fails
  std::function<std::string()> behind;   // then, with memory again: whether all is as it was or as it should be
};

struct AllocationReport {
  size_t num_points = 0, num_short = 0, num_closed = 0;  // act said that there was no memory; that a connection was closed
  size_t num_spared = 0;                                 // points that did not fail, by FailingNew's rule
  size_t num_findings = 0;
  std::vector<std::string> findings;  // "allocation 17: killed by signal 6 (Aborted)"; the first few
};

// prepare runs in the child before any allocation fails, and makes what each point does. Allocations 0, stride, 2 stride, ... fail, one at
// a time, and with `count` those behind them, until act comes to none that does; what hangs for a minute is killed. The calling process
// must have no other threads.
AllocationReport FailEachAllocation(size_t stride, size_t count, const std::function<Attempt()>& prepare);

// A line of the table that `./dev reliability memory` shows.
void Print(const std::string& name, const AllocationReport& report);

}  // namespace mlac::test
