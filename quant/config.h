// What to quantize and how: the tutorial's configuration keys under their own names, checked.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "quant/layer_bits.h"

namespace octet::quant {

/// octet: the contract of docs/quantization.md. paddle: the reference tutorial's arithmetic. tensorrt: octet with every
/// activation s8 symmetric, zero point 0.
enum class Scheme { octet, paddle, tensorrt };
/// Before the rounding. dorefa: of weights only (dorefa.h).
enum class Preprocess { none, pact, dorefa };
/// Batch norm while fine-tuning. kept: weights are quantized as they are, and the batch norm follows. folded: they are multiplied by
/// γ/√(running_var + ε) first, so that the grid is the deployed one (Krishnamoorthi 2018).
enum class BatchNormMode { kept, folded };
/// Weights. channel_wise_*: a scale per output channel. lsq: the step is learned (Esser et al. 2020); the others: see
/// weight_range.h.
enum class WeightQuantize {
  channel_wise_abs_max,
  abs_max,
  channel_wise_lsq,
  lsq,
  channel_wise_percentile,
  percentile,
  channel_wise_mse,
  mse,
  kl,
  channel_wise_sawb,
  sawb
};
/// Activations, always one scale per tensor; see observer.h and histogram_observer.h. min_max is moving_average_abs_max on an affine grid.
/// dorefa: no observer, the grid is fixed (dorefa.h).
enum class ActivationQuantize {
  moving_average_abs_max,
  abs_max,
  range_abs_max,
  min_max,
  lsq,
  percentile,
  kl,
  mse,
  dorefa
};
/// Which gradients pass a quantizer that rounds straight-through. masked: those of values inside the grid; plain: all;
/// scheme: masked under octet and tensorrt, plain under paddle; ewgs: masked, and scaled by how far from the grid a value lies
/// (element-wise gradient scaling, Lee et al. 2021).
enum class Ste { scheme, masked, plain, ewgs };
/// Before anything is rounded; see equalize.h. cross_layer_absorb: high biases are absorbed as well. Both fold batch norms.
enum class Equalize { none, cross_layer, cross_layer_absorb };
/// After calibration; see bias_correction.h.
enum class BiasCorrection { none, empirical, analytic };

const char* name_of(Scheme);
const char* name_of(Preprocess);
const char* name_of(Ste);
const char* name_of(BatchNormMode);
const char* name_of(WeightQuantize);
const char* name_of(ActivationQuantize);
bool is_per_channel(WeightQuantize);
/// By gradients.
bool is_learned(WeightQuantize);
bool is_learned(ActivationQuantize);
/// Does the grid end below the largest value, by a rule other than learning?
bool clips(WeightQuantize);
bool clips(ActivationQuantize);
const char* name_of(Equalize);
const char* name_of(BiasCorrection);
/// "octet", "paddle" or "tensorrt"; throws Error naming the known ones.
Scheme parse_scheme(const std::string& text);

struct QuantConfig {
  Scheme scheme = Scheme::octet;
  Preprocess weight_preprocess_type = Preprocess::none;
  Preprocess activation_preprocess_type = Preprocess::none;
  WeightQuantize weight_quantize_type = WeightQuantize::channel_wise_abs_max;
  ActivationQuantize activation_quantize_type = ActivationQuantize::moving_average_abs_max;
  bool activation_affine =
      false;  ///< zero points, from both ends of the range, with lsq learned (LSQ+, Bhalgat et al. 2020); scheme octet only
  double activation_percentile =
      99.99;                        ///< of |x|, or at each end of an affine grid, that percentile keeps, in (50, 100]
  double weight_percentile = 99.9;  ///< of |w| (of a channel, or of all) that percentile keeps, in (50, 100]
  /// Of quantizers without PACT or a learned step, whose gradients are their papers'. A weight's abs-max clips nothing.
  Ste ste = Ste::scheme;
  double ewgs_delta = 0.1;  ///< gradients g of ewgs become g·(1 + ewgs_delta·sign(g)·(x − x_q) / step), in (0, 2)
  bool activation_power_of_two = false,
       weight_power_of_two = false;  ///< steps are powers of two; not under scheme paddle, not learned ones
  int weight_bits = 8;               ///< 2 to 8
  int activation_bits = 8;           ///< 2 to 8; under octet and tensorrt the picture keeps 8
  int first_last_bits =
      0;  ///< of weights and input of the first and the last quantized layer, 2 to 8; 0: as the others
  /// Other bits for single layers, in order: JSON {"fc": 8, "blocks.*.dw.conv": {"weight_bits": 8}}. A value that several
  /// modules read has the most bits that one of them asks for.
  std::vector<LayerBits> layer_bits;
  double moving_rate = 0.9;  ///< weight of the old value in moving averages, in [0, 1)
  int window_size = 10000;   ///< batches that range_abs_max looks back on, 1 to 1000000
  std::vector<std::string> quantizable_layer_type = {"Conv2D",
                                                     "Linear"};  ///< also DepthwiseConv2D; Conv2D has those in
  /// L2 regularisation of PACT's thresholds (Choi et al. 2018): pact_decay/2 · α² joins the loss; none: the weights' decay counts
  std::optional<double> pact_decay;
  bool fuse_conv_bn = false;  ///< fold batch norms into the weights once, before fine-tuning, and train without them
  BatchNormMode batch_norm = BatchNormMode::kept;
  int batch_norm_freeze_epoch =
      -1;  ///< epoch of fine-tuning, from 0, from which on statistics stay as they are; -1: none
  int batch_norm_reestimate_batches = 0;  ///< training batches that give statistics anew behind fine-tuning; 0: none
  Equalize equalize = Equalize::none;
  int adaround_steps = 0;  ///< of learned rounding per layer (adaround.h), for calibrated nets; 0: to the nearest code
  BiasCorrection bias_correction = BiasCorrection::none;  ///< of calibrated nets; fine-tuning refuses it
  /// Oscillation frequency above which weights freeze (oscillation_freezing.h), above 0 and below 1; 0: none do. By a cosine to
  /// the one at the end, without which it stays; and the momentum of frequencies and average codes.
  double oscillation_threshold = 0;
  std::optional<double> oscillation_threshold_end;
  double oscillation_momentum = 0.01;
  double dampening = 0;  ///< weight at the end of the term that pulls weights to their codes (dampening.h); 0: none
  double distill = 0;    ///< share of the loss that the float net teaches (distillation.h), at most 1; 0: none
  double distill_temperature = 4;  ///< above 0
  std::string dtype = "int8";      ///< nothing else is known
  bool onnx_format = true;         ///< of the tutorial; files are safetensors either way

  /// Throws Error naming the key when a value is out of range or two contradict each other.
  void check() const;
  bool has_affine_activations() const;
  bool quantizes_conv(bool depthwise) const;
  bool quantizes_linear() const;
  /// Are batch norms folded into the weights before quantizers come in?
  bool folds_batch_norms() const { return fuse_conv_bn || equalize != Equalize::none; }
};

/// The same nets with nothing done to the weights beyond folding: for prepare() before load_state().
QuantConfig structure_of(QuantConfig config);

/// Reads a JSON object with the keys of QuantConfig ("None", null or "PACT" for the preprocess types). Throws Error on an
/// unknown key, naming the one that is most like it, on a wrong type and on a wrong value, and runs check().
QuantConfig parse_config(const std::string& json_text);
/// Sets the keys that the object has in an existing configuration, without check(). Throws Error as parse_config() does.
void merge_config(QuantConfig& config, const std::string& json_text);
/// parse_config() of a file.
QuantConfig read_config(const std::string& path);
/// Every key, so that parse_config(to_json(c)) gives c back.
std::string to_json(const QuantConfig& config);

}  // namespace octet::quant
