// The name that somebody may have meant.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace octet {

/// Of `names`, the one that is turned into `given` by the fewest insertions, deletions and replacements of a byte
/// (Levenshtein 1966), the first of several; empty when there are none.
std::string closest_name(std::string_view given, const std::vector<std::string>& names);

}  // namespace octet
