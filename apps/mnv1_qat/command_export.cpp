// export: a model of a run as the engine's file or as ONNX.
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/pipeline.h"
#include "quant/deployment/float_graph.h"
#include "quant/engine/graph_file.h"
#include "quant/onnx/export.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

struct ToExport {
  engine::Graph graph;
  std::string text;  ///< what the user should know of its making
};

bool is_engine_file(const std::string& path) {
  const auto metadata = read_safetensors(path, {.copy = false, .require_checksum = true}).metadata;
  const auto kind = metadata.find("octet.kind");
  return kind != metadata.end() && (kind->second == "int8" || kind->second == "float");
}

ToExport from_engine_file(const Options& options) {
  if (options.export_format == ExportFormat::safetensors)
    fail("export", fmt::format("'{}' is the engine's file already", options.model),
         "--format onnx makes an ONNX file of it");
  ToExport made{engine::load_graph(options.model), ""};
  const bool floats = made.graph.scheme == "float";
  if (options.export_format == ExportFormat::onnx && floats)
    fail("export", fmt::format("'{}' holds floats", options.model), "--format onnx-fp32 writes those");
  if (options.export_format == ExportFormat::onnx_fp32 && !floats)
    fail("export", fmt::format("'{}' holds integers", options.model),
         "give the fp32 or qat.safetensors that it was made from, or --format onnx");
  return made;
}

ToExport from_trained(const Options& options) {
  const LoadedModel loaded = load_net(options.model);
  const bool quantized = !loaded.notes.quant.empty();
  if (options.export_format == ExportFormat::onnx && !quantized)
    fail("export", fmt::format("'{}' is an fp32 model without quantizers", options.model),
         "mnv1_qat qat makes a qat.safetensors from it; or --format onnx-fp32");
  ToExport made;
  if (quantized && options.export_format != ExportFormat::onnx_fp32) {
    const quant::QuantConfig config = quant::parse_config(loaded.notes.quant);
    if (options.export_format == ExportFormat::onnx) quant::require_onnx_profile(name_of(config.scheme));
    quant::ConvertReport report;
    made.graph = quant::convert(*loaded.net, kPicture, config, &report);
    made.text = report.str();
  } else {
    made.graph = quant::float_graph(*loaded.net, kPicture);
  }
  add_notes(made.graph, loaded.notes);
  return made;
}

}  // namespace

void export_model(const Options& options) {
  const ToExport made = is_engine_file(options.model) ? from_engine_file(options) : from_trained(options);
  std::string text = made.text;
  if (options.export_format == ExportFormat::safetensors) {
    engine::save_graph(options.export_file, made.graph);
  } else {
    for (const std::string& note : quant::export_onnx(options.export_file, made.graph).notes) text += note + "\n";
  }
  if (!text.empty()) Console(options).say(text);
  const std::uint64_t bytes = file_bytes(options.export_file);
  const Json j{{"model", options.export_file},
               {"bytes", bytes},
               {"nodes", made.graph.nodes.size()},
               {"scheme", made.graph.scheme}};
  print_out(options.json ? json_text(j)
                         : fmt::format("{}: {} bytes, {} nodes, scheme {}\n", options.export_file, bytes,
                                       made.graph.nodes.size(), made.graph.scheme));
}

}  // namespace octet::app
