// Messages to people: stderr, one line each, with a level that `--quiet` and OCTET_VERBOSE set.
#pragma once
#include <string>

namespace octet {

enum class LogLevel { error, warning, info, debug };
void set_log_level(LogLevel level);
void log(LogLevel level, const std::string& message);
inline void log_info(const std::string& message) { log(LogLevel::info, message); }
inline void log_warning(const std::string& message) { log(LogLevel::warning, message); }

/// Is `topic` (for example "dispatch") named in OCTET_VERBOSE, a comma-separated list?
bool verbose(const char* topic);

}  // namespace octet
