#pragma once
// The process itself, as Prometheus' own clients name it.
#include <vector>

namespace mlac {

struct ProcessMetric {
  const char *name, *help;
  bool is_counter;  // else a gauge
  double value;
};

// process_resident_memory_bytes, process_virtual_memory_bytes, process_cpu_seconds_total, process_start_time_seconds, process_open_fds and
// process_max_fds, read from /proc now. What the system does not tell is left out. Safe to call from several threads.
std::vector<ProcessMetric> CollectProcessMetrics();

}  // namespace mlac
