#include "apps/mnv1_qat/trace_file.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/json_lines.h"
#include "core/error.h"
#include "core/file.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(const quant::LayerTrace& layer) {
  Json j{{"layer", layer.layer},
         {"weight_step", layer.weight_step},
         {"weight_clipped", layer.weight_clipped},
         {"flips", layer.flips},
         {"oscillating", layer.oscillating}};
  if (layer.frozen > 0) j["frozen"] = layer.frozen;
  if (layer.value_step) j["value_step"] = *layer.value_step, j["value_clipped"] = *layer.value_clipped;
  return j;
}

Json json_of(const TraceLine& line) {
  Json layers = Json::array();
  for (const quant::LayerTrace& layer : line.layers) layers.push_back(json_of(layer));
  return {{"step", line.step}, {"layers", layers}};
}

double number_in(const Json& j, const char* key) {
  return j.contains(key) && j[key].is_number() ? j[key].get<double>() : 0;
}

}  // namespace

std::vector<TraceLine> read_trace(const std::string& path) {
  std::vector<TraceLine> lines;
  for (const Json& j : read_json_lines(path)) {
    if (!j.contains("step") || !j["step"].is_number_integer() || !j.contains("layers") || !j["layers"].is_array())
      continue;
    TraceLine line{j["step"].get<std::int64_t>(), {}};
    for (const Json& layer : j["layers"]) {
      if (!layer.is_object() || !layer.contains("layer") || !layer["layer"].is_string()) continue;
      quant::LayerTrace trace{layer["layer"].get<std::string>(),
                              number_in(layer, "weight_step"),
                              number_in(layer, "weight_clipped"),
                              number_in(layer, "flips"),
                              number_in(layer, "oscillating"),
                              number_in(layer, "frozen"),
                              {},
                              {}};
      if (layer.contains("value_step"))
        trace.value_step = number_in(layer, "value_step"), trace.value_clipped = number_in(layer, "value_clipped");
      line.layers.push_back(std::move(trace));
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

void make_trace_folder(const std::string& dir) {
  std::error_code error;
  std::filesystem::create_directories(dir, error);
  OCTET_CHECK(!error, "trace", "cannot make the folder '{}': {}", dir, error.message());
  require_writable((std::filesystem::path(dir) / kTraceFile).string());
}

TraceWriter::TraceWriter(const std::string& dir, nn::Module& model, const Tensor& pictures, std::int64_t every,
                         const quant::OscillationFreezing* freezing)
    : path_((std::filesystem::path(dir) / kTraceFile).string()), trace_(model, pictures, freezing), every_(every) {
  make_trace_folder(dir);
}

void TraceWriter::begin(const optim::Progress& progress) {
  std::vector<Json> kept;
  if (progress.step > 0)
    for (const TraceLine& line : read_trace(path_))
      if (line.step <= progress.step) kept.push_back(json_of(line));
  write_json_lines(path_, kept);
  trace_.begin();
}

void TraceWriter::step(const optim::Progress& progress) {
  trace_.step();
  if (progress.step % every_ == 0) append_line(path_, json_of(TraceLine{progress.step, trace_.look()}).dump());
}

}  // namespace octet::app
