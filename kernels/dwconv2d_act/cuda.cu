#include "kernels/dwconv2d/cuda_forward.h"
#include "kernels/dwconv2d_act/dwconv2d_act.h"

namespace octet::kernels {
namespace {

template <int V>
void run(const DwConv2dActProblem& p, const DwConv2dActPointers& io, void* stream) {
  run_forward_windows<V>(p.geometry, io.src, TapMajor{io.weight}, PlainSink<V>(io.dst, io.bias, p.act), stream);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(dwconv2d_act_fwd_f32)(const DwConv2dActProblem& p) { return too_large(p.geometry); }
void OCTET_GPU_NAME(dwconv2d_act_fwd_f32)(const DwConv2dActProblem& p, const DwConv2dActPointers& io,
                                          const Context& context) {
  if (p.geometry.out_pixels() == 0) return;
  by_fours(p.geometry.c, {io.src, io.weight, io.bias, io.dst}) ? run<4>(p, io, context.stream)
                                                               : run<1>(p, io, context.stream);
}

}  // namespace octet::kernels
