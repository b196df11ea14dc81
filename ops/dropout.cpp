#include <algorithm>

#include "core/parallel.h"
#include "core/random.h"
#include "kernels/eltwise/eltwise.h"
#include "ops/common.h"
#include "ops/ops.h"

namespace octet::ops {
namespace {

/// 0 or 1/(1 − probability) per element. Each run of elements has a stream of its own, so that threads do not matter.
template <class T>
Tensor keep_mask(const Tensor& like, double probability, std::uint64_t seed, std::uint64_t step) {
  constexpr std::int64_t kRun = 4096;
  Tensor mask(like.shape(), like.dtype());
  T* to = mask.data<T>();
  const T kept = static_cast<T>(1.0 / (1.0 - probability));
  const std::int64_t count = mask.numel();
  parallel_for((count + kRun - 1) / kRun, [&](std::int64_t run) {
    Random random(seed, Purpose::dropout, step, static_cast<std::uint64_t>(run));
    const std::int64_t end = std::min(count, (run + 1) * kRun);
    for (std::int64_t i = run * kRun; i < end; ++i) to[i] = random.uniform() < probability ? T(0) : kept;
  });
  return mask.to(like.device());
}

Tensor masked(const Tensor& src, const Tensor& mask) {
  kernels::EltwiseProblem problem;
  problem.count = src.numel();
  Tensor dst = detail::empty_like(src);
  kernels::EltwisePointers p;
  p.a = src.raw(), p.b = mask.raw(), p.dst = dst.raw();
  kernels::dispatch(kernels::eltwise_rows(), "mul_fwd", detail::row_of(src), problem, p, detail::context_of(src));
  return dst;
}

}  // namespace

Variable dropout(const Variable& src, double probability, std::uint64_t seed, std::uint64_t step) {
  detail::check_float("dropout", "src", src);
  OCTET_CHECK(probability >= 0 && probability < 1, "dropout", "probability {} is outside [0, 1)", probability);
  if (probability == 0) return src;
  const Tensor mask = detail::with_float(
      src.value(), [&](auto zero) { return keep_mask<decltype(zero)>(src.value(), probability, seed, step); });
  Attributes attributes{{"probability", probability},
                        {"seed", static_cast<std::int64_t>(seed)},
                        {"step", static_cast<std::int64_t>(step)}};
  return record(
      "dropout", std::move(attributes), {src}, masked(src.value(), mask),
      [mask](const Tensor& d_dst, const std::vector<bool>&) { return std::vector<Tensor>{masked(d_dst, mask)}; });
}

}  // namespace octet::ops
