// Observers: they watch the range of a tensor over training batches. Their state is a buffer, so checkpoints carry it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "kernels/quantizer/quantizer.h"
#include "nn/module.h"
#include "quant/observers/grid.h"

namespace octet::quant {

/// One buffer, "state", where the module lies; the rules are those of kernels/quantizer/quantizer.h. An observed class of values may show
/// several tensors within one training step: they count as one batch, with the union of their ranges. On a device nothing waits:
/// what is not finite makes a state and scales that are not either.
class Observer : public nn::Module {
 public:
  /// Does it watch values, not their range alone? Then it has observe_values(), and not the observe() and watch() of ranges.
  virtual bool wants_values() const { return false; }
  /// Values, f32 or f64, where the observer lies. Throws Error when one is not finite.
  virtual void observe_values(const Tensor& values, bool starts_step);
  /// While on, nothing is forgotten, and all batches count alike: for observers of values.
  virtual void set_accumulating(bool on) { (void)on; }
  /// A tensor's range; `starts_step` is true for the first tensor of a step. Throws Error when it is not finite.
  void observe(Range batch, bool starts_step);
  /// The same, f32 where the observer lies: {least, greatest}, or {largest |x|}.
  void observe(const Tensor& range, bool starts_step);
  /// observe() and scale() in one.
  Tensor watch(const Tensor& range, bool starts_step, const Grid& grid, const Tensor& alpha);
  /// Has data been seen?
  bool seen() const;
  /// The range to quantize at present; meaningful when seen(). Waits for a device.
  Range range() const;
  /// The scale of a symmetric grid over that range, clipped at `alpha` (1, may be undefined): f32 {1}, where the observer
  /// lies.
  Tensor scale(const Grid& grid, const Tensor& alpha) const;

 protected:
  /// `initial`: the state's values, without the mark that data was seen.
  Observer(kernels::ObserverKind kind, const std::vector<float>& initial, double rate = 0);
  void on_mode_change() override { known_seen_ = false; }
  void check(const Tensor& range) const;
  /// The state's values, without the mark: the same memory.
  Tensor values() const { return state_.slice(0, state_.numel() - 1); }
  /// Data was seen.
  void mark_seen();

 private:
  /// The range, where defined, joins the state; the scale, where there is a grid.
  Tensor run(const Tensor& range, bool starts_step, const Grid* grid, const Tensor& alpha) const;
  kernels::ObserverKind kind_;
  double rate_;
  Tensor state_;  ///< the values, then 1 once data was seen
  Tensor step_;   ///< what the row keeps within a step
  bool began_ = false;
  mutable bool known_seen_ = false;  ///< a device's mark need not be read again
};

/// Largest |x| of all batches so far.
class AbsMaxObserver : public Observer {
 public:
  AbsMaxObserver() : Observer(kernels::ObserverKind::abs_max, {0}) {}
  std::string kind() const override { return "AbsMaxObserver"; }
};

/// v ← rate·v + (1 − rate)·max|x|, started at the first batch's value.
class MovingAverageAbsMaxObserver : public Observer {
 public:
  explicit MovingAverageAbsMaxObserver(double rate) : Observer(kernels::ObserverKind::moving_average, {0}, rate) {}
  std::string kind() const override { return "MovingAverageAbsMaxObserver"; }
};

/// PaddlePaddle's moving_average_abs_max: state ← rate·state + 1, accum ← rate·accum + max|x|, range accum / state, both
/// started at 1 (a bias towards 1 over the first batches).
class PaddleMovingAverageObserver : public Observer {
 public:
  explicit PaddleMovingAverageObserver(double rate)
      : Observer(kernels::ObserverKind::paddle_moving_average, {1, 1}, rate) {}
  std::string kind() const override { return "PaddleMovingAverageObserver"; }
};

/// Largest |x| of the last `window` batches.
class RangeAbsMaxObserver : public Observer {
 public:
  explicit RangeAbsMaxObserver(int window)
      : Observer(kernels::ObserverKind::range_abs_max, std::vector<float>(static_cast<std::size_t>(window) + 1, 0.0f)) {
  }
  std::string kind() const override { return "RangeAbsMaxObserver"; }
};

/// Moving averages of the least and the greatest value, started at the first batch's: for affine grids.
class MinMaxObserver : public Observer {
 public:
  explicit MinMaxObserver(double rate) : Observer(kernels::ObserverKind::min_max, {0, 0}, rate) {}
  std::string kind() const override { return "MinMaxObserver"; }
};

/// The least and the greatest value of all batches so far: for affine grids.
class ExtremesObserver : public Observer {
 public:
  ExtremesObserver() : Observer(kernels::ObserverKind::extremes, {0, 0}) {}
  std::string kind() const override { return "ExtremesObserver"; }
};

/// The least and the greatest value of the last `window` batches, and 0: for affine grids.
class RangeMinMaxObserver : public Observer {
 public:
  explicit RangeMinMaxObserver(int window)
      : Observer(kernels::ObserverKind::range_min_max,
                 std::vector<float>(2 * static_cast<std::size_t>(window) + 1, 0.0f)) {}
  std::string kind() const override { return "RangeMinMaxObserver"; }
};

/// Largest |x| per channel of axis 0 (channels = 1: of the whole tensor) of f32 or f64 values, NaN when there is one: f32 {channels}, where
/// they lie.
Tensor abs_max(const Tensor& values, std::int64_t channels);
/// Least and greatest value: f32 {2}, where they lie.
Tensor min_max(const Tensor& values);
/// f32 of any device.
std::vector<float> values_of(const Tensor& values);

}  // namespace octet::quant
