// Initial weights, as a function of (seed, layer number): the same bits on every machine.
#pragma once
#include <cstdint>

#include "nn/module.h"

namespace octet::nn {

/// paddle: conv weights N(0, √(2/(r·s·C))), C the input channels of the layer with groups ignored, as paddle.vision's models
/// have it; he: groups counted; identity: he, and a 1 in the middle of every depthwise window and from channel c to channel c of
/// every 1x1 convolution, so that a deep net begins near one that hands its values on (Zagoruyko and Komodakis 2017,
/// "DiracNets"). Linear weights Xavier uniform, biases zero, under all.
enum class Init { paddle, he, identity };

/// While one lives, layers made on this thread leave their weights unset: for nets whose weights initialise() or load_state()
/// sets right after.
class UnsetWeights {
 public:
  UnsetWeights();
  ~UnsetWeights();
  UnsetWeights(const UnsetWeights&) = delete;
  static bool active();

 private:
  bool before_;
};

/// Draws every Conv2d and Linear below `model` anew; layers are numbered in order of registration.
void initialise(Module& model, Init init, std::uint64_t seed);

/// Fills with N(0, sigma²); `layer` tells the layers of one model apart.
void fill_normal(Tensor& weight, double sigma, std::uint64_t seed, std::uint64_t layer);
/// Fills with U(−bound, bound).
void fill_uniform(Tensor& weight, double bound, std::uint64_t seed, std::uint64_t layer);

/// √(2 / fan_in) of He et al. 2015; fan_in = r·s·channels read per output.
double he_sigma(std::int64_t fan_in);
/// √(6 / (fan_in + fan_out)) of Glorot & Bengio 2010.
double xavier_bound(std::int64_t fan_in, std::int64_t fan_out);

}  // namespace octet::nn
