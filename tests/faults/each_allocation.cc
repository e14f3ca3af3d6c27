#include "tests/faults/each_allocation.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "base/error.h"
#include "tests/faults/failing_new.h"

namespace mlac::test {
namespace {

constexpr unsigned kPatienceSeconds = 60;
constexpr size_t kMostFindings = 20, kMostDeaths = 50;

// What the child leaves when it dies.
struct Shared {
  size_t point = 0, num_points = 0, num_short = 0, num_closed = 0, num_spared = 0, num_findings = 0;
  bool done = false;
  std::array<std::array<char, 300>, kMostFindings> findings = {};

  void Find(size_t at, const std::string& what) {
    if (num_findings < kMostFindings) {
      const std::string line = fmt::format("allocation {}: {}", at, what);
      line.copy(findings[num_findings].data(), findings[num_findings].size() - 1);
    }
    ++num_findings;
  }
};

enum class End { kDone, kShort, kClosed, kFinding };

End Try(const std::function<std::string()>& act, std::string& finding) {
  try {
    finding = act();
    return finding.empty() ? End::kDone : End::kFinding;
  } catch (const std::bad_alloc&) {
    return End::kShort;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kResourceExhausted) return End::kShort;
    if (error.code() == ErrorCode::kCancelled) return End::kClosed;
    finding = error.what();
  } catch (const std::exception& error) {
    finding = error.what();
  }
  return End::kFinding;
}

void RunChild(Shared& shared, size_t stride, size_t count, const std::function<Attempt()>& prepare) {
  const Attempt attempt = prepare();
  for (;; shared.point += stride) {
    alarm(kPatienceSeconds);
    attempt.before();
    std::string finding;
    bool struck;
    End end;
    {
      const FailingNew failing(shared.point, count);
      end = Try(attempt.act, finding);
      struck = failing.struck();
      shared.num_spared += failing.num_spared() > 0;
    }
    if (end == End::kFinding) shared.Find(shared.point, finding);
    if (const End behind = Try(attempt.behind, finding); behind != End::kDone)
      shared.Find(shared.point, "behind it: " + (behind == End::kFinding ? finding : "no memory"));
    if (!struck) break;
    ++shared.num_points;
    shared.num_short += end == End::kShort;
    shared.num_closed += end == End::kClosed;
  }
  shared.done = true;
}

}  // namespace

AllocationReport FailEachAllocation(size_t stride, size_t count, const std::function<Attempt()>& prepare) {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  Shared& shared = *new (memory) Shared();
  for (size_t deaths = 0; !shared.done && deaths < kMostDeaths; ++deaths) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      try {
        RunChild(shared, stride, count, prepare);
      } catch (const std::exception& error) {
        shared.Find(shared.point, fmt::format("cannot begin: {}", error.what()));
        shared.done = true;
      }
      _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (shared.done) break;
    ++shared.num_points;
    shared.Find(shared.point, WIFSIGNALED(status) ? fmt::format("killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)))
                                                  : fmt::format("ended with status {}", WEXITSTATUS(status)));
    shared.point += stride;
  }
  AllocationReport report = {.num_points = shared.num_points,
                             .num_short = shared.num_short,
                             .num_closed = shared.num_closed,
                             .num_spared = shared.num_spared,
                             .num_findings = shared.num_findings,
                             .findings = {}};
  for (size_t i = 0; i < std::min(shared.num_findings, kMostFindings); ++i) report.findings.emplace_back(shared.findings[i].data());
  munmap(memory, sizeof(Shared));
  return report;
}

void Print(const std::string& name, const AllocationReport& report) {
  std::printf("%-40s %6zu points %6zu short of memory %5zu closed %5zu spared %3zu findings\n", name.c_str(), report.num_points,
              report.num_short, report.num_closed, report.num_spared, report.num_findings);
}

}  // namespace mlac::test
