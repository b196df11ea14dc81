#include "random_net.h"

#include <cmath>
#include <functional>

#include "core/random.h"
#include "quant/prepare.h"

namespace octet::quant::test {
namespace {

using nn::Conv2dOptions;
using ops::Activation;

/// A straight-line program over earlier values.
class Program : public nn::Module {
 public:
  using Op = std::function<Variable(const std::vector<Variable>&)>;
  std::string kind() const override { return "Program"; }
  Variable forward(const Variable& src) override {
    std::vector<Variable> values{src};
    for (const Op& op : ops_) values.push_back(op(values));
    return values.back();
  }
  template <class M>
  std::shared_ptr<M> own(const std::string& name, std::shared_ptr<M> module) {
    return register_module(name, std::move(module));
  }
  void add(Op op) { ops_.push_back(std::move(op)); }

 private:
  std::vector<Op> ops_;
};

struct Extent {
  std::int64_t h, w, c;
  bool same_map(const Extent& o) const { return h == o.h && w == o.w; }
};

class Builder {
 public:
  explicit Builder(std::uint64_t seed) : random_(seed, Purpose::test, 1), program_(std::make_shared<Program>()) {}

  RandomNet build() {
    extents_ = {{pick(3, 9), pick(3, 9), pick(1, 4)}};
    const Shape shape{3, extents_[0].h, extents_[0].w, extents_[0].c};
    const std::int64_t layers = pick(2, 7);
    for (std::int64_t i = 0; i < layers; ++i) layer();
    finish();
    return {program_, shape};
  }

