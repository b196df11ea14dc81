#include "core/diverged.h"

namespace octet {

void diverged(std::string_view where, const std::string& what, const std::string& hint) {
  try {
    fail(where, what, hint);
  } catch (const Error& error) {
    throw Diverged(error.what());
  }
}

}  // namespace octet
