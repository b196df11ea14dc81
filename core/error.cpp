#include "core/error.h"

namespace octet {

void fail(std::string_view where, const std::string& what, const std::string& hint) {
  std::string text = fmt::format("[{}] {}", where, what);
  if (!hint.empty()) text += " ---> HINT " + hint;
  // One line without commands to a terminal, whatever a file name or a foreign message brought along.
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  throw Error(text);
}

}  // namespace octet
