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

/// The pre-trained net, or, where the folder has none, the quantized one with its quantizers off.
Judgement judge_floats(const LoadedModel& quantized, const RunReport& run, const Options& options,
                       const Console& console) {
  const std::string file = file_in(options, "fp32.safetensors");
  if (fs::exists(file)) {
    const Predictor predictor = load_predictor(file);
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
  run.test = load_test(options, console);
  require_same_classes("report", file, model.notes.class_names, run.test);
  run.analysis = quant::analyse(*model.net, kPicture, run.config,
                                data::normalise(run.test.pictures.slice(0, std::min(kAnalysed, run.test.size()))));
  add_warnings_of(run.trace, run.analysis.warnings);
  run.fp32 = judge_floats(model, run, options, console);
  const std::string int8 = file_in(options, "int8.safetensors");
  const Predictor engine = load_predictor(int8);
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
