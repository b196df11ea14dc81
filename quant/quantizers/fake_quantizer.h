// Fake quantizers: what prepare() puts into a layer's input and weight slots.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/transform.h"
#include "quant/observers/observer.h"
#include "quant/observers/weight_range.h"
#include "quant/quantizers/pact.h"
#include "quant/quantizers/ste.h"

namespace octet::quant {

/// Base of all. One quantizer may sit in several slots (its class of values): a tensor read several times within a forward
/// pass is quantized once. Switches: observing (in training), quantizing, calibrating (which has the last word on both).
class FakeQuantizer : public nn::Transform {
 public:
  Variable apply(const Variable& src) final;
  std::optional<nn::DeferredQuant> defer(const Tensor& range, Device device) final;
  void set_observing(bool on) { observing_ = on; }
  void set_quantizing(bool on) { quantizing_ = on; }
  /// While on: watches in evaluation mode too, and passes every tensor through as it is.
  void set_calibrating(bool on);
  bool observing() const { return observing_; }
  bool quantizing() const { return quantizing_ && !calibrating_; }
  /// Off: what comes in is not a parameter as the optimizer leaves it, so that the update cannot quantize it (nn::WeightTarget).
  void set_reads_parameter(bool on) { reads_parameter_ = on; }
  bool reads_parameter() const { return reads_parameter_; }
  /// How many times the slots of this class are read in one forward pass; prepare() counts them. Default 1.
  void set_reads_per_forward(int reads) { reads_per_forward_ = reads; }
  /// The grid that apply() would use for this tensor in evaluation mode; none when no data was seen. For weights it
  /// follows from the tensor itself, otherwise it is params().
  virtual std::optional<QuantParams> params_for(const Tensor& src) const {
    (void)src;
    return params();
  }
  /// The symmetric grid on which a weight's codes lie, in its own tensors.
  struct WeightGrid {
    QuantParams bounds;  ///< without scales
    Tensor scale;        ///< f32 where the weight lies: 1, or one per entry of axis 0
  };
  /// As params_for(), without waiting for a device; none when nothing is known yet, or what it quantizes is no weight.
  virtual std::optional<WeightGrid> weight_grid(const Tensor& weight) const {
    (void)weight;
    return std::nullopt;
  }
  /// Steps of params() as f32 where the quantizer works, 1 or one per channel, undefined when there are none. On a device: those of the
  /// last apply(), without waiting.
  Tensor steps() const;

 protected:
  /// Sees a tensor of training; starts_step: the first of this forward pass.
  virtual void watch(const Variable& src, bool starts_step) { (void)src, (void)starts_step; }
  virtual Variable quantize(const Variable& src) = 0;
  /// Calibration begins or ends.
  virtual void on_calibrating(bool on) { (void)on; }
  /// Is a tensor's range all that watch() looks at?
  virtual bool observes_ranges() const { return true; }
  /// May a fused operation do what quantize() does, and what watch() does from the range alone (see defer())?
  virtual bool is_plain() const { return false; }
  /// watch() of a tensor with this range, f32 {2}; only where is_plain().
  virtual void watch_range(const Tensor& range, bool starts_step) { (void)range, (void)starts_step; }
  /// Of the gradient that quantize() lets pass; where is_plain().
  virtual bool is_masked() const { return true; }
  /// Can it do without the host on a device? Where is_plain().
  virtual bool works_there() const { return true; }
  /// What a fused operation on a device needs to know; only where is_plain().
  virtual nn::DeferredQuant grid_there() { return {}; }
  /// Of the last apply() on a device; undefined before.
  virtual Tensor scale_there() const { return {}; }
  void on_mode_change() override { restart(); }

 private:
  void restart();
  bool watches() const { return calibrating_ || (observing_ && is_training()); }
  bool observing_ = true, quantizing_ = true, calibrating_ = false, reads_parameter_ = true;
  int reads_per_forward_ = 1;
  int reads_ = 0;  ///< so far in this forward pass
  struct Done {
    std::weak_ptr<Node> src;
    Variable dst;
  };
  std::vector<Done> done_;  ///< of this forward pass, while reads are left
};

/// The fake quantizer in a module's slot; null when the slot is empty, holds something else, or is none of the module's.
FakeQuantizer* quantizer_in(const nn::Module& module, const std::string& slot);

/// A grid given once and for all: the picture's, which follows from its normalisation.
class FixedQuantizer : public FakeQuantizer {
 public:
  explicit FixedQuantizer(QuantParams params) : params_(std::move(params)) {}
  std::string kind() const override { return "FixedQuantizer"; }
  std::optional<QuantParams> params() const override { return params_; }

