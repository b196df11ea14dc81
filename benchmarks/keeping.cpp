#include "benchmarks/keeping.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace octet::bench {

void Keeping::show_progress() const {
  if (isatty(STDERR_FILENO) == 0) return;
  fmt::print(stderr, "\r\033[K{} rows measured, now behind {}\r", kept_.size(), kept_.back().entry->group);
  std::fflush(stderr);
}

}  // namespace octet::bench
