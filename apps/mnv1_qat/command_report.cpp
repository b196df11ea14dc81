// report: a page about what quantization did to a run's net.
#include <algorithm>
#include <filesystem>

#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/comparison.h"
#include "apps/mnv1_qat/pipeline.h"
#include "apps/mnv1_qat/report_page.h"
#include "core/file.h"
#include "data/transform.h"
#include "quant/quantizers/quantizer_switches.h"

namespace octet::app {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kAnalysed = 256;  // pictures for the statistics of layers

std::string file_in(const Options& options, const char* name) { return (fs::path(options.run_dir) / name).string(); }

/// qat.safetensors, or what a calibration has made.
std::string quantized_file(const Options& options) {
  for (const char* name : {"qat.safetensors", "ptq.safetensors"})
    if (fs::exists(file_in(options, name))) return file_in(options, name);
  fail("report", fmt::format("'{}' holds neither qat.safetensors nor ptq.safetensors", options.run_dir),
       "give the folder of a finished run, qat or ptq");
}

Judgement judge(const std::string& name, const optim::PredictFn& predict, const RunReport& run, const Options& options,
                const Console& console) {
  Judgement judgement{name, {}, {}, 0};
  Reporter reporter(console, name, options.batch_size, run.test.size(), nullptr);
  const auto remember = [&](const Tensor& images) {
    const Tensor logits = predict(images);
    const std::vector<std::int64_t> classes = classes_of(logits);
    judgement.classes.insert(judgement.classes.end(), classes.begin(), classes.end());
    return logits;
  };
  judgement.scores = optim::evaluate(remember, run.test, options.batch_size, &reporter);
  return judgement;
}

/// Does the tag of the quantized net say that it began as the net of that tag?
bool began_as(const std::string& floats, const std::string& quantized) {
  const auto tag = parse_tag(quantized);
  return tag.is_object() && tag.contains("from") && tag["from"] == parse_tag(floats);
}

/// The pre-trained net, or, where the folder has none or another's, the quantized one with its quantizers off.
Judgement judge_floats(const LoadedModel& quantized, const RunReport& run, const Options& options,
                       const Console& console) {
  const std::string file = file_in(options, "fp32.safetensors");
  const Predictor predictor = fs::exists(file) ? load_predictor(file) : Predictor{};
  if (predictor.predict && began_as(predictor.tag, quantized.notes.tag)) {
    require_same_classes("report", file, predictor.class_names, run.test);
    Judgement judgement = judge("fp32", predictor.predict, run, options, console);
    judgement.bytes = file_bytes(file);
    return judgement;
  }
  quant::QuantizerSwitches switches(quant::quantized_layers(*quantized.net, "report"));
  switches.set(false);
  return judge(
      "fp32 (quantizers off)", [&](const Tensor& images) { return quantized.net->forward(Variable(images)).value(); },
      run, options, console);
}

/// The integer net of the folder.
Predictor engine_of(const LoadedModel& quantized, const std::string& file, const std::string& int8) {
  const std::string hint = fmt::format("mnv1_qat export {} --out {}", file, int8);
  if (!fs::exists(int8)) fail("report", fmt::format("'{}' is missing: was the run finished?", int8), hint);
  Predictor engine = load_predictor(int8);
  if (engine.tag != quantized.notes.tag) fail("report", fmt::format("'{}' was not made from '{}'", int8, file), hint);
  return engine;
}

/// What the end of a fine-tuning has to say.
void add_warnings_of(const std::vector<TraceLine>& trace, std::vector<std::string>& warnings) {
  constexpr double kMuchOscillation = 0.05;
  if (trace.empty()) return;
  for (const quant::LayerTrace& layer : trace.back().layers)
    if (layer.oscillating > kMuchOscillation)
      warnings.push_back(fmt::format(
          "{}: {:.1f} % of its weights oscillate at the end of the fine-tuning; a falling learning rate, or "
          "more bits, would let them settle.",
          layer.layer, 100 * layer.oscillating));
}

}  // namespace

void report(const Options& options) {
  const Console console(options);
  const std::string file = quantized_file(options);
  const LoadedModel model = load_net(file);
  OCTET_CHECK(!model.notes.quant.empty(), "report", "'{}' has no quantizers", file);
  const std::string int8 = file_in(options, "int8.safetensors");
  const Predictor engine = engine_of(model, file, int8);
  require_writable(options.page);
  RunReport run{options.run_dir,
                model.notes,
                quant::parse_config(model.notes.quant),
                {},
                {},
                {},
                {},
                read_events(file_in(options, "metrics.jsonl")),
                {}};
  run.trace =
      read_trace((fs::path(options.trace_dir.empty() ? options.run_dir : options.trace_dir) / kTraceFile).string());
  if (!options.trace_dir.empty() && run.trace.empty())
    fail("report", fmt::format("'{}' holds no {}", options.trace_dir, kTraceFile), "give the folder of --trace-quant");
  run.test = load_test(options, console);
  require_same_classes("report", file, model.notes.class_names, run.test);
  require_same_classes("report", int8, engine.class_names, run.test);
  run.analysis = quant::analyse(*model.net, kPicture, run.config,
                                data::normalise(run.test.pictures.slice(0, std::min(kAnalysed, run.test.size()))));
  add_warnings_of(run.trace, run.analysis.warnings);
  run.fp32 = judge_floats(model, run, options, console);
  run.int8 = judge("int8 engine", engine.predict, run, options, console);
  run.int8.bytes = file_bytes(int8);
  write_file_atomically(options.page, report_page(run));
  print_out(options.json ? json_text({{"page", options.page},
                                      {"warnings", run.analysis.warnings},
                                      {"sixteen_bits", run.analysis.sixteen_bits}})
                         : fmt::format("{}: {} layers, {} warnings\n", options.page, run.analysis.layers.size(),
                                       run.analysis.warnings.size()));
}

}  // namespace octet::app
