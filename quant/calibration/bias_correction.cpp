#include "quant/calibration/bias_correction.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/error.h"
#include "quant/analysis/slot_probes.h"
#include "quant/calibration/products.h"
#include "quant/calibration/single_layers.h"
#include "quant/deployment/window_shares.h"
#include "quant/observers/observer.h"
#include "quant/quantizers/quantizer_switches.h"

namespace octet::quant {
namespace {

using engine::OpKind;
using Means = std::vector<double>;
constexpr const char* kWhere = "bias_correction";

/// A layer and what its bias can be added to.
struct Layer {
  const PlanNode* node = nullptr;
  nn::Module* module = nullptr;
  Variable bias;  ///< of the layer, or β; undefined: there is none
};

std::vector<Layer> layers_of(const Drafts& drafts) {
  std::vector<Layer> layers;
  for (const PlanNode* node : single_layers(drafts)) {
    const bool normed = node->batch_norm != nullptr && !node->batch_norm->folded();
    layers.push_back({node, node->layer, normed ? node->batch_norm->beta : nn::bias_of(*node->layer)});
  }
  return layers;
}

Tensor weight_in_use(const Layer& layer) {
  return layer.module->slot("weight_transform")->apply(nn::effective_weight_of(*layer.module)).value();
}

/// Takes an error of the layer's products off the bias; what that is behind the batch norm.
Means correct(const Layer& layer, Means error) {
  float* bias = Variable(layer.bias).value().data<float>();
  const Tensor affine = affine_behind(*layer.node);
  for (std::size_t c = 0; c < error.size(); ++c) {
    error[c] *= affine.data<float>()[c];
    bias[c] = static_cast<float>(bias[c] - error[c]);
  }
  return error;
}

/// Sums over pictures and pixels of what layers make before bias and batch norm.
class ProductMeans {
 public:
  explicit ProductMeans(const std::vector<Layer>& layers)
      : layers_(layers), sums_(layers.size()), counts_(layers.size()) {
    for (const Layer& layer : layers) {
      probes_.add(*layer.module, "input_transform");
      weights_.emplace_back(weight_in_use(layer));
    }
  }
  /// After each forward pass of the model.
  void add() {
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Tensor made = products_of(*layers_[i].module, probes_.came_out(i), weights_[i]).value();
      const std::int64_t channels = made.shape()[-1];
      sums_[i].resize(static_cast<std::size_t>(channels));
      const float* value = made.data<float>();
      for (std::int64_t j = 0; j < made.numel(); ++j) sums_[i][static_cast<std::size_t>(j % channels)] += value[j];
      counts_[i] += made.numel() / channels;
    }
  }
  std::vector<Means> result() const {
    std::vector<Means> means = sums_;
    for (std::size_t i = 0; i < means.size(); ++i)
      for (double& mean : means[i]) mean /= static_cast<double>(counts_[i]);
    return means;
  }

 private:
  std::vector<Layer> layers_;
  SlotProbes probes_;
  std::vector<Variable> weights_;
  std::vector<Means> sums_;
  std::vector<std::int64_t> counts_;
};

std::vector<Means> mean_products(nn::Module& model, const std::vector<Layer>& layers, const data::Dataset& dataset,
                                 const CalibrateOptions& options) {
  ProductMeans means(layers);
  for_calibration_batches(dataset, options, [&](const Tensor& images, std::int64_t, std::int64_t) {
    model(Variable(images));
    means.add();
  });
  return means.result();
}

/// Means of values, channel by channel, as far as batch norms tell.
class KnownMeans {
 public:
  KnownMeans(const Drafts& drafts, const ChannelNormals& normals) {
    for (const Draft& op : drafts.ops) all_.push_back(of(op.node, normals));
  }
  const std::optional<Means>& of_input(const PlanNode& node) const {
    return all_[static_cast<std::size_t>(node.inputs.at(0))];
  }

