// How many bits a layer's accumulator needs.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "quant/engine/graph.h"

namespace octet::quant {

/// a = Σ (q_x − z_x)·q_w + q_b of a layer, over its output channels.
struct AccumulatorUse {
  std::string layer;  ///< node of the graph
  /// Of all sums, partial ones in any order too, over any codes that the layer before can store.
  std::int64_t least = 0, greatest = 0;
  /// Of finished sums, over the pictures.
  std::int64_t seen_least = 0, seen_greatest = 0;
  int bits() const;  ///< two's complement that holds least to greatest
  int seen_bits() const;
};

/// Two's complement bits for all of [least, greatest]: 16 for [−32768, 32767].
int bits_for(std::int64_t least, std::int64_t greatest);

/// Of every layer of an int8 graph, in its order. `pictures` f32 N,H,W,C go through the engine; sums up to 2^24 are
/// exact, larger ones as f32 has them. Layers of floats are left out. Biases of floats (scheme paddle) are no part of a
/// sum.
std::vector<AccumulatorUse> accumulator_use(const engine::Graph& graph, const Tensor& pictures);

/// A sentence: which of these layers would overflow in accumulators of 16 bits.
std::string sixteen_bits(const std::vector<AccumulatorUse>& layers);

}  // namespace octet::quant