 private:
  std::int64_t pick(std::int64_t lo, std::int64_t hi) {
    return lo + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(hi - lo + 1)));
  }
  bool chance(double p) { return random_.uniform() < p; }
  Activation activation() {
    return std::array{Activation::none, Activation::relu, Activation::relu6}[static_cast<std::size_t>(pick(0, 2))];
  }
  std::string name(const char* what) { return fmt::format("{}{}", what, extents_.size()); }
  /// Mostly the newest value, at times an older one.
  std::size_t source() {
    return chance(0.75) ? extents_.size() - 1
                        : static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(extents_.size()) - 1));
  }

  void layer() {
    switch (pick(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return convolution(false);
      case 4:
        return convolution(true);
      case 5:
      case 6:
        return add();
      case 7:
        return concat();
      case 8:
        return pool(true);
      default:
        return pool(false);
    }
  }

  void push(Extent extent, Program::Op op) {
    extents_.push_back(extent);
    program_->add(std::move(op));
    ends_in_layer_ = false;
  }

  Conv2dOptions options(const Extent& from, bool depthwise) {
    Conv2dOptions o;
    o.in_channels = from.c;
    o.out_channels = depthwise ? from.c : pick(1, 11);
    o.kernel_h = std::min(pick(1, 3), from.h), o.kernel_w = std::min(pick(1, 3), from.w);
    o.padding = pick(0, std::min(o.kernel_h, o.kernel_w) - 1);
    o.stride = pick(1, 2);
    o.depthwise = depthwise;
    return o;
  }

  void convolution(bool depthwise) {
    const std::size_t i = source();
    const Conv2dOptions o = options(extents_[i], depthwise);
    convolve(i, o, pick(0, 3) != 0, activation());
  }

  void convolve(std::size_t i, const Conv2dOptions& o, bool batch_norm, Activation act) {
    const Extent to{(extents_[i].h + 2 * o.padding - o.kernel_h) / o.stride + 1,
                    (extents_[i].w + 2 * o.padding - o.kernel_w) / o.stride + 1, o.out_channels};
    if (batch_norm && chance(0.8)) {
      auto block = program_->own(name("block"), std::make_shared<nn::ConvBnAct>(o, act));
      push(to, [=](const auto& v) { return (*block)(v[i]); });
      ends_in_layer_ = true;
      return;
    }
    // Layers one by one: a bias of its own, batch norm or not, activation or not.
    auto conv = program_->own(name("conv"), std::make_shared<nn::Conv2d>(o));
    auto bn = batch_norm ? program_->own(name("bn"), std::make_shared<nn::BatchNorm2d>(o.out_channels)) : nullptr;
    push(to, [=](const auto& v) {
      const Variable z = (*conv)(v[i]);
      return ops::activation(bn ? (*bn)(z) : z, act);
    });
    ends_in_layer_ = true;
  }

  void add() {
    const std::size_t a = source();
    std::size_t b = static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(extents_.size()) - 1));
    if (!extents_[b].same_map(extents_[a]) || extents_[b].c != extents_[a].c) {
      Conv2dOptions o;
      o.in_channels = o.out_channels = extents_[a].c;
      convolve(a, o, true, activation());
      b = extents_.size() - 1;
    }
    auto sum = program_->own(name("add"), std::make_shared<nn::Add>());
    const Activation act = activation();
    push(extents_[a], [=](const auto& v) { return ops::activation((*sum)(v[a], v[b]), act); });
  }

  void concat() {
    const std::size_t a = source(),
                      b = static_cast<std::size_t>(pick(0, static_cast<std::int64_t>(extents_.size()) - 1));
    if (!extents_[a].same_map(extents_[b])) return convolution(false);
    auto join = program_->own(name("concat"), std::make_shared<nn::Concat>());
    push({extents_[a].h, extents_[a].w, extents_[a].c + extents_[b].c}, [=](const auto& v) {
      return (*join)({v[a], v[b]});
    });
  }

  void pool(bool largest) {
    const std::size_t i = source();
    ops::Pool2dArgs args;
    args.window_h = std::min(pick(1, 3), extents_[i].h), args.window_w = std::min(pick(1, 3), extents_[i].w);
    args.stride_h = pick(1, 2), args.stride_w = pick(1, 2);
    args.pad_h = pick(0, args.window_h - 1), args.pad_w = pick(0, args.window_w - 1);
    const Extent to{(extents_[i].h + 2 * args.pad_h - args.window_h) / args.stride_h + 1,
                    (extents_[i].w + 2 * args.pad_w - args.window_w) / args.stride_w + 1, extents_[i].c};
    std::shared_ptr<nn::Module> module;
    if (largest)
      module = program_->own(name("max_pool"), std::make_shared<nn::MaxPool2d>(args));
    else
      module = program_->own(name("avg_pool"), std::make_shared<nn::AvgPool2d>(args));
    push(to, [=](const auto& v) { return (*module)(v[i]); });
  }

  void finish() {
    const std::size_t last = extents_.size() - 1;
    Extent now = extents_.back();
    std::shared_ptr<nn::Module> gap;
    if (chance(0.7)) gap = program_->own("pool", std::make_shared<nn::GlobalAvgPool>()), now = {1, 1, now.c};
    auto flatten = program_->own("flatten", std::make_shared<nn::Flatten>());
    const bool linear = chance(0.9) || !gap || !ends_in_layer_;
    auto fc = linear ? program_->own("fc", std::make_shared<nn::Linear>(now.h * now.w * now.c, pick(2, 6), chance(0.8)))
                     : nullptr;
    program_->add([=](const auto& v) {
      const Variable x = (*flatten)(gap ? (*gap)(v[last]) : v[last]);
      return fc ? (*fc)(x) : x;
    });
  }

  Random random_;
  std::shared_ptr<Program> program_;
  std::vector<Extent> extents_;
  bool ends_in_layer_ = false;
};

void draw_statistics(nn::BatchNorm2d& bn, Random& random) {
  for (float& mean : bn.state.running_mean.span<float>()) mean = static_cast<float>(0.5 * random.normal());
  for (float& var : bn.state.running_var.span<float>())
    var = random.uniform() < 0.1 ? 5.6e-45f : static_cast<float>(0.05 + 2 * random.uniform());
}

