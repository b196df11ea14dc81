// ptq: post-training quantization, so that one sees what fine-tuning adds.
#include <chrono>
#include <nlohmann/json.hpp>

#include "apps/mnv1_qat/calibration.h"
#include "apps/mnv1_qat/commands.h"
#include "core/stopwatch.h"
#include "quant/engine/engine.h"

namespace octet::app {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

optim::Scores score(const char* stage, const optim::PredictFn& predict, const data::Dataset& test,
                    const Options& options, const Console& console) {
  Reporter reporter(console, stage, options.batch_size, test.size(), nullptr);
  return optim::evaluate(predict, test, options.batch_size, &reporter);
}

std::string table(const std::string& source, const optim::Scores& fp32, const optim::Scores& int8) {
  constexpr const char* kRow = "  {:24} {:>12} {:>12}\n";
  const auto percent = [](double x) { return fmt::format("{:.2f} %", 100 * x); };
  return fmt::format("\nPost-training quantization on {}\n",
                     source == "synthetic" ? "SYNTHETIC pictures, not CIFAR-10" : source) +
         fmt::format(kRow, "", "fp32", "int8 engine") +
         fmt::format(kRow, "top-1", percent(fp32.top1()), percent(int8.top1())) +
         fmt::format(kRow, "top-5", percent(fp32.top5()), percent(int8.top5()));
}

}  // namespace

void ptq(const Options& options) {
  LoadedModel model = load_net(options.model);
  require_calibratable(model, options);
  const RunFolder folder(options.ptq_dir);
  if (folder.has("qat.safetensors"))
    fail("ptq", fmt::format("'{}' holds the results of a fine-tuning", options.ptq_dir),
         "another --out keeps them beside these");
  folder.require_no_unfinished_run();
  const Console console(options);
  const data::Split split = load_split(options, {options.limit_train, options.limit_test}, console);
  require_same_classes("calibrate", options.model, model.notes.class_names, split.train);
  const auto trainer = std::make_unique<optim::Trainer>(model.net);
  const optim::Scores fp32 = score(
      "fp32", [&](const Tensor& x) { return trainer->predict(x); }, split.test, options, console);

  const auto start = Clock::now();
  calibrate_and_convert(model, options, split.train, console, folder);
  const double seconds = seconds_since(start);

  const auto engine = engine::Engine::load(folder.path("int8.safetensors"));
  const optim::Scores int8 = score(
      "int8", [&](const Tensor& x) { return engine.run(x); }, split.test, options, console);
  const std::int64_t shown = std::min(options.calibrate, split.train.size());
  const Json j{{"model", folder.path("int8.safetensors")},
               {"net", model.notes.net},
               {"data", split.test.source},
               {"scheme", quant::name_of(options.quant.scheme)},
               {"calibration_pictures", shown},
               {"seconds", seconds},
               {"fp32_top1", fp32.top1()},
               {"fp32_top5", fp32.top5()},
               {"ptq_top1", int8.top1()},
               {"ptq_top5", int8.top5()},
               {"test_pictures", int8.pictures},
               {"int8_bytes", file_bytes(folder.path("int8.safetensors"))}};
  if (options.json) return print_out(json_text(j));
  print_out(table(split.test.source, fp32, int8) +
            fmt::format("  calibrated on {} pictures and converted in {:.2f} s, scheme {}; files in {}: "
                        "int8.safetensors, ptq.safetensors\n",
                        shown, seconds, quant::name_of(options.quant.scheme), options.ptq_dir));
}

}  // namespace octet::app
