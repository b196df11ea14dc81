#include <cmath>

#include "core/allocator.h"
#include "core/error.h"
#include "core/gpu/gpu.h"
#include "kernels/conv2d_int8/conv2d_int8.h"
#include "kernels/conv2d_int8/sorted_groups.h"

namespace octet::kernels {
namespace {

/// Smallest and largest value of a code's dtype.
std::int32_t lowest(DType type) { return type == DType::s8 ? -128 : 0; }
std::int32_t highest(DType type) { return type == DType::s8 ? 127 : 255; }

void check_geometry(const char* where, const IntConvProblem& p) {
  constexpr std::int64_t limit = std::int64_t{1} << 24;
  const ConvGeometry& g = p.geometry;
  for (std::int64_t extent : {g.n, g.h, g.w, g.c, g.k, g.r, g.s, g.stride_h, g.stride_w})
    OCTET_CHECK(extent >= 1 && extent <= limit, where, "an extent is outside 1 to {} ({})", limit, p.str());
  const double weight = static_cast<double>(g.k) * static_cast<double>(g.r) * static_cast<double>(g.s * g.c);
  OCTET_CHECK(weight <= 1e12, where, "the weight has {} elements ({})", weight, p.str());
  OCTET_CHECK(g.pad_h >= 0 && g.pad_h < limit && g.pad_w >= 0 && g.pad_w < limit, where, "bad padding ({})", p.str());
  OCTET_CHECK(g.h + 2 * g.pad_h >= g.r && g.w + 2 * g.pad_w >= g.s, where, "filter {}x{} exceeds the padded map ({})",
              g.r, g.s, p.str());
}

void check_store(const char* where, const IntConvProblem& p) {
  const IntStore& s = p.store;
  OCTET_CHECK(p.src == DType::u8 || p.src == DType::s8, where, "src is {}, expects u8 or s8", name_of(p.src));
  OCTET_CHECK(p.z_x >= lowest(p.src) && p.z_x <= highest(p.src), where, "zero point {} of src is no {}", p.z_x,
              name_of(p.src));
  if (s.dst == DType::f32) return;
  OCTET_CHECK(s.dst == DType::u8 || s.dst == DType::s8, where, "dst is {}, expects u8, s8 or f32", name_of(s.dst));
  OCTET_CHECK(
      s.lo <= s.hi && s.lo >= lowest(s.dst) && s.hi <= highest(s.dst) && s.z >= lowest(s.dst) && s.z <= highest(s.dst),
      where, "codes [{}, {}] around {} are no {}", s.lo, s.hi, s.z, name_of(s.dst));
  OCTET_CHECK(s.rule == QuantRule::onnx || s.z == 0, where, "zero point {} under the paddle rule, expects 0", s.z);
}

}  // namespace

std::string IntConvProblem::str() const {
  std::string text = geometry.str() + " " + name_of(src) + fmt::format("-{} > {}", z_x, name_of(store.dst));
  if (store.dst == DType::f32) return text + " " + name_of(store.act);
  return text +
         fmt::format("-{} [{}, {}] {}", store.z, store.lo, store.hi, store.rule == QuantRule::onnx ? "onnx" : "paddle");
}

void check_int_conv(const char* where, const IntConvProblem& p, const IntConvWeights& weights) {
  check_geometry(where, p);
  check_store(where, p);
  OCTET_CHECK(weights.weight != nullptr, where, "no weight ({})", p.str());
  OCTET_CHECK(weights.multiplier != nullptr, where, "no multiplier ({})", p.str());
  for (std::int64_t k = 0; k < p.geometry.k; ++k) {
    OCTET_CHECK(std::isfinite(weights.multiplier[k]), where, "multiplier {} of channel {} is not finite",
                weights.multiplier[k], k);
    OCTET_CHECK(weights.bias_f32 == nullptr || std::isfinite(weights.bias_f32[k]), where,
                "bias {} of channel {} is not finite", weights.bias_f32[k], k);
  }
}

IntConvPlan::IntConvPlan(const IntConvRow& row, const IntConvProblem& problem, const IntConvWeights& weights)
    : row_(&row), problem_(problem), bytes_(row.packed_bytes(problem)) {
  std::shared_ptr<void> packed = allocate(bytes_);
  row.pack(problem, weights, packed.get());
  if (!same_text(row.device, name_of(Device::cpu))) {
    std::shared_ptr<void> there = gpu::allocate(bytes_);
    gpu::copy_from_host(there.get(), packed.get(), bytes_);
    packed = std::move(there);
  }
  packed_ = std::move(packed);
}

void IntConvPlan::run(const void* src, void* dst, std::int64_t n, const Context& context) const {
  OCTET_CHECK(row_ != nullptr, "int_conv", "run of an empty plan");
  OCTET_CHECK(same_text(row_->device, name_of(context.device)), "int_conv", "a plan for {} is run on {}", row_->device,
              name_of(context.device));
  IntConvProblem problem = problem_;
  if (n > 0) problem.geometry.n = n;
  row_->run(problem, {src, packed_.get(), dst}, context);
}

IntConvPlan plan_conv2d_int8(const IntConvProblem& problem, const IntConvWeights& weights, Device device) {
  check_int_conv("conv2d_int8", problem, weights);
  const char* dtypes = problem.src == DType::s8 ? "s8s8" : "u8s8";
  IntConvProblem known = problem;
  // Elsewhere better rows take any weights.
  const bool asked =
      (!usable(Isa::avxvnni) && !usable(Isa::avx512vnni)) || forced_impl("conv2d_int8_fwd") == "avx2pairs";
  known.narrow = asked && narrow_weights(problem.geometry, weights.weight);
  return {select(conv2d_int8_rows(), "conv2d_int8_fwd", dtypes, known, device), known, weights};
}

}  // namespace octet::kernels
