#include "cli/man_page.h"

#include <fmt/format.h>

#include <vector>

#include "base/build_info.h"
#include "cli/command.h"

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

std::string OptionHeading(Option option) {
  if (const std::string argument = option.argument_name(); !argument.empty()) return "\\fI" + Escaped(argument) + "\\fR";
  std::string names;
  for (const std::string& name : option.short_names()) names += (names.empty() ? "\\fB" : ", \\fB") + Escaped("-" + name) + "\\fR";
  for (const std::string& name : option.long_names()) names += (names.empty() ? "\\fB" : ", \\fB") + Escaped("--" + name) + "\\fR";
  if (!option.is_flag()) names += " \\fI" + Escaped(option.type()) + "\\fR";
  return names;
}

void AppendOptions(Command app, std::string& out) {
  for (const Option option : app.options()) {
    if (option.is_hidden()) continue;
    const std::string by_default = option.default_text().empty() ? "" : " (default " + option.default_text() + ")";
    out += fmt::format(".TP\n{}\n{}\n", OptionHeading(option), Escaped(option.description() + by_default));
  }
}

void AppendCommand(Command app, const std::string& path, std::string& out) {
  const std::string name = path + " " + app.name();
  out += fmt::format(".SS \"{}\"\n{}.\n", Escaped(name), Escaped(app.description()));
  AppendOptions(app, out);
  if (const std::vector<std::string> lines = app.example(); !lines.empty()) {
    out += ".PP\nExample:\n.PP\n.nf\n";
    for (const std::string& line : lines) out += Escaped(line) + "\n";
    out += ".fi\n";
  }
  for (const Command command : app.commands()) AppendCommand(command, name, out);
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

std::string ManPage(Command app) {
  std::string out = fmt::format(".TH MLAC 1 \"\" \"mlac {}\" \"User Commands\"\n.SH NAME\n{}\n", GetBuildInfo().version,
                                "mlac \\- fine\\-tune, run and serve Transformers, natively");
  out += ".SH SYNOPSIS\n.B mlac\n\\fIcommand\\fR [\\fIoptions\\fR]\n.SH OPTIONS\n";
  AppendOptions(app, out);
  out += ".SH COMMANDS\n";
  for (const Command command : app.commands()) AppendCommand(command, "mlac", out);
  return out + kAfterCommands;
}

}  // namespace mlac
