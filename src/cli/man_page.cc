#include "cli/man_page.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <vector>

#include "base/build_info.h"

namespace mlac {
namespace {

// Text for troff: a hyphen that is to be typed, a backslash, and a line that would start like a request.
std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
      out += c;
    }
  }
  return out;
}

std::string OptionHeading(const CLI::Option& option) {
  if (option.get_positional()) return "\\fI" + Escaped(option.get_name(true, false)) + "\\fR";
  std::string names;
  for (const std::string& name : option.get_snames()) names += (names.empty() ? "\\fB" : ", \\fB") + Escaped("-" + name) + "\\fR";
  for (const std::string& name : option.get_lnames()) names += (names.empty() ? "\\fB" : ", \\fB") + Escaped("--" + name) + "\\fR";
  if (option.get_type_size() > 0) names += " \\fI" + Escaped(option.get_type_name()) + "\\fR";
  return names;
}

void AppendOptions(const CLI::App& app, std::string& out) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    const std::string by_default = option->get_default_str().empty() ? "" : " (default " + option->get_default_str() + ")";
    out += fmt::format(".TP\n{}\n{}\n", OptionHeading(*option), Escaped(option->get_description() + by_default));
  }
}

void AppendCommand(const CLI::App& app, const std::string& path, std::string& out) {
  const std::string name = path + " " + app.get_name();
  out += fmt::format(".SS \"{}\"\n{}.\n", Escaped(name), Escaped(app.get_description()));
  AppendOptions(app, out);
  const std::vector<std::string> lines = CLI::detail::split(app.get_footer(), '\n');
  if (lines.size() > 1) {
    out += ".PP\nExample:\n.PP\n.nf\n";
    for (size_t i = 1; i < lines.size(); ++i) out += Escaped(lines[i]) + "\n";
    out += ".fi\n";
  }
  for (const CLI::App* command : app.get_subcommands(nullptr)) AppendCommand(*command, name, out);
}

constexpr char kAfterCommands[] = R"(.SH EXIT STATUS
.TP
0
Done.
.TP
1
Refused or failed; one line on standard error says why.
.TP
2
The command line is wrong.
.TP
3
Changes are pending, where that was asked.
.TP
130
Interrupted.
.SH ENVIRONMENT
.TP
\fBMLAC_ISA\fR
An upper bound to the instruction set: avx2, avxvnni, avx512 or amx. The results are the same bits.
.TP
\fBOMP_NUM_THREADS\fR
Threads to compute with, where \fB\-\-threads\fR is not given.
.TP
\fBNO_COLOR\fR
If it is set, nothing is coloured.
.TP
\fBXDG_CACHE_HOME\fR
Where the cache is (a folder mlac in it); else ~/.cache.
)";

}  // namespace

std::string ManPage(const CLI::App& app) {
  std::string out = fmt::format(".TH MLAC 1 \"\" \"mlac {}\" \"User Commands\"\n.SH NAME\n{}\n", GetBuildInfo().version,
                                "mlac \\- fine\\-tune, run and serve Transformers, natively");
  out += ".SH SYNOPSIS\n.B mlac\n\\fIcommand\\fR [\\fIoptions\\fR]\n.SH OPTIONS\n";
  AppendOptions(app, out);
  out += ".SH COMMANDS\n";
  for (const CLI::App* command : app.get_subcommands(nullptr)) AppendCommand(*command, "mlac", out);
  return out + kAfterCommands;
}

}  // namespace mlac
