// Names for a message about one that is unknown.
#pragma once
#include <string>
#include <vector>

namespace octet {

/// The `count` names most like `text`, best first: by insertions, deletions and replacements of letters (Levenshtein
/// 1966), names of the same distance in their order. Fewer when there are fewer.
std::vector<std::string> closest_names(const std::string& text, std::vector<std::string> names, std::size_t count = 3);

}  // namespace octet
