// SAWB, statistics-aware weight binning (Choi et al. 2018, "Bridging the accuracy gap for 2-bit quantized neural networks").
#pragma once
#include <cstdint>

namespace octet::quant {

/// The threshold of a weight is rms·√E[w²] − mean·E|w|: a line through the thresholds of least squared error of six
/// distributions that weights resemble (normal, uniform, triangular, Laplace, logistic, von Mises), by least squares over
/// threshold / E|w| against √E[w²] / E|w|. The paper's numbers are for grids of 2^bits codes without 0; these are for Octet's, of
/// 2·hi + 1.
struct SawbFactors {
  double rms = 0, mean = 0;
};
/// For hi = 2^(bits − 1) − 1, 2 to 8 bits; throws Error for another.
SawbFactors sawb_factors(std::int32_t hi);

}  // namespace octet::quant
