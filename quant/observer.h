// Observers: they watch the range of a tensor over training batches. Their state is a buffer, so checkpoints carry it.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/module.h"
#include "quant/config.h"

namespace octet::quant {

struct Range {
  float min = 0, max = 0;
  /// max(|min|, |max|).
  float abs_max() const;
};

/// One buffer, "state". An observed class of values may show several tensors within one training step: they count as one
/// batch, with the union of their ranges.
class Observer : public nn::Module {
 public:
  /// A tensor's range; `starts_step` is true for the first tensor of a step. Throws Error when it is not finite.
  void observe(Range batch, bool starts_step);
  /// Has data been seen?
  bool seen() const;
  /// The range to quantize at present; meaningful when seen().
  Range range() const { return range_of(values()); }

 protected:
  using State = std::vector<float>;
  explicit Observer(const State& initial);
  /// The state after one more batch; `first`: nothing was seen before it.
  virtual State next(State state, Range batch, bool first) const = 0;
  virtual Range range_of(const State& state) const = 0;

 private:
  State values() const;
  Tensor state_;  ///< the values, then 1 once data was seen
  State base_;    ///< before the current step
  bool base_seen_ = false;
  Range pending_;
};

/// Largest |x| of all batches so far.
class AbsMaxObserver : public Observer {
 public:
  AbsMaxObserver();
  std::string kind() const override { return "AbsMaxObserver"; }

 protected:
  State next(State state, Range batch, bool first) const override;
  Range range_of(const State& state) const override;
};

/// v ← rate·v + (1 − rate)·max|x|, started at the first batch's value.
class MovingAverageAbsMaxObserver : public Observer {
 public:
  explicit MovingAverageAbsMaxObserver(double rate);
  std::string kind() const override { return "MovingAverageAbsMaxObserver"; }

 protected:
  State next(State state, Range batch, bool first) const override;
  Range range_of(const State& state) const override;

 private:
  double rate_;
};

/// PaddlePaddle's moving_average_abs_max: state ← rate·state + 1, accum ← rate·accum + max|x|, range accum / state, both
/// started at 1 (a bias towards 1 over the first batches).
class PaddleMovingAverageObserver : public Observer {
 public:
  explicit PaddleMovingAverageObserver(double rate);
  std::string kind() const override { return "PaddleMovingAverageObserver"; }

 protected:
  State next(State state, Range batch, bool first) const override;
  Range range_of(const State& state) const override;

 private:
  float rate_;
};

/// Largest |x| of the last `window` batches.
class RangeAbsMaxObserver : public Observer {
 public:
  explicit RangeAbsMaxObserver(int window);
  std::string kind() const override { return "RangeAbsMaxObserver"; }

 protected:
  State next(State state, Range batch, bool first) const override;
  Range range_of(const State& state) const override;
};

/// Moving averages of the least and the greatest value, started at the first batch's: for affine grids.
class MinMaxObserver : public Observer {
 public:
  explicit MinMaxObserver(double rate);
  std::string kind() const override { return "MinMaxObserver"; }

 protected:
  State next(State state, Range batch, bool first) const override;
  Range range_of(const State& state) const override;

 private:
  double rate_;
};

/// The observer that config.activation_quantize_type and config.scheme ask for; null for lsq, which learns instead.
std::shared_ptr<Observer> make_observer(const QuantConfig& config);

/// Largest |x| per channel of axis 0 (channels = 1: of the whole tensor), f32 or f64; NaN when there is one.
std::vector<float> abs_max(const Tensor& values, std::int64_t channels);
/// Least and greatest value.
Range min_max(const Tensor& values);

}  // namespace octet::quant
