#include "kernels/conv2d_int8/vendor_int_conv_onednn.h"

#include <fmt/format.h>

#include <map>
#include <mutex>
#include <string_view>

#include "core/allocator.h"
#include "core/error.h"
#include "core/parallel.h"
#include "kernels/conv2d_int8/store_rows.h"
#include "kernels/vendor_onednn.h"

namespace octet::kernels::onednn {
namespace {

using dnnl::memory;

/// Pictures for which oneDNN chooses the weight's layout; other batches take the same, so that packing depends on no n.
constexpr std::int64_t kLayoutBatch = 64;

std::mutex mutex;  // held while a primitive is made or runs: its scratchpad serves one call at a time

std::int64_t depth_of(const IntConvProblem& p, bool depthwise) {
  return depthwise ? p.geometry.r * p.geometry.s : conv_depth(p.geometry);
}
PackedLayout layout_of(const IntConvProblem& p, bool depthwise) {
  return packed_layout(p.geometry.k, depth_of(p, depthwise), 1, 1, sizeof(std::int8_t));
}

/// The layout that oneDNN would like the weight to have.
memory::desc weight_of(const IntConvProblem& problem, bool depthwise) {
  ConvGeometry g = problem.geometry;
  g.n = kLayoutBatch;
  return forward_of(describe_codes(g, depthwise, problem.src == DType::s8)).weights_desc();
}

/// Sums beyond 24 bits survive only in kernels that store s32 without passing through float: oneDNN's BRGEMM ones.
bool keeps_large_sums(const dnnl::convolution_forward::primitive_desc& descriptor) {
  return std::string_view(descriptor.impl_info_str()).substr(0, 3) == "brg";
}
bool has_large_sums(const IntConvProblem& problem, bool depthwise) {
  return depth_of(problem, depthwise) * 255 * problem.largest_weight > (std::int64_t{1} << 24);
}

struct Plan {
  dnnl::convolution_forward primitive;
  ConvDescriptors conv;
  memory::desc weight;
};

/// The plan of a problem, made on first use; the caller holds the mutex.
const Plan& plan_of(const IntConvProblem& problem, bool depthwise) {
  static std::map<std::string, Plan> plans;
  const std::string key = fmt::format("{} {} {} {}", depthwise, has_large_sums(problem, depthwise),
                                      name_of(problem.src), problem.geometry.str());
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  Plan plan;
  plan.weight = weight_of(problem, depthwise);
  plan.conv = describe_codes(problem.geometry, depthwise, problem.src == DType::s8);
  plan.conv.any_weight = plan.weight;
  const auto descriptor = forward_of(plan.conv);
  if (has_large_sums(problem, depthwise) && !keeps_large_sums(descriptor))
    fail("onednn", fmt::format("{} rounds large sums for [{}]", descriptor.impl_info_str(), problem.str()));
  plan.primitive = dnnl::convolution_forward(descriptor);
  return plans.emplace(key, plan).first->second;
}

/// oneDNN takes handles to memory that it may not write as plain pointers too.
memory wrap(const memory::desc& desc, const void* data) { return memory(desc, engine(), const_cast<void*>(data)); }

/// f() under the mutex; oneDNN's errors become ours.
template <class F>
void guarded(const IntConvProblem& problem, F f) {
  const std::lock_guard lock(mutex);
  use_our_threads();
  try {
    f();
    stream().wait();
  } catch (const dnnl::error& error) {
    fail("onednn", fmt::format("{} for [{}]", error.what(), problem.str()));
  }
}

/// s32 sums for the length of a call.
struct Sums {
  explicit Sums(std::int64_t count) : bytes(static_cast<std::size_t>(count) * 4), data(scratch_acquire(bytes)) {}
  Sums(const Sums&) = delete;
  ~Sums() { scratch_release(data, bytes); }
  std::size_t bytes;
  void* data;
};

}  // namespace

const char* inexact_here(const IntConvProblem& problem) {
  constexpr std::int32_t kFitsPairs = 64;  // 255·(64 + 64) < 2^15
  if (!usable(Isa::avx2)) return "what stores oneDNN's sums needs AVX2";
  if (detected_isa() >= Isa::avx512vnni) return nullptr;
  if (problem.largest_weight > kFitsPairs)
    return "oneDNN adds pairs in s16 without AVX512-VNNI, and these weights may be too large";
  return problem.src == DType::s8 ? "oneDNN halves the weights of s8 codes without AVX512-VNNI" : nullptr;
}

const char* int_conv_why_not(const IntConvProblem& problem, bool depthwise) {
  const ConvGeometry& g = problem.geometry;
  if (const char* reason = inexact_here(problem)) return reason;
  if (problem.z_x != 0 && (g.pad_h > 0 || g.pad_w > 0)) return "oneDNN pads with 0, not with the zero point";
  if (g.pad_h >= g.r || g.pad_w >= g.s) return "the padding is as large as the window";
  const std::lock_guard lock(mutex);
  try {
    const auto descriptor = forward_of(describe_codes(g, depthwise, problem.src == DType::s8));
    if (has_large_sums(problem, depthwise) && !keeps_large_sums(descriptor))
      return "oneDNN's kernel for it rounds sums beyond 24 bits";
  } catch (const dnnl::error&) {
    return "oneDNN has no kernel for it";
  }
  return nullptr;
}

std::size_t int_conv_packed_bytes(const IntConvProblem& problem, bool depthwise) {
  const std::lock_guard lock(mutex);
  return layout_of(problem, depthwise).weight + weight_of(problem, depthwise).get_size();
}

void int_conv_pack(const IntConvProblem& problem, bool depthwise, const IntConvWeights& weights, void* packed) {
  const PackedLayout layout = layout_of(problem, depthwise);
  std::string plain(layout.bytes, '\0');
  pack_columns(layout, sizeof(std::int8_t), weights, problem.z_x, plain.data());
  plain.copy(static_cast<char*>(packed), layout.weight);
  guarded(problem, [&] {
    memory ours = wrap(describe_codes(problem.geometry, depthwise, problem.src == DType::s8).weight, weights.weight);
    memory theirs = wrap(weight_of(problem, depthwise), static_cast<char*>(packed) + layout.weight);
    dnnl::reorder(ours, theirs).execute(stream(), ours, theirs);
  });
}

void int_conv_run(const IntConvProblem& problem, bool depthwise, const IntConvPointers& pointers) {
  const std::int64_t rows = problem.geometry.out_pixels(), columns = problem.geometry.k;
  const PackedView view = packed_view(layout_of(problem, depthwise), pointers.packed);
  const Sums sums(rows * columns);
  guarded(problem, [&] {
    const Plan& plan = plan_of(problem, depthwise);
    plan.primitive.execute(stream(), {{DNNL_ARG_SRC, wrap(plan.conv.src, pointers.src)},
                                      {DNNL_ARG_WEIGHTS, wrap(plan.weight, view.weight)},
                                      {DNNL_ARG_DST, wrap(plan.conv.dst, sums.data)}});
  });
  constexpr std::int64_t kBlock = 64;
  const auto store_rows = usable(Isa::avx512vnni) ? store_rows_avx512 : store_rows_avx2;
  parallel_for((rows + kBlock - 1) / kBlock, [&](std::int64_t block) {
    const std::int64_t last = (block + 1) * kBlock < rows ? (block + 1) * kBlock : rows;
    store_rows(problem.store, view, columns, static_cast<const std::int32_t*>(sums.data), block * kBlock, last,
               pointers.dst);
  });
}

}  // namespace octet::kernels::onednn
