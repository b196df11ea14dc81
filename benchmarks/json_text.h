// What every JSON report begins with.
#pragma once
#include <nlohmann/json.hpp>

#include "benchmarks/system_info.h"

namespace octet::bench {

/// {"system": {…}, "peaks": {…}}; a fact that stands there several times becomes a list.
nlohmann::ordered_json json_header(const Facts& facts, const Peaks& peaks);

/// `text` as a field of csv: in quotes, doubled within, when it holds a comma, a quote or a line's end.
std::string csv_field(const std::string& text);

}  // namespace octet::bench
