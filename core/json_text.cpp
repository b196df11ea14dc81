#include "core/json_text.h"

namespace octet {

bool is_modest_json(std::string_view text, std::size_t most_bytes, int most_levels) {
  if (text.size() > most_bytes) return false;
  int levels = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if ((c == '[' || c == '{') && ++levels > most_levels) return false;
    if (c == ']' || c == '}') --levels;
  }
  return true;
}

}  // namespace octet