 private:
  std::optional<Means> of(const PlanNode& node, const ChannelNormals& normals) const {
    if (node.layer != nullptr) {
      const auto normal = normals.find(node.layer);
      return normal == normals.end() ? std::nullopt : std::optional(clipped(normal->second, node.act));
    }
    std::vector<const Means*> in;
    for (const int input : node.inputs) {
      if (!all_[static_cast<std::size_t>(input)]) return std::nullopt;
      in.push_back(&*all_[static_cast<std::size_t>(input)]);
    }
    switch (node.op) {
      case OpKind::avg_pool:
        return *in[0];
      case OpKind::flatten:
        return repeated(*in[0], node.c);
      case OpKind::add:
        return node.act == kernels::Activation::none ? std::optional(sum(*in[0], *in[1])) : std::nullopt;
      case OpKind::concat:
        return joined(in);
      default:
        return std::nullopt;
    }
  }
  static Means clipped(const ChannelNormal& normal, kernels::Activation act) {
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    Means means = normal.mean;
    for (std::size_t c = 0; c < means.size() && act != kernels::Activation::none; ++c)
      means[c] = clipped_normal_mean(normal.mean[c], normal.deviation[c], 0,
                                     act == kernels::Activation::relu6 ? 6 : kInfinite);
    return means;
  }
  static Means repeated(const Means& means, std::int64_t count) {
    Means all;
    while (static_cast<std::int64_t>(all.size()) < count) all.insert(all.end(), means.begin(), means.end());
    return all;
  }
  static Means sum(const Means& a, const Means& b) {
    Means all = a;
    for (std::size_t c = 0; c < all.size(); ++c) all[c] += b[c];
    return all;
  }
  static Means joined(const std::vector<const Means*>& parts) {
    Means all;
    for (const Means* part : parts) all.insert(all.end(), part->begin(), part->end());
    return all;
  }
  std::vector<std::optional<Means>> all_;
};

/// Σ ε·E[x] for every output channel.
Means expected_error(const Layer& layer, const Means& x) {
  const Tensor weight = nn::effective_weight_of(*layer.module).value(), rounded = weight_in_use(layer);
  const std::vector<double> shares = window_shares(layer.node->geometry);
  const bool depthwise = layer.node->op == OpKind::dwconv2d;
  const std::int64_t rows = weight.shape()[0], taps = static_cast<std::int64_t>(shares.size());
  const std::int64_t columns = weight.numel() / (rows * taps);
  Means error(static_cast<std::size_t>(rows), 0.0);
  for (std::int64_t k = 0, i = 0; k < rows; ++k)
    for (std::int64_t tap = 0; tap < taps; ++tap)
      for (std::int64_t c = 0; c < columns; ++c, ++i) {
        const double epsilon = static_cast<double>(rounded.data<float>()[i]) - weight.data<float>()[i];
        error[static_cast<std::size_t>(k)] +=
            shares[static_cast<std::size_t>(tap)] * epsilon * x[static_cast<std::size_t>(depthwise ? k : c)];
      }
  return error;
}

}  // namespace

std::vector<BiasShift> correct_biases(nn::Module& model, const Shape& shape, const data::Dataset& dataset,
                                      const CalibrateOptions& options,
                                      const std::function<void(std::int64_t, std::int64_t)>& progress) {
  OCTET_CHECK(model.device() == Device::cpu, kWhere, "the net lies on a device ---> HINT move it to the host first");
  const Drafts drafts = draft(nn::trace(model, shape));
  const std::vector<Layer> layers = layers_of(drafts);
  QuantizerSwitches switches(quantized_layers(model, kWhere));
  model.eval();
  const NoGrad no_grad;
  const auto total = static_cast<std::int64_t>(layers.size()) + 1;
  switches.set(false);
  const std::vector<Means> floats = mean_products(model, layers, dataset, options);
  if (progress) progress(1, total);
  for (const auto& [path, module] : model.named_modules())
    if (FakeQuantizer* quantizer = quantizer_in(*module, "weight_transform")) quantizer->set_quantizing(true);
  std::vector<BiasShift> shifts;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    BiasShift shift{layers[i].node->name, {}};
    if (layers[i].bias.defined()) {
      Means error = mean_products(model, {layers[i]}, dataset, options)[0];
      for (std::size_t c = 0; c < error.size(); ++c) error[c] -= floats[i][c];
      shift.shift = correct(layers[i], std::move(error));
    }
    shifts.push_back(std::move(shift));
    if (progress) progress(static_cast<std::int64_t>(i) + 2, total);
  }
  return shifts;
}

std::vector<BiasShift> correct_biases(nn::Module& model, const Shape& shape, const ChannelNormals& normals) {
  OCTET_CHECK(model.device() == Device::cpu, kWhere, "the net lies on a device ---> HINT move it to the host first");
  const Drafts drafts = draft(nn::trace(model, shape));
  const KnownMeans known(drafts, normals);
  const NoGrad no_grad;
  bool any = false;
  std::vector<BiasShift> shifts;
  for (const Layer& layer : layers_of(drafts)) {
    BiasShift shift{layer.node->name, {}};
    const std::optional<Means>& x = known.of_input(*layer.node);
    if (x && layer.bias.defined()) shift.shift = correct(layer, expected_error(layer, *x)), any = true;
    shifts.push_back(std::move(shift));
  }
  if (!any)
    fail(kWhere, "no layer reads a value that a batch norm describes",
         "bias_correction empirical looks at pictures instead");
  return shifts;
}

}  // namespace octet::quant
