#include "benchmarks/json_text.h"

namespace octet::bench {

nlohmann::ordered_json json_header(const Facts& facts, const Peaks& peaks) {
  nlohmann::ordered_json json;
  for (const auto& [name, value] : facts) {
    nlohmann::ordered_json& place = json["system"][name];
    if (place.is_null()) {
      place = value;
    } else {
      if (!place.is_array()) place = nlohmann::ordered_json::array({place});
      place.push_back(value);
    }
  }
  json["peaks"] = {{"fma_gflops_per_second", peaks.fma_gflops},   {"fma_instruction", peaks.fma_how},
                   {"int8_gops_per_second", peaks.int8_gops},     {"int8_instruction", peaks.int8_how},
                   {"bf16_gflops_per_second", peaks.bf16_gflops}, {"memory_gbytes_per_second", peaks.memory_gbytes}};
  return json;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
  return field + "\"";
}

}  // namespace octet::bench
