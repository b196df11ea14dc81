#include "apps/mnv1_qat/json_lines.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/file.h"
#include "core/json_text.h"

namespace octet::app {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kLongestLine = 1 << 18;

/// Discarded when it is none.
Json parsed(const std::string& line) {
  return is_modest_json(line, kLongestLine) ? Json::parse(line, nullptr, false) : Json(Json::value_t::discarded);
}

}  // namespace

std::vector<Json> read_json_lines(const std::string& path) {
  std::istringstream text(std::filesystem::exists(path) ? read_file(path) : "");
  std::vector<Json> lines;
  for (std::string line; std::getline(text, line);)
    if (Json j = parsed(line); j.is_object()) lines.push_back(std::move(j));
  return lines;
}

void mend_last_line(const std::string& path) {
  const std::string text = std::filesystem::exists(path) ? read_file(path) : "";
  const std::string last = text.substr(text.rfind('\n') + 1);  // all of it without a newline: npos + 1 is 0
  if (parsed(last).is_object())
    append_line(path, "");
  else
    cut_torn_line(path);
}

void write_json_lines(const std::string& path, const std::vector<Json>& lines) {
  std::string text;
  for (const Json& line : lines) text += line.dump() + "\n";
  write_file_atomically(path, text);
}

}  // namespace octet::app