void draw_parameters(nn::Module& model, std::uint64_t seed) {
  Random random(seed, Purpose::test, 2);
  for (const auto& [name, module] : model.named_modules()) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(module)) {
      const std::int64_t inner = conv->weight.value().numel() / conv->weight.shape()[0];
      float* w = conv->weight.value().data<float>();
      for (std::int64_t k = 0; k < conv->weight.shape()[0]; ++k) {
        const double scale = random.uniform() < 0.05 ? 0 : 0.6 * std::exp(random.normal());
        for (std::int64_t i = 0; i < inner; ++i) w[k * inner + i] = static_cast<float>(scale * random.normal());
      }
      if (conv->bias.defined())
        for (float& b : conv->bias.value().span<float>()) b = static_cast<float>(0.3 * random.normal());
    }
    if (auto* fc = dynamic_cast<nn::Linear*>(module); fc != nullptr && fc->bias.defined())
      for (float& b : fc->bias.value().span<float>()) b = static_cast<float>(0.3 * random.normal());
    if (auto* bn = dynamic_cast<nn::BatchNorm2d*>(module)) {
      for (float& gamma : bn->gamma.value().span<float>()) {
        const double kind = random.uniform();
        gamma = kind < 0.05 ? 0.0f : kind < 0.1 ? 2e-4f : kind < 0.13 ? 1e-30f : static_cast<float>(random.normal());
      }
      for (float& beta : bn->beta.value().span<float>()) beta = static_cast<float>(0.5 * random.normal());
      draw_statistics(*bn, random);
    }
  }
}

}  // namespace

RandomNet random_net(std::uint64_t seed) {
  RandomNet net = Builder(seed).build();
  draw_parameters(*net.model, seed);
  return net;
}

QuantConfig random_config(std::uint64_t seed) {
  Random random(seed, Purpose::test, 3);
  QuantConfig config;
  config.scheme = static_cast<Scheme>(random.below(3));
  config.weight_quantize_type = static_cast<WeightQuantize>(random.below(11));
  config.activation_quantize_type = static_cast<ActivationQuantize>(random.below(9));
  if (config.scheme != Scheme::octet && config.activation_quantize_type == ActivationQuantize::min_max)
    config.activation_quantize_type = ActivationQuantize::moving_average_abs_max;
  config.weight_percentile = 60 + 40 * random.uniform();
  config.ste = static_cast<Ste>(random.below(4));
  const WeightQuantize weight = config.weight_quantize_type;
  if (!is_learned(weight) && !clips(weight) && random.below(4) == 0) config.weight_preprocess_type = Preprocess::pact;
  if (config.weight_preprocess_type == Preprocess::none && random.below(6) == 0)
    config.weight_preprocess_type = Preprocess::dorefa;
  config.activation_percentile = 80 + 20 * random.uniform();
  const ActivationQuantize activation = config.activation_quantize_type;
  const bool takes_zero_points = config.scheme == Scheme::octet && activation != ActivationQuantize::kl &&
                                 activation != ActivationQuantize::dorefa;
  config.activation_affine = takes_zero_points && random.below(3) == 0;
  if (!is_learned(activation) && !clips(activation) && random.below(4) == 0)
    config.activation_preprocess_type = Preprocess::pact;
  if (random.below(2) == 0) config.weight_bits = 2 + static_cast<int>(random.below(7));
  if (random.below(2) == 0) config.activation_bits = 2 + static_cast<int>(random.below(7));
  config.window_size = 3;
  config.fuse_conv_bn = random.below(8) == 0;
  if (!config.fuse_conv_bn && random.below(3) == 0) config.batch_norm = BatchNormMode::folded;
  return config;
}

Tensor random_pictures(const Shape& shape, std::uint64_t seed) {
  Random random(seed, Purpose::test, 4);
  Tensor pictures(shape);
  for (float& x : pictures.span<float>())
    x = random.below(2) == 0 ? (static_cast<float>(random.below(256)) - 127.5f) / 127.5f
                             : static_cast<float>(random.uniform(-1.1, 1.1));
  return pictures;
}

void prepare_and_show(const RandomNet& net, const QuantConfig& config, std::uint64_t seed) {
  prepare(*net.model, net.shape, config);
  net.model->train();
  for (std::uint64_t batch = 0; batch < 2; ++batch)
    (*net.model)(Variable(random_pictures(net.shape, seed * 2 + batch)));
  Random random(seed, Purpose::test, 5);
  for (const auto& [name, module] : net.model->named_modules())
    if (auto* bn = dynamic_cast<nn::BatchNorm2d*>(module); bn != nullptr && !bn->folded() && random.below(2) == 0)
      draw_statistics(*bn, random);
  net.model->eval();
}

}  // namespace octet::quant::test
