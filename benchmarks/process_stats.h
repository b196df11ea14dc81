// What the system knows about this process.
#pragma once
#include <cstdint>

namespace octet::bench {

/// Pages that were first touched, or mapped again, so far.
std::uint64_t minor_faults();
/// The most memory that was resident at any time; 0 where the system does not say.
std::uint64_t peak_rss_bytes();

}  // namespace octet::bench
