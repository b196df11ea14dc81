#include "quant/calibration/bit_sensitivity.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "nn/graph.h"
#include "nn/layers.h"
#include "quant/prepare.h"
#include "quant/quantizers/quantizer_switches.h"

namespace octet::quant {
namespace {

constexpr const char* kWhere = "bits";

struct Layer {
  std::string path;
  nn::Module* module = nullptr;
};

/// Layers with a weight's quantizer, each once, in the order of the net.
std::vector<Layer> weighted_layers(nn::Module& model, const Shape& shape) {
  std::vector<Layer> layers;
  for (const nn::GraphNode& node : nn::trace(model, shape).nodes) {
    if (node.module == nullptr || quantizer_in(*node.module, "weight_transform") == nullptr) continue;
    const bool known =
        std::any_of(layers.begin(), layers.end(), [&](const Layer& layer) { return layer.module == node.module; });
    if (!known) layers.push_back({node.path, node.module});
  }
  if (layers.empty()) fail(kWhere, "the model has no quantized weights", "prepare() it first");
  return layers;
}

void require_unlearned_weights(const QuantConfig& config) {
  const auto refuse = [](const std::string& what) {
    fail(kWhere, what + " is learned by training, for the bits that it had then",
         "choose weight quantizers that observe, or give an fp32 model");
  };
  if (is_learned(config.weight_quantize_type))
    refuse(fmt::format("weight_quantize_type {}", name_of(config.weight_quantize_type)));
  if (config.weight_preprocess_type == Preprocess::pact) refuse("weight_preprocess_type PACT");
}

/// Bits that the configuration wants for this layer and no other; 0: it leaves them open.
int stated_bits(const QuantConfig& config, const std::string& path, bool is_end) {
  const int end = is_end ? config.first_last_bits : 0;
  return bits_of(config.layer_bits, path, end, 0).weight_bits;
}

/// Of the net as it is, a tensor for each batch of pictures.
std::vector<Tensor> logits_of(nn::Module& model, const data::Dataset& dataset, const CalibrateOptions& options) {
  std::vector<Tensor> all;
  for_calibration_batches(dataset, options, [&](const Tensor& images, std::int64_t, std::int64_t) {
    all.push_back(model(Variable(images)).value());
  });
  return all;
}

double divergence(const std::vector<Tensor>& from, const std::vector<Tensor>& to) {
  double sum = 0;
  std::int64_t pictures = 0;
  for (std::size_t batch = 0; batch < from.size(); ++batch) {
    const std::int64_t count = from[batch].shape()[0];
    sum += ops::softmax_kl(Variable(to[batch]), from[batch], 1).value().item() * static_cast<double>(count);
    pictures += count;
  }
  OCTET_CHECK(std::isfinite(sum), kWhere, "the net's logits are not finite, as it is or with one layer in few bits");
  return std::max(0.0, sum / static_cast<double>(pictures));
}

/// While one lives, a layer's weight has another quantizer.
class OtherQuantizer {
 public:
  OtherQuantizer(nn::Module& layer, std::shared_ptr<FakeQuantizer> quantizer)
      : layer_(layer), before_(layer.slot("weight_transform")) {
    quantizer->eval();
    layer.set_slot("weight_transform", std::move(quantizer));
  }
  ~OtherQuantizer() { layer_.set_slot("weight_transform", before_); }
  OtherQuantizer(const OtherQuantizer&) = delete;

 private:
  nn::Module& layer_;
  std::shared_ptr<nn::Transform> before_;
};

}  // namespace

std::vector<LayerChoices> weight_choices(nn::Module& model, const Shape& shape, const QuantConfig& config,
                                         const std::vector<int>& candidates) {
  require_unlearned_weights(config);
  OCTET_CHECK(!candidates.empty(), kWhere, "there are no numbers of bits to choose from");
  for (const int bits : candidates) OCTET_CHECK(bits >= 2 && bits <= 8, kWhere, "{} bits are not 2 to 8", bits);
  const std::vector<Layer> layers = weighted_layers(model, shape);
  std::vector<LayerChoices> all;
  for (const Layer& layer : layers) {
    const int stated = stated_bits(config, layer.path, &layer == &layers.front() || &layer == &layers.back());
    const std::int64_t weights = nn::weight_of(*layer.module).value().numel();
    LayerChoices choices{layer.path, {}};
    for (const int bits : stated != 0 ? std::vector<int>{stated} : candidates)
      choices.choices.push_back({bits, 0, weights * bits});
    all.push_back(std::move(choices));
  }
  return all;
}

void measure_costs(std::vector<LayerChoices>& layers, nn::Module& model, const QuantConfig& config,
                   const data::Dataset& dataset, const CalibrateOptions& options,
                   const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const nn::EvaluationMode evaluation(model);
  const NoGrad no_grad;
  QuantizerSwitches switches(quantized_layers(model, kWhere));
  switches.set(false);
  std::int64_t done = 0, total = 1;
  for (const LayerChoices& layer : layers) total += static_cast<std::int64_t>(layer.choices.size());
  const auto run = [&] {
    std::vector<Tensor> made = logits_of(model, dataset, options);
    if (progress) progress(++done, total);
    return made;
  };
  const std::vector<Tensor> floats = run();
  for (const auto& [path, module] : model.named_modules())
    for (LayerChoices& layer : layers) {
      if (layer.layer != path) continue;
      const std::int64_t channels = nn::weight_of(*module).shape()[0];
      for (BitChoice& choice : layer.choices) {
        const OtherQuantizer rounding(*module, weight_quantizer(config, choice.bits, channels));
        choice.cost = divergence(floats, run());
      }
    }
}

QuantConfig with_bits(QuantConfig config, const std::vector<LayerChoices>& layers, const BitAssignment& assignment) {
  for (std::size_t l = 0; l < layers.size(); ++l) {
    LayerBits entry{layers[l].layer, layers[l].choices[assignment.chosen[l]].bits, 0};
    const auto same = std::find_if(config.layer_bits.begin(), config.layer_bits.end(),
                                   [&](const LayerBits& other) { return other.layer == entry.layer; });
    if (same != config.layer_bits.end()) {
      entry.activation_bits = bits_of(config.layer_bits, entry.layer, 0, 0).activation_bits;
      config.layer_bits.erase(same);
    }
    config.layer_bits.push_back(entry);
  }
  return config;
}

}  // namespace octet::quant