 protected:
  Variable quantize(const Variable& src) override;
  bool is_plain() const override { return params_.rule == QuantRule::onnx && !params_.per_channel(); }
  Tensor scale_there() const override { return scale_; }
  nn::DeferredQuant grid_there() override;

 private:
  void bring_scale(Device device);
  QuantParams params_;
  Tensor scale_;
};

/// An activation's quantizer: observer, optional PACT in front ("pact"), straight-through gradient (masked outside the grid as
/// `ste` says; PACT does its own clipping). Passes tensors through until data was seen. An affine grid, whose zero point follows from
/// the range, waits for a device in every step; others do not.
class ActivationQuantizer : public FakeQuantizer {
 public:
  ActivationQuantizer(const Grid& grid, std::shared_ptr<Observer> observer, std::shared_ptr<Pact> pact = nullptr,
                      const SteOptions& ste = {});
  std::string kind() const override { return "ActivationQuantizer"; }
  std::optional<QuantParams> params() const override;
  const Grid& grid() const { return grid_; }

 protected:
  void watch(const Variable& src, bool starts_step) override;
  void watch_range(const Tensor& range, bool starts_step) override;
  Variable quantize(const Variable& src) override;
  bool is_plain() const override { return grid_.rule == QuantRule::onnx && pact_ == nullptr && pass_.delta == 0; }
  bool is_masked() const override { return pass_.masked; }
  bool observes_ranges() const override { return !observer_->wants_values(); }
  void on_calibrating(bool on) override { observer_->set_accumulating(on); }
  Tensor scale_there() const override { return scale_; }
  bool works_there() const override { return !grid_.affine; }
  nn::DeferredQuant grid_there() override;

 private:
  Tensor alpha() const;
  Grid grid_;
  std::shared_ptr<Observer> observer_;
  std::shared_ptr<Pact> pact_;
  PassThrough pass_;
  Tensor scale_;               ///< that watch() or quantize() used last
  bool scale_is_new_ = false;  ///< watch() made it, for the quantize() that follows
};

/// A weight's quantizer: its grid follows from the tensor itself at each forward, by `range`; PACT optional. The gradient of
/// weights beyond a threshold passes as `ste` says; the abs-max has none beyond.
class WeightQuantizer : public FakeQuantizer {
 public:
  WeightQuantizer(const Grid& grid, const WeightRange& range, std::shared_ptr<Pact> pact = nullptr,
                  const SteOptions& ste = {});
  std::string kind() const override { return "WeightQuantizer"; }
  /// Of the last tensor applied to. Waits for a device.
  std::optional<QuantParams> params() const override;
  std::optional<QuantParams> params_for(const Tensor& weight) const override;
  std::optional<WeightGrid> weight_grid(const Tensor& weight) const override {
    return WeightGrid{grid_.bounds(), scales_of(weight)};
  }
  std::optional<ops::WeightCodes> codes() const override;
  std::optional<nn::WeightTarget> weight_target(const Tensor& weight) override;
  void set_target_filled(bool filled) override { target_filled_ = filled; }

 protected:
  Variable quantize(const Variable& src) override;
  Tensor scale_there() const override { return scale_; }

 private:
  /// May one sweep find the scales and round (ops::fake_quant_weight)?
  bool is_plain_channels() const {
    return range_.per_channel && range_.clipping == Clipping::none && pact_ == nullptr && pass_.delta == 0 &&
           !grid_.power_of_two;
  }
  /// Of a weight's grids, where it lies.
  Tensor scales_of(const Tensor& weight) const;
  QuantParams grid_with(const Tensor& scale) const;
  Grid grid_;
  WeightRange range_;
  std::shared_ptr<Pact> pact_;
  PassThrough pass_;
  Tensor scale_, codes_;  ///< of what quantize() returned last
  nn::WeightTarget target_;
  bool target_filled_ = false;
};

}  // namespace octet::quant
