#pragma once
// The manual page mlac(1), made from the commands and options that this very program has.
#include <string>

namespace CLI {
class App;
}

namespace mlac {

// In the man macros of groff_man(7).
std::string ManPage(const CLI::App& app);

}  // namespace mlac
