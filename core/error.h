// Errors of the library: one exception type whose message says where, what, and what to do.
#pragma once
#include <fmt/core.h>
#include <stdexcept>
#include <string>
#include <string_view>

namespace octet {

/// Every failure that a caller can meet: wrong shapes, bad files, bad options. The text is one line,
/// "[where] what", with " ---> HINT hint" appended where there is something to do about it.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error("[where] what ---> HINT hint"); the hint is left out when empty.
[[noreturn]] void fail(std::string_view where, const std::string& what, const std::string& hint = {});

}  // namespace octet

/// Throws octet::Error unless `cond` holds; the rest is a fmt format string and its arguments.
#define OCTET_CHECK(cond, where, ...)                     \
  do {                                                    \
    if (!(cond)) [[unlikely]]                             \
      ::octet::fail((where), ::fmt::format(__VA_ARGS__)); \
  } while (0)
