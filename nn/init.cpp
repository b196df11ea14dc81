#include "nn/init.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/random.h"
#include "nn/layers.h"

namespace octet::nn {

namespace {

thread_local bool unset = false;

/// fill(values of the weight), wherever they lie; not while weights are left unset.
template <class Fill>
void fill_here(Tensor& weight, Fill&& fill) {
  if (UnsetWeights::active()) return;
  Tensor here = weight.device() == Device::cpu ? weight : Tensor(weight.shape(), weight.dtype());
  fill(here.span<float>());
  if (weight.device() != Device::cpu) weight.copy_from(here);
}

}  // namespace

UnsetWeights::UnsetWeights() : before_(std::exchange(unset, true)) {}
UnsetWeights::~UnsetWeights() { unset = before_; }
bool UnsetWeights::active() { return unset; }

void fill_normal(Tensor& weight, double sigma, std::uint64_t seed, std::uint64_t layer) {
  fill_here(weight, [&](std::span<float> to) { octet::fill_normal(to, sigma, seed, Purpose::init, layer); });
}

void fill_uniform(Tensor& weight, double bound, std::uint64_t seed, std::uint64_t layer) {
  Random random(seed, Purpose::init, layer);
  fill_here(weight, [&](std::span<float> to) {
    for (float& w : to) w = static_cast<float>(random.uniform(-bound, bound));
  });
}

double he_sigma(std::int64_t fan_in) { return std::sqrt(2.0 / static_cast<double>(fan_in)); }

double xavier_bound(std::int64_t fan_in, std::int64_t fan_out) {
  return std::sqrt(6.0 / static_cast<double>(fan_in + fan_out));
}

namespace {

void add_identity(const Conv2dOptions& o, std::span<float> weight) {
  if (!o.depthwise && o.kernel_h * o.kernel_w > 1) return;
  const std::int64_t taps = o.kernel_h * o.kernel_w, middle = o.kernel_h / 2 * o.kernel_w + o.kernel_w / 2;
  for (std::int64_t c = 0; c < std::min(o.in_channels, o.out_channels); ++c)
    weight[static_cast<std::size_t>(o.depthwise ? c * taps + middle : c * o.in_channels + c)] += 1;
}

void initialise_conv(Conv2d& conv, Init init, std::uint64_t seed, std::uint64_t layer) {
  const Conv2dOptions& o = conv.options();
  const std::int64_t channels = o.depthwise && init != Init::paddle ? 1 : o.in_channels;
  fill_here(conv.weight.value(), [&](std::span<float> to) {
    octet::fill_normal(to, he_sigma(o.kernel_h * o.kernel_w * channels), seed, Purpose::init, layer);
    if (init == Init::identity) add_identity(o, to);
  });
  if (conv.bias.defined()) conv.bias.value().fill(0);
}

void initialise_linear(Linear& linear, std::uint64_t seed, std::uint64_t layer) {
  const Shape& shape = linear.weight.shape();
  fill_uniform(linear.weight.value(), xavier_bound(shape[1], shape[0]), seed, layer);
  if (linear.bias.defined()) linear.bias.value().fill(0);
}

}  // namespace

void initialise(Module& model, Init init, std::uint64_t seed) {
  std::uint64_t layer = 0;
  for (const auto& [name, module] : model.named_modules()) {
    if (auto conv = dynamic_cast<Conv2d*>(module)) initialise_conv(*conv, init, seed, layer++);
    if (auto linear = dynamic_cast<Linear*>(module)) initialise_linear(*linear, seed, layer++);
  }
}

}  // namespace octet::nn
