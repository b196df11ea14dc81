#include "quant/observers/make_observer.h"

#include "quant/observers/histogram_observer.h"

namespace octet::quant {
namespace {

/// Of |x|, for grids around 0.
std::shared_ptr<Observer> symmetric_observer(const QuantConfig& config) {
  switch (config.activation_quantize_type) {
    case ActivationQuantize::abs_max:
      return std::make_shared<AbsMaxObserver>();
    case ActivationQuantize::range_abs_max:
      return std::make_shared<RangeAbsMaxObserver>(config.window_size);
    default:
      break;
  }
  if (config.scheme == Scheme::paddle) return std::make_shared<PaddleMovingAverageObserver>(config.moving_rate);
  return std::make_shared<MovingAverageAbsMaxObserver>(config.moving_rate);
}

/// Of both ends.
std::shared_ptr<Observer> affine_observer(const QuantConfig& config) {
  switch (config.activation_quantize_type) {
    case ActivationQuantize::abs_max:
      return std::make_shared<ExtremesObserver>();
    case ActivationQuantize::range_abs_max:
      return std::make_shared<RangeMinMaxObserver>(config.window_size);
    default:
      return std::make_shared<MinMaxObserver>(config.moving_rate);
  }
}

}  // namespace

std::shared_ptr<Observer> make_observer(const QuantConfig& config, const Grid& grid) {
  const auto histogram = [&](kernels::HistogramRule rule) {
    const HistogramSearch search{rule, grid.affine ? 2 : 1, grid.bounds().hi, config.activation_percentile / 100};
    return std::make_shared<HistogramObserver>(search, config.moving_rate);
  };
  switch (config.activation_quantize_type) {
    case ActivationQuantize::lsq:
      return nullptr;
    case ActivationQuantize::percentile:
      return histogram(kernels::HistogramRule::percentile);
    case ActivationQuantize::kl:
      return histogram(kernels::HistogramRule::kl);
    case ActivationQuantize::mse:
      return histogram(kernels::HistogramRule::mse);
    default:
      return grid.affine ? affine_observer(config) : symmetric_observer(config);
  }
}

}  // namespace octet::quant
