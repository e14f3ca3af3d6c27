// The command line: one file a command beside this one, each with an Add function that declares its options.
#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app("mlac");
  CLI11_PARSE(app, argc, argv);
  return 0;
}
