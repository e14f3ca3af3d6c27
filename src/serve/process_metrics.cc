#include "serve/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "base/folder_contents.h"

namespace mlac {
namespace {

// "" where the system has no such file. It has no size that could be asked for.
std::string ReadProc(const char* path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// What stands behind the name of the process in /proc/self/stat (proc(5)): field 3 and those after it.
struct ProcStat {
  double cpu_ticks = 0, start_ticks = 0, virtual_bytes = 0, resident_pages = 0;  // fields 14 and 15, 22, 23, 24
};

std::optional<ProcStat> ReadStat() {
  const std::string text = ReadProc("/proc/self/stat");
  const size_t name_end = text.rfind(')');  // the name may hold anything
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::vector<std::string> values;
  for (std::string value; fields >> value;) values.push_back(value);
  constexpr size_t kFirst = 3;
  if (values.size() + kFirst <= 24) return std::nullopt;
  const auto field = [&](size_t number) { return std::stod(values[number - kFirst]); };
  return ProcStat{.cpu_ticks = field(14) + field(15), .start_ticks = field(22), .virtual_bytes = field(23), .resident_pages = field(24)};
}

// When the system started, in seconds since 1970; 0 if it does not say.
double BootTime() {
  const std::string text = ReadProc("/proc/stat");
  const size_t place = text.find("\nbtime ");
  return place == std::string::npos ? 0 : std::stod(text.substr(place + 7, 20));
}

}  // namespace

std::vector<ProcessMetric> CollectProcessMetrics() {
  std::vector<ProcessMetric> metrics;
  const auto gauge = [&](const char* name, const char* help, double value) {
    metrics.push_back({name, help, /*is_counter=*/false, value});
  };
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK)), page = static_cast<double>(sysconf(_SC_PAGESIZE));
  if (const std::optional<ProcStat> stat = ReadStat()) {
    gauge("process_resident_memory_bytes", "Memory of the process that is in RAM, mapped weights included", stat->resident_pages * page);
    gauge("process_virtual_memory_bytes", "Address space of the process", stat->virtual_bytes);
    metrics.push_back({"process_cpu_seconds_total", "Processor time of all threads", /*is_counter=*/true, stat->cpu_ticks / ticks});
    if (const double boot = BootTime(); boot > 0)
      gauge("process_start_time_seconds", "When the process started, in seconds since 1970", boot + stat->start_ticks / ticks);
  }
  std::vector<std::string> descriptors;
  if (ReadNames("/proc/self/fd", descriptors) == 0)  // one of them is that which reads the folder
    gauge("process_open_fds", "Open descriptors", static_cast<double>(descriptors.size()) - 1);
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    gauge("process_max_fds", "Descriptors that the process may have", static_cast<double>(limit.rlim_cur));
  return metrics;
}

}  // namespace mlac
