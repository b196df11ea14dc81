#include "apps/mnv1_qat/bit_budget.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "quant/calibration/bit_sensitivity.h"

namespace octet::app {
namespace {

using Json = nlohmann::ordered_json;
using quant::BitAssignment;
using quant::BitChoice;
using quant::LayerChoices;

constexpr double kFloatBits = 32;

const BitChoice& chosen(const std::vector<LayerChoices>& layers, const BitAssignment& found, std::size_t l) {
  return layers[l].choices[found.chosen[l]];
}

double float_size(const std::vector<LayerChoices>& layers) {
  double bits = 0;
  for (const LayerChoices& layer : layers)
    bits += kFloatBits * static_cast<double>(layer.choices[0].size) / layer.choices[0].bits;
  return bits;
}

/// The same bits for all layers that leave them open, the most that fit; none: no number does.
std::optional<BitAssignment> uniform(const std::vector<LayerChoices>& layers, const Options& options,
                                     std::int64_t budget) {
  std::optional<BitAssignment> best;
  for (const int bits : options.candidates) {
    BitAssignment same;
    for (const LayerChoices& layer : layers) {
      const auto at = std::find_if(layer.choices.begin(), layer.choices.end(),
                                   [&](const BitChoice& choice) { return choice.bits == bits; });
      const BitChoice& choice = at == layer.choices.end() ? layer.choices[0] : *at;
      same.chosen.push_back(static_cast<std::size_t>(&choice - layer.choices.data()));
      same.cost += choice.cost, same.size += choice.size;
    }
    if (same.size <= budget && (!best || same.size > best->size)) best = same;
  }
  return best;
}

Json json_of(const std::vector<LayerChoices>& layers, const BitAssignment& found,
             const std::optional<BitAssignment>& same, const Options& options) {
  Json rows = Json::array();
  for (std::size_t l = 0; l < layers.size(); ++l) {
    Json costs = Json::object();
    for (const BitChoice& choice : layers[l].choices) costs[std::to_string(choice.bits)] = choice.cost;
    const BitChoice& choice = chosen(layers, found, l);
    rows.push_back({{"layer", layers[l].layer},
                    {"weights", choice.size / choice.bits},
                    {"bits", choice.bits},
                    {"divergence", costs}});
  }
  Json json{{"model", options.model},
            {"budget", options.budget},
            {"share", static_cast<double>(found.size) / float_size(layers)},
            {"divergence", found.cost},
            {"layers", rows}};
  if (same)
    json["uniform"] = {{"share", static_cast<double>(same->size) / float_size(layers)}, {"divergence", same->cost}};
  return json;
}

std::string text_of(const std::vector<LayerChoices>& layers, const BitAssignment& found,
                    const std::optional<BitAssignment>& same) {
  constexpr const char* kRow = "  {:24} {:>10} {:>6} {:>12}\n";
  std::string text = "\n" + fmt::format(kRow, "layer", "weights", "bits", "divergence");
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const BitChoice& choice = chosen(layers, found, l);
    text +=
        fmt::format(kRow, layers[l].layer, choice.size / choice.bits, choice.bits, fmt::format("{:.6f}", choice.cost));
  }
  const auto total = [&](const BitAssignment& one) {
    return fmt::format("{:.2f} % of fp32, divergence {:.6f}", 100 * static_cast<double>(one.size) / float_size(layers),
                       one.cost);
  };
  text += "\n  these bits: weights take " + total(found) + "\n";
  text +=
      same ? "  the same bits for all, as many as fit: " + total(*same) + "\n" : "  no number of bits for all fits\n";
  return text +
         "\ndivergence: of the classes' probabilities from those of floats, when this layer's weights alone are "
         "rounded.\n";
}

/// What weights take at least must fit.
void require_possible(const std::vector<LayerChoices>& layers, const Options& options) {
  const double share = static_cast<double>(quant::least_size(layers)) / float_size(layers);
  if (share > options.budget)
    fail("sensitivity",
         fmt::format("weights take at least {:.4f} of the fp32 size, the budget is {}", share, options.budget),
         "a larger --budget, or fewer bits among --candidates");
}

std::vector<LayerChoices> measured(LoadedModel& model, const quant::QuantConfig& config, const data::Dataset& train,
                                   const Options& options, const Console& console) {
  std::vector<LayerChoices> layers = quant::weight_choices(*model.net, kPicture, config, options.candidates);
  require_possible(layers, options);
  const quant::CalibrateOptions pictures{.pictures = options.calibrate, .seed = options.seed};
  std::unique_ptr<optim::ProgressBar> bar;
  quant::measure_costs(layers, *model.net, config, train, pictures, [&](std::int64_t done, std::int64_t total) {
    if (!bar) bar = std::make_unique<optim::ProgressBar>("bits", total, "evaluations", console.bar_style());
    done < total ? bar->update(done, "") : bar->finish("");
  });
  return layers;
}

}  // namespace

void spend_budget(LoadedModel& model, const data::Dataset& train, const Options& options, const Console& console) {
  const quant::QuantConfig config = quant::parse_config(model.notes.quant);
  const std::vector<LayerChoices> layers = measured(model, config, train, options, console);
  const auto budget = static_cast<std::int64_t>(std::floor(options.budget * float_size(layers)));
  const BitAssignment found = quant::assign_bits(layers, budget);
  const std::optional<BitAssignment> same = uniform(layers, options, budget);
  // First what was measured, then the file, which may not be writable.
  print_out(options.json ? json_text(json_of(layers, found, same, options)) : text_of(layers, found, same));
  if (options.bits_file.empty()) return;
  write_file_atomically(options.bits_file, quant::to_json(quant::with_bits(config, layers, found)));
  if (!options.json) print_out(fmt::format("\n{}: for ptq and qat, by --quant-config\n", options.bits_file));
}

}  // namespace octet::app
