// verify: nn (T) against simulator (S) against engine (E), value by value, and the engine's logits against ONNX
// Runtime's.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/comparison.h"
#include "apps/mnv1_qat/deployable.h"
#include "apps/mnv1_qat/onnx_check.h"
#include "apps/mnv1_qat/pipeline.h"
#include "quant/analysis/compare.h"
#include "quant/analysis/layer_codes.h"
#include "quant/deployment/simulator.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "quant/onnx/export.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kWhere = "verify";
constexpr std::int64_t kBatch = 128;

struct Report {
  std::string scheme;
  bool onnx_is_exact = false;  ///< ONNX Runtime computes what the engine computes, bit for bit
  std::int64_t pictures = 0;
  quant::CodeMismatches engine, trained;  ///< E and T against S
  std::optional<LogitAgreement> trained_logits, engine_logits;
  Tensor logits;  ///< the engine's
  OnnxCheck onnx;
};

/// f(begin, end, images) over the test set.
template <class F>
void for_batches(const data::Dataset& test, const Console& console, const char* label, F f) {
  optim::ProgressBar bar(label, test.size(), "pictures", console.bar_style());
  for (std::int64_t begin = 0; begin < test.size(); begin += kBatch) {
    const std::int64_t end = std::min(test.size(), begin + kBatch);
    f(begin, end, data::normalise(test.pictures.slice(begin, end)));
    bar.update(end, "");
  }
  bar.finish("");
}

/// Values of `all` whose names `some` has.
NamedTensors selected(const NamedTensors& all, const NamedTensors& some) {
  NamedTensors chosen;
  for (const auto& value : all)
    if (std::any_of(some.begin(), some.end(), [&](const auto& other) { return other.first == value.first; }))
      chosen.push_back(value);
  return chosen;
}

void compare_executors(const LoadedModel& loaded, const engine::Engine& engine, const data::Dataset& test,
                       const Console& console, Report& report) {
  const quant::QuantConfig config = quant::parse_config(loaded.notes.quant);
  const quant::LayerCodes trained(*loaded.net, kPicture, config);
  const quant::Simulator simulator(*loaded.net, kPicture, config);
  report.trained_logits.emplace(), report.engine_logits.emplace();
  for_batches(test, console, "nn, simulator, engine", [&](std::int64_t begin, std::int64_t end, const Tensor& images) {
    NamedTensors seen, simulated, run;
    const Tensor from_nn = trained.run(images, seen), from_simulator = simulator.run(images, &simulated),
                 from_engine = engine.run(images, &run);
    report.engine.add(quant::code_mismatches(simulated, run));
    report.trained.add(quant::code_mismatches(selected(simulated, seen), seen));
    report.trained_logits->add(from_nn, from_simulator);
    report.engine_logits->add(from_simulator, from_engine);
    report.logits.slice(begin, end).copy_from(from_engine);
  });
}

Json logits_json(const LogitAgreement& logits) {
  return {{"bit_equal", logits.bit_equal},
          {"classes_equal", logits.classes_equal()},
          {"largest_difference", logits.largest_difference}};
}

const quant::LayerMismatch* find_layer(const quant::CodeMismatches& all, const std::string& name) {
  const auto at =
      std::find_if(all.layers.begin(), all.layers.end(), [&](const auto& layer) { return layer.name == name; });
  return at == all.layers.end() ? nullptr : &*at;
}

double share(const quant::LayerMismatch& layer) {
  return layer.elements == 0 ? 0 : static_cast<double>(layer.differing) / static_cast<double>(layer.elements);
}

Json report_json(const Options& options, const Report& report, bool good) {
  Json j{{"model", options.model}, {"scheme", report.scheme}, {"pictures", report.pictures}, {"good", good}};
  if (report.engine_logits) {
    j["codes_differ"] = report.engine.total();
    for (const quant::LayerMismatch& layer : report.engine.layers) {
      Json line{{"name", layer.name}, {"elements", layer.elements}, {"simulator_engine_differ", layer.differing}};
      if (const auto* trained = find_layer(report.trained, layer.name))
        line["nn_simulator_differ"] = trained->differing, line["nn_simulator_share"] = share(*trained),
        line["nn_simulator_largest"] = trained->largest;
      j["layers"].push_back(line);
    }
    j["logits"] = {{"nn_simulator", logits_json(*report.trained_logits)},
                   {"simulator_engine", logits_json(*report.engine_logits)}};
  }
  const OnnxCheck& onnx = report.onnx;
  if (!onnx.skipped.empty())
    j["onnx"] = {{"file", options.onnx_file}, {"skipped", onnx.skipped}};
  else
    j["onnx"] = {{"file", options.onnx_file},
                 {"runtime", onnx.runtime},
                 {"bit_equal", onnx.bit_equal},
                 {"classes_equal", onnx.classes_equal},
                 {"largest_difference", onnx.largest_difference}};
  return j;
}

std::string logits_line(const std::string& who, bool bit_equal, double classes_equal, double largest) {
  return fmt::format("  {:28} classes equal {:7.3f} %   {}\n", who, 100 * classes_equal,
                     bit_equal ? "every bit equal" : fmt::format("largest difference {:.3g}", largest));
}

std::string logits_line(const std::string& who, const LogitAgreement& logits) {
  return logits_line(who, logits.bit_equal, logits.classes_equal(), logits.largest_difference);
}

