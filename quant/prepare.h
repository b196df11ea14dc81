// Puts fake quantizers into a model's slots.
#pragma once
#include "core/shape.h"
#include "nn/module.h"
#include "quant/calibration/channel_normals.h"
#include "quant/config.h"
#include "quant/quantizers/fake_quantizer.h"

namespace octet::quant {

/// Step of the picture's codes, from the normalisation (x − 127.5) / 127.5.
inline constexpr float kPictureStep = 1.0f / 127.0f;
/// Where activations want powers of two: white is clipped from 128 to 127.
inline constexpr float kPicturePowerOfTwo = 1.0f / 128.0f;

/// Traces `model` on pictures of `shape` (pictures extent first) and fills the slots. octet and tensorrt: one quantizer per class
/// of values (what max pool, flatten, dropout and concat hand on stays in the class), in every slot that reads the class; shift
/// rounders behind quantized convs and linears. paddle: an own quantizer on each quantizable layer's input and weight.
/// fuse_conv_bn folds batch norms first, and then equalize() balances the weights if the configuration wants it; `normals` gets what
/// the batch norms said before. batch_norm folded has quantized convolutions fold theirs while they train. Throws Error when the
/// model is prepared already, or cannot be traced.
void prepare(nn::Module& model, const Shape& shape, const QuantConfig& config, ChannelNormals* normals = nullptr);

/// What prepare() puts into the weight's slot of a layer with so many output channels.
std::shared_ptr<FakeQuantizer> weight_quantizer(const QuantConfig& config, int bits, std::int64_t channels);

/// Does any slot hold a fake quantizer?
bool is_prepared(const nn::Module& model);
/// Empties every slot that prepare() filled.
void remove_quantizers(nn::Module& model);

}  // namespace octet::quant
