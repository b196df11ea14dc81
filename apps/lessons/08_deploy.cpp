// Lesson 8: deploying: ONNX and the engine. docs/course/08-deploy.md
#include <fmt/core.h>

#include "apps/lessons/lesson.h"
#include "apps/lessons/stripes.h"
#include "core/safetensors.h"
#include "core/scratch_folder.h"
#include "quant/analysis/analysis.h"
#include "quant/analysis/compare.h"
#include "quant/deployment/simulator.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "quant/onnx/export.h"
#include "quant/qat.h"

using namespace octet;

namespace {

/// A net whose weights and activations have `bits`, trained in floats and then through the rounding.
struct Trained {
  std::shared_ptr<nn::Sequential> net = lesson::stripes_net();
  quant::QuantConfig config;
  explicit Trained(int bits) {
    config.weight_bits = config.activation_bits = bits;
    lesson::train(*net, {.updates = 200, .rate = 0.1});
    quant::Qat(config).quantize(*net, lesson::stripes_shape());
    lesson::train(*net, {.updates = 100, .rate = 0.05, .first = 1000});
    net->eval();
  }
};

// 1. and 2. To a file and back; then simulator and engine must agree in every value.
void deploy(const Trained& trained, const ScratchFolder& folder) {
  const engine::Graph graph = quant::convert(*trained.net, lesson::stripes_shape(), trained.config);
  engine::save_graph(folder.path("int8.safetensors"), graph);
  const engine::Engine engine = engine::Engine::load(folder.path("int8.safetensors"));
  fmt::print("1. the integer graph\n{}", engine::str(engine.graph()));

  const Tensor pictures = lesson::stripes(500, 5000).images;
  NamedTensors simulated, run;
  quant::Simulator(*trained.net, lesson::stripes_shape(), trained.config).run(pictures, &simulated);
  engine.run(pictures, &run);
  const quant::CodeMismatches mismatches = quant::code_mismatches(simulated, run);
  std::int64_t compared = 0;
  for (const quant::LayerMismatch& layer : mismatches.layers) compared += layer.elements;
  fmt::print("2. simulator against engine, 500 pictures: {} values compared, {} differ\n", compared,
             mismatches.total());
  fmt::print("   right: trained net {:.1f} %, engine {:.1f} %\n", 100 * lesson::share_right(*trained.net),
             100 * lesson::share_right([&](const Tensor& images) { return engine.run(images); }));
}

// 3. The same graph for other runtimes. A build may be without ONNX's libraries.
void to_onnx(const Trained& trained, const ScratchFolder& folder) {
  if (!quant::has_onnx()) return fmt::print("3. this build has no ONNX\n");
  const engine::Graph graph = quant::convert(*trained.net, lesson::stripes_shape(), trained.config);
  const quant::OnnxReport report = quant::export_onnx(folder.path("int8.onnx"), graph);
  fmt::print("3. ONNX file: {} bytes, {} notes\n", report.bytes, report.notes.size());
}

std::vector<quant::LayerAnalysis> errors(const Trained& trained) {
  const Tensor pictures = lesson::stripes(500, 5000).images;
  return quant::analyse(*trained.net, lesson::stripes_shape(), trained.config, pictures).layers;
}

// The picture: how far what each layer makes is from what it makes in floats.
chart::Svg picture(const std::vector<quant::LayerAnalysis>& eight, const std::vector<quant::LayerAnalysis>& four) {
  chart::BarChart chart{.title = "Signal to noise of what each layer makes, against the net in floats",
                        .value_name = "dB",
                        .groups = {"8 bits", "4 bits"}};
  for (std::size_t i = 1; i < eight.size(); ++i) {  // 0 is the picture, which comes without error
    chart.bars.push_back({fmt::format("{} ({})", eight[i].layer, eight[i].op), eight[i].error_db, "", 0});
    chart.bars.push_back({"", four[i].error_db, "", 1});
  }
  return draw(chart);
}

chart::Svg teach() {
  const ScratchFolder folder;
  const Trained eight(8), four(4);
  deploy(eight, folder);
  to_onnx(eight, folder);
  fmt::print("   with 4 bits the net has {:.1f} % right\n", 100 * lesson::share_right(*four.net));
  return picture(errors(eight), errors(four));
}

}  // namespace

int main(int argc, char** argv) { return lesson::run(argc, argv, teach); }
