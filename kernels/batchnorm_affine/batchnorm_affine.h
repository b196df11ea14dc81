// Batch normalisation's numbers per channel, in f32 and f64, computed in double and rounded once (Ioffe & Szegedy
// 2015):
//   batchnorm_affine_fwd: r = 1/√(variance + ε);  scale = γ·r;  shift = β − mean·scale, from the rounded scale, so that
//                         the map sends the mean to β as closely as it can. With running statistics (training) also
//                         running = momentum·running + (1 − momentum)·batch, the variance times pixels/(pixels − 1) if
//                         unbiased
//   batchnorm_affine_bwd: with e = d_scale − mean·d_shift:  d_beta = d_shift,  d_gamma = r·e,  and, where wanted, the
//                         gradient of z through its statistics as slope·z + offset:
//                         slope = −γ·r³·e/pixels (0 where the variance is 0: it has no gradient there, only the mean
//                         has), offset = −scale·d_shift/pixels − slope·mean
// Where the weights of z have been multiplied by the factor f = γ/√(running variance + ε), rounded, as deployment will
// have them (kernels/batchnorm_fold; Krishnamoorthi 2018, section 3.2.2), z/f is what batch norm is about:
//   folded, batch:   with q = variance + ε·f²:  scale = |γ|/√q, shift = β − mean·scale; running as above with mean/f
//                    and variance/f². f is that of the running variance before, and is kept for the backward pass. Where z
//                    is 0 all over, nothing is known of its variance, and the running one stays
//                    backward: d_gamma = sign(γ)·variance·q^(−3/2)·e, slope = −|γ|·q^(−3/2)·e/pixels, the rest as above
//                    a channel of |f| < 2^-60 is dead: scale 1, running statistics stay, no gradient to γ or variance
//   folded, running: scale = 1, shift = β − mean·f;  backward: d_gamma = −mean·r·d_shift
#pragma once
#include "core/host_device.h"
#include "kernels/problem.h"
#include "kernels/room.h"

namespace octet::kernels {

/// Whether z has the factor f already, and then whose statistics are given.
enum class BatchNormFold { none, batch, running };

struct BatchNormAffineProblem {
  std::int64_t c = 1, pixels = 1;
  double epsilon = 1e-5, momentum = 0.9;
  bool unbiased = false;
  BatchNormFold fold = BatchNormFold::none;
  std::string str() const;
};
/// All of c entries; affine and d_affine {2, c}: scale, shift.
struct BatchNormAffinePointers {
  const void *mean = nullptr, *variance = nullptr;
  const void *gamma = nullptr, *beta = nullptr;
  void* affine = nullptr;                                ///< fwd
  void *running_mean = nullptr, *running_var = nullptr;  ///< fwd, updated; both or neither; both where fold is batch
  void* factor = nullptr;                                ///< f, where fold is batch: fwd writes, bwd reads
  const void* d_affine = nullptr;                        ///< bwd
  void *d_gamma = nullptr, *d_beta = nullptr;            ///< bwd
  void *slope = nullptr, *offset = nullptr;              ///< bwd; both or neither
};
using BatchNormAffineRow = Row<BatchNormAffineProblem, BatchNormAffinePointers>;
#define KERNEL(...) OCTET_DECLARE_KERNEL(BatchNormAffineProblem, BatchNormAffinePointers, __VA_ARGS__)
#include "kernels/batchnorm_affine/kernels.inc"
#undef KERNEL

/// Passes: batchnorm_affine_fwd, batchnorm_affine_bwd.
std::span<const BatchNormAffineRow> batchnorm_affine_rows();

}  // namespace octet::kernels
