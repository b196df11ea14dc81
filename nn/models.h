// The models: MobileNetV1 as the tutorial has it, MobileNetV2 and a small ResNet to prove that the framework is not one model's.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "nn/init.h"
#include "nn/layers.h"

namespace octet::nn {

/// imagenet: stride-32 net of the paper; cifar: strides of the first two reductions are 1.
enum class Variant { imagenet, cifar };

struct MobileNetV1Options {
  std::int64_t classes = 10;
  double scale = 1.0;  ///< width multiplier, 0.25 to 1.0
  Variant variant = Variant::imagenet;
  Init init = Init::he;
  std::uint64_t seed = 1;
};
/// Howard et al. 2017, layer for layer as paddle.vision.models.mobilenet_v1. Children: conv1, blocks.0 … blocks.12 (dw, pw),
/// pool, flatten, fc.
std::shared_ptr<Module> mobilenet_v1(const MobileNetV1Options& options = {});

struct MobileNetV2Options {
  std::int64_t classes = 10;
  double scale = 1.0;  ///< width multiplier, 1/32 to 4; widths are rounded to multiples of 8
  Variant variant = Variant::imagenet;
  Init init = Init::he;
  std::uint64_t seed = 1;
};
/// Sandler et al. 2018, layer for layer as torchvision.models.mobilenet_v2, without its dropout. Children: conv1, blocks.0 …
/// blocks.16 (expand, dw, project, add, where a block has them), conv2, pool, flatten, fc.
std::shared_ptr<Module> mobilenet_v2(const MobileNetV2Options& options = {});

/// The convolution of a MobileNet behind the stem that halves the maps, in the paper, and keeps them, in the cifar variant
/// (blocks.1.dw.conv of both). Throws Error where a net has none.
Conv2d& first_reduction(Module& mobilenet);

struct SmallResNetOptions {
  std::int64_t classes = 10, width = 16, blocks_per_stage = 1;
  Init init = Init::he;
  std::uint64_t seed = 1;
};
/// He et al. 2016, the CIFAR form: stem, three stages of basic blocks (width, 2·width, 4·width), projection shortcuts.
std::shared_ptr<Module> small_resnet(const SmallResNetOptions& options = {});

}  // namespace octet::nn