std::string report_text(const Report& report) {
  std::string text = fmt::format("\n{} pictures, scheme {}\n", report.pictures, report.scheme);
  if (report.engine_logits) {
    constexpr const char* kRow = "  {:40} {:>12} {:>12} {:>14} {:>8}\n";
    text += fmt::format(kRow, "value", "elements", "S/E differ", "T/S differ", "largest");
    for (const quant::LayerMismatch& layer : report.engine.layers) {
      const auto* trained = find_layer(report.trained, layer.name);
      text += fmt::format(kRow, layer.name, layer.elements, layer.differing,
                          trained ? fmt::format("{:.4f} %", 100 * share(*trained)) : "",
                          trained ? fmt::format("{:g}", trained->largest) : "");
    }
    text +=
        "T: nn with fake quantizers; S: simulator; E: engine on the file. T/S: values that a quantizer makes, in "
        "codes.\nlogits\n";
    text += logits_line("nn / simulator", *report.trained_logits) +
            logits_line("simulator / engine", *report.engine_logits);
  } else {
    text += "not compared: nn and simulator, for which the qat.safetensors of the same run is needed\nlogits\n";
  }
  const OnnxCheck& onnx = report.onnx;
  if (!onnx.skipped.empty()) return text + fmt::format("  ONNX Runtime skipped: {}\n", onnx.skipped);
  return text + logits_line("engine / " + onnx.runtime, onnx.bit_equal, onnx.classes_equal, onnx.largest_difference);
}

/// The file that was given, else an export of the engine's own graph.
OnnxCheck compare_onnx(const Options& options, const std::string& engine_file, const ScratchFolder& scratch,
                       const Tensor& pictures, const Tensor& logits) {
  std::string file = options.onnx_file;
  if (file.empty()) {
    try {
      file = scratch.path("model.onnx");
      quant::export_onnx(file, engine::load_graph(engine_file));
    } catch (const Error& error) {
      return {.skipped = error.what(), .runtime = {}};
    }
  }
  return check_onnx(find_python(options.python), file, pictures, logits);
}

/// Other schemes are not ONNX's arithmetic; averages of windows are rounded in ways of the runtimes' own.
bool onnx_is_exact(const engine::Graph& graph) {
  const auto rounds_alike = [](const engine::GraphNode& node) {
    const kernels::ConvGeometry& g = node.geometry;
    return node.op != engine::OpKind::avg_pool || (g.r == g.h && g.s == g.w);
  };
  return graph.scheme == "octet" && std::all_of(graph.nodes.begin(), graph.nodes.end(), rounds_alike);
}

/// What keeps this from being good; empty when nothing does. `onnx_asked`: a runtime has to be there.
std::string verdict(const Report& report, bool onnx_asked) {
  std::string text;
  const auto add = [&](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  if (const std::int64_t differing = report.engine.total(); differing > 0) {
    const auto first = std::find_if(report.engine.layers.begin(), report.engine.layers.end(),
                                    [](const auto& layer) { return layer.differing > 0; });
    add(fmt::format("{} values of simulator and engine differ, first in '{}'", differing, first->name));
  } else if (report.engine_logits && !report.engine_logits->bit_equal) {
    add("the logits of simulator and engine differ");
  }
  const OnnxCheck& onnx = report.onnx;
  if (onnx.skipped.empty() && report.onnx_is_exact && !onnx.bit_equal)
    add(fmt::format("ONNX Runtime's logits differ from the engine's by up to {:.3g}", onnx.largest_difference));
  if (onnx_asked && !onnx.skipped.empty())
    add(onnx.skipped + " ---> HINT give one that has onnxruntime by --python or OCTET_PYTHON");
  return text;
}

}  // namespace

void verify(const Options& options) {
  const Console console(options);
  const ScratchFolder scratch;
  const std::vector<Deployable> made = deployables(options.model, scratch);
  const bool quantized = made.size() == 2, integer = made.back().kind == "int8";
  if (!quantized && options.onnx_file.empty())
    fail(kWhere, fmt::format("'{}' alone has nothing to be held against", options.model),
         integer ? "give --onnx FILE, or qat.safetensors of the same run for nn, simulator and engine"
                 : "give --onnx FILE, or a qat.safetensors");
  OCTET_CHECK(quantized || options.int8_file.empty(), kWhere, "--int8 goes with a qat.safetensors, '{}' is none",
              options.model);
  const std::string engine_file = options.int8_file.empty() ? made.back().file : options.int8_file;
  const auto engine = engine::Engine::load(engine_file, options.device);
  const data::Dataset test = load_test(options, console);
  Report report;
  report.scheme = engine.graph().scheme, report.pictures = test.size();
  report.onnx_is_exact = onnx_is_exact(engine.graph());
  report.logits = Tensor({test.size(), engine.classes()});
  if (quantized)
    compare_executors(load_net(options.model), engine, test, console, report);
  else
    for_batches(test, console, "engine", [&](std::int64_t begin, std::int64_t end, const Tensor& images) {
      report.logits.slice(begin, end).copy_from(engine.run(images));
    });
  report.onnx = compare_onnx(options, engine_file, scratch, test.pictures, report.logits);
  const std::string wrong = verdict(report, !options.onnx_file.empty());
  print_out(options.json ? json_text(report_json(options, report, wrong.empty())) : report_text(report));
  if (!wrong.empty()) fail(kWhere, wrong);
}

}  // namespace octet::app
