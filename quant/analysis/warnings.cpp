#include "quant/analysis/warnings.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {
namespace {

constexpr double kMuchClipped = 0.05, kMostlyUnused = 0.75, kDeadVariance = 1e-12;

class Warner {
 public:
  std::vector<std::string> all;

  void add(std::string sentence) { all.push_back(std::move(sentence)); }

  void grid(const LayerAnalysis& layer, const char* what, const GridUse& use) {
    const float step = *std::max_element(use.grid.scale.begin(), use.grid.scale.end());
    if (step <= 2 * kMinScale)
      return add(fmt::format("{}: the range of its {} has collapsed: every value is zero.", layer.layer, what));
    if (use.clipped > kMuchClipped)
      add(
          fmt::format("{}: {:.1f} % of its {} lie beyond the grid and are clipped; a range that follows the largest "
                      "value, or more calibration "
                      "pictures, would keep them.",
                      layer.layer, 100 * use.clipped, what));
    if (use.values > 16 * use.codes && use.unused > kMostlyUnused * use.codes)
      add(
          fmt::format("{}: {} of the {} codes of its {} are never used: a few large values stretch the range; a "
                      "percentile or MSE range, or PACT, "
                      "would use them.",
                      layer.layer, use.unused, use.codes, what));
  }

  /// A convolution whose channels make the same value whatever they see.
  void channels(const PlanNode& node) {
    std::int64_t dead = 0, first = -1;
    const std::int64_t count = node.geometry.k;
    const auto* conv = dynamic_cast<const nn::Conv2d*>(node.layer);
    if (conv == nullptr) return;
    const Tensor& weight = conv->weight.value();
    const std::int64_t inner = weight.numel() / count;
    for (std::int64_t c = 0; c < count; ++c) {
      const float* w = weight.data<float>() + c * inner;
      bool zero = std::all_of(w, w + inner, [](float x) { return x == 0; });
      if (const nn::BatchNorm2d* bn = node.batch_norm; bn != nullptr && !bn->folded())
        zero = zero || bn->gamma.value().data<float>()[c] == 0 ||
               bn->state.running_var.data<float>()[c] < static_cast<float>(kDeadVariance);
      if (!zero) continue;
      first = dead == 0 ? c : first;
      ++dead;
    }
    if (dead > 0)
      add(
          fmt::format("{}: {} of {} channels are dead (first {}): zero weights, a zero gamma or a variance of zero; "
                      "they make a constant and could be "
                      "removed.",
                      node.name, dead, count, first));
  }
};

/// A threshold that lies beyond its quantizer's grid clips nothing, and gets no gradient.
void threshold(const std::string& path, const FakeQuantizer& quantizer, Warner& warner) {
  for (const auto& [name, child] : quantizer.children()) {
    const auto* pact = dynamic_cast<const Pact*>(child.get());
    if (pact == nullptr) continue;
    const auto grid = quantizer.params();
    if (!pact->started() || !grid) return warner.add(fmt::format("{}: its PACT threshold has seen no data.", path));
    float top = 0;
    for (std::size_t c = 0; c < grid->scale.size(); ++c)
      top = std::max(
          top, grid->step(c) * static_cast<float>(std::max(grid->hi - grid->zero_point, grid->zero_point - grid->lo)));
    if (pact->threshold() <= 2 * kMinScale)
      warner.add(fmt::format("{}: its PACT threshold has shrunk to nothing; regularise it less.", path));
    else if (pact->threshold() > top * 1.0001f)
      warner.add(fmt::format(
          "{}: its PACT threshold ({:.4g}) clips nothing, since values end at {:.4g}: it gets no gradient, it is dead. "
          "Regularise it, or start it lower.",
          path, pact->threshold(), top));
  }
}

/// "blocks.0.dw.conv: 3 channels, first 5: its largest weight only ever sees padding …" as sentences.
void notes(const ConvertReport& report, Warner& warner) {
  std::istringstream lines(report.str());
  for (std::string line; std::getline(lines, line);) warner.add(line + ".");
}

}  // namespace

std::vector<std::string> warnings_of(const nn::Module& model, const Plan& plan,
                                     const std::vector<LayerAnalysis>& layers, const ConvertReport& report) {
  Warner warner;
  for (const LayerAnalysis& layer : layers) {
    if (layer.weight) warner.grid(layer, "weights", *layer.weight);
    if (layer.value && layer.layer != plan.nodes[0].name) warner.grid(layer, "values", *layer.value);
  }
  for (const PlanNode& node : plan.nodes)
    if (node.layer != nullptr) warner.channels(node);
  for (const auto& [path, module] : model.named_modules())
    if (const auto* quantizer = dynamic_cast<const FakeQuantizer*>(module)) threshold(path, *quantizer, warner);
  notes(report, warner);
  return std::move(warner.all);
}

}  // namespace octet::quant
