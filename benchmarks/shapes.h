// The shapes of MobileNetV1 on 3x32x32 pictures, read from the traced model itself.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/problem.h"

namespace octet::bench {

/// Layers of equal geometry count once.
struct Layer {
  std::string name;                ///< "stem", "dw1", "pw7-11", "fc"
  kernels::ConvGeometry geometry;  ///< n = 1; a linear is a 1x1 convolution on a 1x1 map
  bool depthwise = false;
  int times = 1;  ///< how often the net has it
};
/// An activation map that the net stores, each extent once.
struct Map {
  std::string name;  ///< "16x16x32"
  std::int64_t h = 1, w = 1, c = 1;
  std::int64_t pixels(std::int64_t batch) const { return batch * h * w; }
};
struct Network {
  std::vector<Layer> layers;  ///< in order of execution, the linear last
  std::vector<Map> maps;
  std::int64_t parameters = 0;
  std::int64_t classes = 0;
};

/// Traced once.
const Network& network();

/// Layers that run conv2d (stem and 1x1), dwconv2d, linear.
enum class LayerKind { conv, depthwise, linear };
std::vector<Layer> layers_of(LayerKind kind, std::int64_t batch);

}  // namespace octet::bench
