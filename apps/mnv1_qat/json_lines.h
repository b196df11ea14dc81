// Files of a JSON object a line: written line by line while work goes on, read back leniently.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace octet::app {

/// The lines that are objects, in order; none when there is no such file.
std::vector<nlohmann::ordered_json> read_json_lines(const std::string& path);
/// Before lines are appended: cuts a torn last line, and ends one that lacks nothing but its newline (an editor's work).
void mend_last_line(const std::string& path);
/// In place of the file.
void write_json_lines(const std::string& path, const std::vector<nlohmann::ordered_json>& lines);

}  // namespace octet::app
