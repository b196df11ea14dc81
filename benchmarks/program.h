// What the programs of this folder do around their work.
#pragma once
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

namespace octet::bench {

/// Parses the command line and returns run()'s exit code; 2 for a wrong command line, 1 for an error of the work, a
/// line each.
template <class Run>
int run_program(CLI::App& app, int argc, char** argv, Run&& run) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {}; --help shows what there is\n", app.get_name(), error.what());
    return 2;
  }
  try {
    return run();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}

}  // namespace octet::bench
