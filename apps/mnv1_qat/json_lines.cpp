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
}

std::vector<Json> read_json_lines(const std::string& path) {
  std::istringstream text(std::filesystem::exists(path) ? read_file(path) : "");
  std::vector<Json> lines;
  for (std::string line; std::getline(text, line);) {
    if (!is_modest_json(line, kLongestLine)) continue;
    if (Json j = Json::parse(line, nullptr, false); j.is_object()) lines.push_back(std::move(j));
  }
  return lines;
}

void write_json_lines(const std::string& path, const std::vector<Json>& lines) {
  std::string text;
  for (const Json& line : lines) text += line.dump() + "\n";
  write_file_atomically(path, text);
}

}  // namespace octet::app
