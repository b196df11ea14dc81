#include "apps/mnv1_qat/calibration.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "optim/checkpoint.h"
#include "quant/calibration/ptq.h"
#include "quant/engine/graph_file.h"

namespace octet::app {

using Json = nlohmann::ordered_json;

namespace {
/// What a stage of quant::ptq() counts.
const char* unit_of(const std::string& stage) {
  return stage == "calibrate" ? "pictures" : stage == "adaround" ? "steps" : "passes";
}
}  // namespace

void require_calibratable(const LoadedModel& model, const Options& options) {
  quant::require_calibratable(options.quant);
  if (!model.notes.quant.empty())
    fail("calibrate", fmt::format("'{}' is quantized already", options.model),
         "give the fp32.safetensors of a pre-training");
}

void calibrate_model(LoadedModel& model, const Options& options, const data::Dataset& train, const Console& console) {
  require_calibratable(model, options);
  require_same_classes("calibrate", options.model, model.notes.class_names, train);
  const quant::CalibrateOptions calibration{.pictures = options.calibrate, .seed = options.seed};
  std::unique_ptr<optim::ProgressBar> bar;
  std::string showing;
  quant::ptq(*model.net, kPicture, options.quant, train, calibration,
             [&](const std::string& stage, std::int64_t done, std::int64_t total) {
               if (std::exchange(showing, stage) != stage)
                 bar = std::make_unique<optim::ProgressBar>(stage, total, unit_of(stage), console.bar_style());
               done < total ? bar->update(done, "") : bar->finish("");
             });
  model.notes.quant = quant::to_json(options.quant);
  const Json tag{{"stage", "ptq"},
                 {"calibrate", options.calibrate},
                 {"seed", options.seed},
                 {"quant", Json::parse(model.notes.quant)},
                 {"from", parse_tag(model.notes.tag)}};
  model.notes.tag = tag.dump();
}

void calibrate_and_convert(LoadedModel& model, const Options& options, const data::Dataset& train,
                           const Console& console, const RunFolder& folder) {
  calibrate_model(model, options, train, console);
  quant::ConvertReport report;
  engine::Graph graph = quant::convert(*model.net, kPicture, options.quant, &report);
  add_notes(graph, model.notes);
  engine::save_graph(folder.path("int8.safetensors"), graph);
  optim::save_model(folder.path("ptq.safetensors"), *model.net, model.notes.to_metadata());
  write_file_atomically(folder.path("convert.txt"), report.str());
}

LoadedModel load_quantized(const Options& options, const data::Dataset& train, const Console& console) {
  LoadedModel model = load_net(options.model);
  require_same_classes("calibrate", options.model, model.notes.class_names, train);
  if (model.notes.quant.empty()) {
    calibrate_model(model, options, train, console);
  } else if (options.quant_given) {
    fail("calibrate", fmt::format("'{}' has quantizers of its own", options.model),
         "give an fp32.safetensors with these quantization options, or leave them out");
  }
  return model;
}

}  // namespace octet::app
