// The command line and its configuration file (CLI11).
#pragma once
#include <stdexcept>
#include <string>

#include "apps/mnv1_qat/options.h"

namespace octet::app {

/// Ends the program with `code` after printing `text`, on stdout when code is 0 (help, version).
struct EarlyExit : std::runtime_error {
  EarlyExit(int exit_code, const std::string& text) : std::runtime_error(text), code(exit_code) {}
  int code;
};

/// Throws EarlyExit: 0 for help and version, 2 with one line for unknown or contradictory options.
Options parse_command_line(int argc, const char* const* argv);

}  // namespace octet::app
