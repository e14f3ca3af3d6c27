#pragma once
// The frame of the program: parses the command line, runs the command, and is the one place where an error becomes text and a status.
namespace mlac {

class Command;

// Returns the exit status: 0 done, 1 refused or failed, 2 a wrong command line, 3 changes pending where that was asked, 130 interrupted.
// An error is one line "mlac: message" and, if there is one, a line "hint: ..." on stderr. A closed pipe on stdout ends the program quietly,
// by SIGPIPE as elsewhere.
int RunCommandLine(int argc, char** argv, void (*add_commands)(Command));

}  // namespace mlac
