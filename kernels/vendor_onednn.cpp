#include "kernels/vendor_onednn.h"

#include <dlfcn.h>

#include "core/parallel.h"

namespace octet::kernels::onednn {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;

/// 3.x takes the arguments of a descriptor at the primitive descriptor, behind the engine.
template <class Primitive, class... Args>
typename Primitive::primitive_desc make(const dnnl::primitive_attr& attributes, const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine(), args..., attributes);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(args...), attributes, engine());
#endif
}
template <class Primitive, class... Args>
typename Primitive::primitive_desc make_hinted(const dnnl::convolution_forward::primitive_desc& hint,
                                               const Args&... args) {
#if DNNL_VERSION_MAJOR >= 3
  return typename Primitive::primitive_desc(engine(), args..., hint);
#else
  return typename Primitive::primitive_desc(typename Primitive::desc(args...), engine(), hint);
#endif
}

/// The types of src, weight and dst (and bias).
struct ConvTypes {
  memory::data_type src, weight, dst;
};

ConvDescriptors describe(const ConvGeometry& g, bool depthwise, bool biased, const ConvTypes& types) {
  using tag = memory::format_tag;
  ConvDescriptors conv;
  conv.src = memory::desc({g.n, g.c, g.h, g.w}, types.src, tag::nhwc);
  conv.dst = memory::desc({g.n, g.k, g.out_h(), g.out_w()}, types.dst, tag::nhwc);
  conv.bias = memory::desc({g.k}, types.dst, tag::x);
  const memory::dims dims = depthwise ? memory::dims{g.c, 1, 1, g.r, g.s} : memory::dims{g.k, g.c, g.r, g.s};
  conv.weight = memory::desc(dims, types.weight, depthwise ? tag::goihw : tag::ohwi);
  conv.any_weight = memory::desc(dims, types.weight, tag::any);
  conv.strides = {g.stride_h, g.stride_w};
  conv.padding = {g.pad_h, g.pad_w};
  conv.biased = biased;
  return conv;
}

}  // namespace

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}
dnnl::stream& stream() {
  static dnnl::stream instance(engine());
  return instance;
}

void use_our_threads() {
  // By name: whichever OpenMP runtime oneDNN brought along, and none where it was built without.
  using SetThreads = void (*)(int);
  static const auto set_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  if (set_threads != nullptr) set_threads(num_threads());
}

ConvDescriptors describe(const ConvGeometry& geometry, bool depthwise, bool biased) {
  using type = memory::data_type;
  return describe(geometry, depthwise, biased, {type::f32, type::f32, type::f32});
}
ConvDescriptors describe_codes(const ConvGeometry& geometry, bool depthwise, bool src_signed) {
  using type = memory::data_type;
  return describe(geometry, depthwise, false, {src_signed ? type::s8 : type::u8, type::s8, type::s32});
}

ConvDescriptors describe_fused(const ConvGeometry& geometry, bool depthwise, DType src, DType dst) {
  using type = memory::data_type;
  const type stored = dst == DType::f32 ? type::f32 : dst == DType::s8 ? type::s8 : type::u8;
  ConvDescriptors conv =
      describe(geometry, depthwise, true, {src == DType::s8 ? type::s8 : type::u8, type::s8, stored});
  conv.bias = memory::desc({geometry.k}, kBiasIsScaled ? type::f32 : type::s32, memory::format_tag::x);
  return conv;
}

dnnl::convolution_forward::primitive_desc forward_of(const ConvDescriptors& c, const dnnl::primitive_attr& attributes) {
  using Primitive = dnnl::convolution_forward;
  const auto kind = prop_kind::forward_training;
  const auto way = algorithm::convolution_direct;
  if (c.biased)
    return make<Primitive>(attributes, kind, way, c.src, c.any_weight, c.bias, c.dst, c.strides, c.padding, c.padding);
  return make<Primitive>(attributes, kind, way, c.src, c.any_weight, c.dst, c.strides, c.padding, c.padding);
}

dnnl::convolution_backward_data::primitive_desc backward_data_of(const ConvDescriptors& c) {
  return make_hinted<dnnl::convolution_backward_data>(forward_of(c), algorithm::convolution_direct, c.src, c.any_weight,
                                                      c.dst, c.strides, c.padding, c.padding);
}

dnnl::convolution_backward_weights::primitive_desc backward_weight_of(const ConvDescriptors& c) {
  using Primitive = dnnl::convolution_backward_weights;
  const auto hint = forward_of(c);
  const auto way = algorithm::convolution_direct;
  if (c.biased)
    return make_hinted<Primitive>(hint, way, c.src, c.any_weight, c.bias, c.dst, c.strides, c.padding, c.padding);
  return make_hinted<Primitive>(hint, way, c.src, c.any_weight, c.dst, c.strides, c.padding, c.padding);
}

}  // namespace octet::kernels::onednn
