// The error of a training that went wrong, so that who runs many can tell it from a bad file or a full disk.
#pragma once
#include "core/error.h"

namespace octet {

/// A loss, a parameter or a value is not finite.
class Diverged : public Error {
 public:
  using Error::Error;
};

inline constexpr const char* kDiverged = "training diverged: try a smaller learning rate";

/// Throws Diverged with the text that fail() would have.
[[noreturn]] void diverged(std::string_view where, const std::string& what, const std::string& hint = kDiverged);

}  // namespace octet
