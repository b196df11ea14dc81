// JSON text from files of strangers, looked at before a parser has it.
#pragma once
#include <cstddef>
#include <string_view>

namespace octet {

/// Is the text short, and does it nest little? A library that parses without recursion still copies, prints and compares what it
/// has parsed by recursion, and looks for keys one by one: what is refused here could cost the stack, or hours. Whether it is JSON
/// at all is not looked at.
bool is_modest_json(std::string_view text, std::size_t most_bytes, int most_levels = 32);

}  // namespace octet
