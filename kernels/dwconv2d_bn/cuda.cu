// Fused depthwise convolutions on the device: 3x3 windows of strides 1 and 2, the kernels of dwconv2d with other
// readers and sinks, behind the pass that maps the source.
#include "kernels/cuda_map_source.h"
#include "kernels/dwconv2d/cuda_weights3x3.h"
#include "kernels/dwconv2d/cuda_windows3x3.h"
#include "kernels/dwconv2d_bn/dwconv2d_bn.h"

namespace octet::kernels {
namespace {

template <int V, int kStride>
void forward(const ConvBnProblem& p, const ConvBnPointers& io, const float* x, void* stream) {
  const WindowMap m = window_map(p.geometry);
  const PlainReader<V> src{x};
  const TakeMoments moments(p, io);
  using Shape = Forward3x3<kStride>;
  if (moments.wanted())
    run_tallied3x3<V, Shape>(src, io.weight, moments, io.dst, forward_sides(m), m.n, stream);
  else
    run_windows3x3<V, Shape>(src, io.weight, PlainSink<V>(io.dst, nullptr), forward_sides(m), m.n, stream);
}

template <int V, int kStride>
void backward(const ConvBnProblem& p, const ConvBnPointers& io, const float* x, void* stream) {
  const WindowMap m = window_map(p.geometry);
  const LateReader<V> d(io);
  if (io.d_src != nullptr)
    run_tallied3x3<V, Backward3x3<kStride>>(d, io.weight, MapGradient(p, io), io.d_src, backward_sides(m), m.n, stream);
  if (io.d_weight != nullptr) run_weights3x3<V, kStride>(PlainReader<V>{x}, d, m, io.d_weight, nullptr, stream);
}

template <int V>
void forward_of(const ConvBnProblem& p, const ConvBnPointers& io, const float* x, void* stream) {
  stride3x3(p.geometry) == 1 ? forward<V, 1>(p, io, x, stream) : forward<V, 2>(p, io, x, stream);
}
template <int V>
void backward_of(const ConvBnProblem& p, const ConvBnPointers& io, const float* x, void* stream) {
  stride3x3(p.geometry) == 1 ? backward<V, 1>(p, io, x, stream) : backward<V, 2>(p, io, x, stream);
}

const char* refusal(const ConvBnProblem& p) {
  if (stride3x3(p.geometry) == 0) return "not a 3x3 window of stride 1 or 2";
  if (p.geometry.out_pixels() == 0) return "no pixels";
  return too_large(p.geometry);
}

}  // namespace

const char* OCTET_GPU_WHY_NOT(dwconv2d_bn_fwd_f32)(const ConvBnProblem& p) { return refusal(p); }
void OCTET_GPU_NAME(dwconv2d_bn_fwd_f32)(const ConvBnProblem& p, const ConvBnPointers& io, const Context& context) {
  const MappedSource x(p, io, false, context.stream);
  by_fours(p.geometry.c, {x.data(), io.dst}) ? forward_of<4>(p, io, x.data(), context.stream)
                                             : forward_of<1>(p, io, x.data(), context.stream);
}

const char* OCTET_GPU_WHY_NOT(dwconv2d_bn_bwd_f32)(const ConvBnProblem& p) { return refusal(p); }
void OCTET_GPU_NAME(dwconv2d_bn_bwd_f32)(const ConvBnProblem& p, const ConvBnPointers& io, const Context& context) {
  std::optional<MappedSource> x;
  if (io.d_weight != nullptr) x.emplace(p, io, true, context.stream);
  const float* const source = x ? x->data() : io.src;
  by_fours(p.geometry.c, {source, io.src, io.scale, io.shift, io.d_dst, io.z_dst, io.d_src})
      ? backward_of<4>(p, io, source, context.stream)
      : backward_of<1>(p, io, source, context.stream);
}

}  // namespace octet::kernels
