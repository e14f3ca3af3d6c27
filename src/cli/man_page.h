#pragma once
// The manual page mlac(1), made from the commands and options that this very program has.
#include <string>

namespace mlac {

class Command;

// In the man macros of groff_man(7).
std::string ManPage(Command app);

}  // namespace mlac
