#include "kernels/conv2d/vendor_conv_onednn.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

#include "core/error.h"
#include "kernels/vendor_onednn.h"

namespace octet::kernels::onednn {
namespace {

using dnnl::memory;

/// A primitive with the layout it wants for the weight.
struct Plan {
  dnnl::primitive primitive;
  memory::desc weight;
};

template <class Descriptor>
Plan plan_of(const Descriptor& descriptor, const memory::desc& weight) {
  return {dnnl::primitive(descriptor.get()), weight};
}

enum class Kind { forward, backward_data, backward_weight };

Plan make_plan(Kind kind, const ConvDescriptors& conv) {
  if (kind == Kind::forward) {
    const auto d = forward_of(conv);
    return plan_of(d, d.weights_desc());
  }
  if (kind == Kind::backward_data) {
    const auto d = backward_data_of(conv);
    return plan_of(d, d.weights_desc());
  }
  const auto d = backward_weight_of(conv);
  return plan_of(d, d.diff_weights_desc());
}

std::mutex plans_mutex;  // held while a primitive runs: its scratchpad serves one call at a time

/// The plan of (kind, geometry), made on first use; the caller holds plans_mutex.
const Plan& plan(Kind kind, const ConvGeometry& g, bool depthwise, const ConvDescriptors& conv) {
  static std::map<std::string, Plan> plans;
  const std::string key = fmt::format("{} {} {} {}", static_cast<int>(kind), depthwise, conv.biased, g.str());
  const auto found = plans.find(key);
  return found != plans.end() ? found->second : plans.emplace(key, make_plan(kind, conv)).first->second;
}

/// oneDNN takes handles to memory that it may not write as plain pointers too.
memory wrap(const memory::desc& desc, const void* data) { return memory(desc, engine(), const_cast<void*>(data)); }

/// Our weight in the plan's layout.
memory reordered(const memory::desc& from, const void* data, const memory::desc& to) {
  memory source = wrap(from, data);
  if (from == to) return source;
  memory target(to, engine());
  dnnl::reorder(source, target).execute(stream(), source, target);
  return target;
}

/// f(conv, plan) with everything set up; oneDNN's errors become ours.
template <class F>
void with_plan(Kind kind, const ConvGeometry& g, bool depthwise, bool biased, F f) {
  const std::lock_guard lock(plans_mutex);
  use_our_threads();
  try {
    const ConvDescriptors conv = describe(g, depthwise, biased);
    f(conv, plan(kind, g, depthwise, conv));
    stream().wait();
  } catch (const dnnl::error& error) {
    fail("onednn", fmt::format("{} for [{}]", error.what(), g.str()), "run another row: unset OCTET_KERNEL");
  }
}

}  // namespace

const char* conv_why_not(const ConvGeometry& g) {
  if (g.n == 0) return "there are no pictures";
  if (g.pad_h >= g.r || g.pad_w >= g.s) return "the padding is as large as the window";
  return nullptr;
}

void conv_forward(const ConvGeometry& g, bool depthwise, const Conv2dPointers& io) {
  with_plan(Kind::forward, g, depthwise, io.bias != nullptr, [&](const ConvDescriptors& conv, const Plan& plan) {
    plan.primitive.execute(stream(), {{DNNL_ARG_SRC, wrap(conv.src, io.src)},
                                      {DNNL_ARG_WEIGHTS, reordered(conv.weight, io.weight, plan.weight)},
                                      {DNNL_ARG_BIAS, wrap(conv.bias, io.bias)},
                                      {DNNL_ARG_DST, wrap(conv.dst, io.dst)}});
  });
}

void conv_backward_data(const ConvGeometry& g, bool depthwise, const Conv2dPointers& io) {
  with_plan(Kind::backward_data, g, depthwise, false, [&](const ConvDescriptors& conv, const Plan& plan) {
    plan.primitive.execute(stream(), {{DNNL_ARG_DIFF_DST, wrap(conv.dst, io.d_dst)},
                                      {DNNL_ARG_WEIGHTS, reordered(conv.weight, io.weight, plan.weight)},
                                      {DNNL_ARG_DIFF_SRC, wrap(conv.src, io.d_src)}});
  });
}

void conv_backward_weight(const ConvGeometry& g, bool depthwise, const Conv2dPointers& io) {
  with_plan(Kind::backward_weight, g, depthwise, io.d_bias != nullptr,
            [&](const ConvDescriptors& conv, const Plan& plan) {
              memory ours = wrap(conv.weight, io.d_weight);
              memory theirs = plan.weight == conv.weight ? ours : memory(plan.weight, engine());
              plan.primitive.execute(stream(), {{DNNL_ARG_SRC, wrap(conv.src, io.src)},
                                                {DNNL_ARG_DIFF_DST, wrap(conv.dst, io.d_dst)},
                                                {DNNL_ARG_DIFF_WEIGHTS, theirs},
                                                {DNNL_ARG_DIFF_BIAS, wrap(conv.bias, io.d_bias)}});
              if (plan.weight != conv.weight) dnnl::reorder(theirs, ours).execute(stream(), theirs, ours);
            });
}

}  // namespace octet::kernels::onednn
