#include "core/error.h"

namespace octet {

void fail(std::string_view where, const std::string& what, const std::string& hint) {
  std::string text = fmt::format("[{}] {}", where, what);
  if (!hint.empty()) text += " ---> HINT " + hint;
  // One line, whatever a file name or a foreign message brought along.
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  throw Error(text);
}

}  // namespace octet
