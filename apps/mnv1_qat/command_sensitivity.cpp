// sensitivity: which layers lose accuracy when they are quantized.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/chart/charts.h"
#include "apps/mnv1_qat/bit_budget.h"
#include "apps/mnv1_qat/calibration.h"
#include "apps/mnv1_qat/commands.h"
#include "core/file.h"
#include "quant/analysis/sensitivity.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;
using quant::LayerSensitivity;
using quant::Sensitivity;

/// The layer that loses most comes first: by the loss that it adds alone.
void sort_by_loss(Sensitivity& s) {
  std::stable_sort(s.layers.begin(), s.layers.end(), [](const LayerSensitivity& a, const LayerSensitivity& b) {
    return a.alone.loss() > b.alone.loss();
  });
}

Json scores_json(const optim::Scores& scores) { return {{"top1", scores.top1()}, {"loss", scores.loss()}}; }

Json json_of(const Options& options, const Sensitivity& s, const std::string& source) {
  Json layers = Json::array();
  for (const LayerSensitivity& layer : s.layers)
    layers.push_back(
        {{"layer", layer.layer}, {"alone", scores_json(layer.alone)}, {"all_but", scores_json(layer.all_but)}});
  return {{"model", options.model},
          {"data", source},
          {"test_pictures", s.floats.pictures},
          {"fp32", scores_json(s.floats)},
          {"quantized", scores_json(s.quantized)},
          {"layers", layers}};
}

/// A change of top-1 in points.
std::string points(double now, double before) { return fmt::format("{:+.2f}", 100 * (now - before)); }

std::string text_of(const Sensitivity& s, const std::string& source) {
  constexpr const char* kRow = "  {:24} {:>14} {:>12} {:>16} {:>12}\n";
  std::string text =
      fmt::format("\n{} pictures of {}: top-1 {:.2f} % as floats, {:.2f} % quantized; loss {:.4f}, {:.4f}\n\n",
                  s.floats.pictures, source == "synthetic" ? "SYNTHETIC data" : source, 100 * s.floats.top1(),
                  100 * s.quantized.top1(), s.floats.loss(), s.quantized.loss());
  text += fmt::format(kRow, "", "it alone", "", "all but it", "");
  text += fmt::format(kRow, "layer", "loss", "top-1", "loss", "top-1");
  for (const LayerSensitivity& layer : s.layers)
    text += fmt::format(kRow, layer.layer, fmt::format("{:+.5f}", layer.alone.loss() - s.floats.loss()),
                        points(layer.alone.top1(), s.floats.top1()),
                        fmt::format("{:+.5f}", layer.all_but.loss() - s.quantized.loss()),
                        points(layer.all_but.top1(), s.quantized.top1()));
  return text +
         "\nit alone: change when nothing else is quantized, against floats; all but it: change when everything else "
         "is, against "
         "all quantized.\n";
}

chart::Svg plot_of(const Sensitivity& s) {
  chart::BarChart bars;
  bars.title = "Loss added by quantizing one layer";
  bars.value_name = "loss above that of floats";
  bars.width = 720;
  for (const LayerSensitivity& layer : s.layers)
    bars.bars.push_back({layer.layer, layer.alone.loss() - s.floats.loss(),
                         fmt::format("{:+.4f}, top-1 {}", layer.alone.loss() - s.floats.loss(),
                                     points(layer.alone.top1(), s.floats.top1())),
                         0});
  return draw(bars);
}

}  // namespace

void sensitivity(const Options& options) {
  const Console console(options);
  if (!options.plot.empty()) require_writable(options.plot);
  const data::Split split = load_split(options, {options.limit_train, options.limit_test}, console);
  LoadedModel model = load_quantized(options, split.train, console);
  if (options.budget > 0) return spend_budget(model, split.train, options, console);
  std::unique_ptr<optim::ProgressBar> bar;
  Sensitivity s =
      quant::sensitivity(*model.net, split.test, options.batch_size, [&](std::int64_t done, std::int64_t total) {
        if (!bar) bar = std::make_unique<optim::ProgressBar>("sensitivity", total, "evaluations", console.bar_style());
        done < total ? bar->update(done, "") : bar->finish("");
      });
  sort_by_loss(s);
  print_out(options.json ? json_text(json_of(options, s, split.test.source)) : text_of(s, split.test.source));
  if (options.plot.empty()) return;
  write_file_atomically(options.plot, plot_of(s).file_text());
  if (!options.json) print_out(fmt::format("The plot: {}\n", options.plot));
}

}  // namespace octet::app
