#include "kernels/conv2d_int8/fused_onednn.h"

#include <fmt/format.h>

#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "kernels/conv2d_int8/packed.h"
#include "kernels/conv2d_int8/vendor_int_conv_onednn.h"
#include "kernels/vendor_onednn.h"

namespace octet::kernels::onednn {
namespace {

using dnnl::memory;

dnnl::primitive_attr scaled_by(const IntConvProblem& problem, bool depthwise, const float* multiplier) {
  dnnl::primitive_attr attributes;
#if DNNL_VERSION_MAJOR >= 3
  (void)problem, (void)multiplier;
  attributes.set_scales_mask(DNNL_ARG_WEIGHTS,
                             depthwise ? 3 : 1);  // per filter; grouped weights count it in two extents
#else
  (void)depthwise;
  attributes.set_output_scales(1 << 1, {multiplier, multiplier + problem.geometry.k});
#endif
  return attributes;
}

dnnl::convolution_forward::primitive_desc describe(const IntConvProblem& problem, bool depthwise,
                                                   const float* multiplier) {
  return forward_of(describe_fused(problem.geometry, depthwise, problem.src, problem.store.dst),
                    scaled_by(problem, depthwise, multiplier));
}

bool stores_all_codes(const IntStore& store) {
  if (store.dst == DType::f32) return store.act == Activation::none;
  const bool is_signed = store.dst == DType::s8;
  return store.rule == QuantRule::onnx && store.z == 0 && store.lo == (is_signed ? -128 : 0) &&
         store.hi == (is_signed ? 127 : 255);
}

memory filled(const memory::desc& desc, const void* data) {
  memory made(desc, engine());
  memory plain(desc, engine(), const_cast<void*>(data));
  dnnl::reorder(plain, made).execute(stream(), plain, made);
  stream().wait();
  return made;
}

/// The bias with the zero point folded in, as this generation of oneDNN wants it.
memory bias_of(const IntConvProblem& problem, bool depthwise, const IntConvWeights& weights, const memory::desc& desc) {
  const ConvGeometry& g = problem.geometry;
  const std::int64_t depth = depthwise ? g.r * g.s : conv_depth(g);
  std::vector<std::int32_t> whole;
  std::vector<float> scaled;
  for (std::int64_t k = 0; k < g.k; ++k) {
    whole.push_back(
        folded_bias(weights.weight + k * depth, depth, problem.z_x, weights.bias == nullptr ? 0 : weights.bias[k]));
    scaled.push_back(static_cast<float>(whole.back()) * weights.multiplier[k]);
  }
  return kBiasIsScaled ? filled(desc, scaled.data()) : filled(desc, whole.data());
}

}  // namespace

struct FusedIntConv::Made {
  dnnl::convolution_forward primitive;
  std::unordered_map<int, memory> arguments;
};

const char* FusedIntConv::why_not(const IntConvProblem& problem, bool depthwise) {
  const ConvGeometry& g = problem.geometry;
  if (const char* reason = inexact_here(problem)) return reason;
  if (problem.z_x != 0 && (g.pad_h > 0 || g.pad_w > 0)) return "oneDNN pads with 0, not with the zero point";
  if (!stores_all_codes(problem.store)) return "oneDNN's store has other bounds";
  try {
    describe(problem, depthwise, std::vector<float>(static_cast<std::size_t>(g.k), 0.5f).data());
  } catch (const dnnl::error&) {
    return "oneDNN has no kernel for it";
  }
  return nullptr;
}

FusedIntConv::FusedIntConv(const IntConvProblem& problem, bool depthwise, const IntConvWeights& weights)
    : made_(std::make_shared<Made>()) {
  use_our_threads();
  try {
    const auto descriptor = describe(problem, depthwise, weights.multiplier);
    const ConvDescriptors conv = describe_fused(problem.geometry, depthwise, problem.src, problem.store.dst);
    made_->primitive = dnnl::convolution_forward(descriptor);
    memory ours(conv.weight, engine(), const_cast<std::int8_t*>(weights.weight)),
        theirs(descriptor.weights_desc(), engine());
    dnnl::reorder(ours, theirs).execute(stream(), ours, theirs);
    stream().wait();
    made_->arguments = {{DNNL_ARG_SRC, memory(conv.src, engine(), nullptr)},
                        {DNNL_ARG_WEIGHTS, theirs},
                        {DNNL_ARG_BIAS, bias_of(problem, depthwise, weights, conv.bias)},
                        {DNNL_ARG_DST, memory(conv.dst, engine(), nullptr)}};
#if DNNL_VERSION_MAJOR >= 3
    const memory::desc scales({problem.geometry.k}, memory::data_type::f32, memory::format_tag::x);
    made_->arguments.emplace(DNNL_ARG_ATTR_SCALES | DNNL_ARG_WEIGHTS, filled(scales, weights.multiplier));
#endif
  } catch (const dnnl::error& error) {
    fail("onednn", fmt::format("{} for [{}]", error.what(), problem.str()));
  }
}

void FusedIntConv::run(const void* src, void* dst) const {
  use_our_threads();
  made_->arguments.at(DNNL_ARG_SRC).set_data_handle(const_cast<void*>(src));
  made_->arguments.at(DNNL_ARG_DST).set_data_handle(dst);
  made_->primitive.execute(stream(), made_->arguments);
  stream().wait();
}

}  // namespace octet::kernels::onednn
