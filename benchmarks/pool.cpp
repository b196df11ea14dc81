// pool: the net's global average, and the windows of other nets over its second map; int8 beside fp32.
#include "kernels/pool/pool.h"

#include "benchmarks/bench.h"
#include "benchmarks/shapes.h"
#include "kernels/pool_int8/pool_int8.h"

namespace octet::bench {
namespace {

using kernels::ConvGeometry;
using kernels::PoolInt8Pointers;
using kernels::PoolInt8Problem;
using kernels::PoolPointers;

struct PoolCase {
  std::string shape;
  ConvGeometry geometry;
  std::int64_t src() const { return geometry.n * geometry.h * geometry.w * geometry.c; }
  std::int64_t dst() const { return geometry.out_pixels() * geometry.c; }
};

std::vector<PoolCase> pool_cases(std::int64_t batch) {
  const Map &wide = network().maps.at(1), &last = network().maps.back();
  const auto window = [&](const Map& map, std::int64_t r, std::int64_t s, std::int64_t stride, std::int64_t pad) {
    return ConvGeometry{batch, map.h, map.w, map.c, map.c, r, s, stride, stride, pad, pad};
  };
  return {{wide.name + "_2x2", window(wide, 2, 2, 2, 0)},
          {wide.name + "_3x3", window(wide, 3, 3, 2, 1)},
          {wide.name + "_global", window(wide, wide.h, wide.w, 1, 0)},
          {last.name + "_global", window(last, last.h, last.w, 1, 0)}};
}

void add_forward(Suite& suite, const char* pass, const PoolCase& pool, bool max) {
  const double elements = static_cast<double>(pool.src() + pool.dst());
  const Work work{0, sizeof(float) * (elements + (max ? static_cast<double>(pool.dst()) : 0))};
  suite.add(kernels::pool_rows(), Task<ConvGeometry, PoolPointers>{
                                      "pool", group_of(pass, pool.shape, pool.geometry.n), pass, "f32", pool.geometry,
                                      work, 0, [=](Operands& operands) {
                                        PoolPointers io;
                                        io.src = operands.input(pool.src());
                                        io.dst = operands.output(pool.dst());
                                        if (max)
                                          io.argmax =
                                              static_cast<std::int32_t*>(operands.output(pool.dst(), DType::s32));
                                        return io;
                                      }});
  PoolInt8Problem problem;
  problem.geometry = pool.geometry;
  const char* int8_pass = max ? "max_pool_int8_fwd" : "avg_pool_int8_fwd";
  suite.add(kernels::pool_int8_rows(), Task<PoolInt8Problem, PoolInt8Pointers>{
                                           "pool",
                                           group_of(pass, pool.shape, pool.geometry.n),
                                           int8_pass,
                                           "int8",
                                           problem,
                                           {0, elements, Unit::int8},
                                           0,
                                           [=](Operands& operands) {
                                             const void* src = operands.codes(pool.src(), DType::u8, 0, 255);
                                             return PoolInt8Pointers{src, operands.output(pool.dst(), DType::u8)};
                                           }});
}

void add_backward(Suite& suite, const char* pass, const PoolCase& pool, bool max) {
  const double elements = static_cast<double>(pool.src() + pool.dst() * (max ? 2 : 1));
  suite.add(kernels::pool_rows(),
            Task<ConvGeometry, PoolPointers>{"pool",
                                             group_of(pass, pool.shape, pool.geometry.n),
                                             pass,
                                             "f32",
                                             pool.geometry,
                                             {0, sizeof(float) * elements},
                                             0,
                                             [=](Operands& operands) {
                                               PoolPointers io;
                                               io.d_dst = operands.input(pool.dst());
                                               io.d_src = operands.output(pool.src());
                                               if (!max) return io;
                                               // The winners of a real forward pass: a random pixel could lie outside
                                               // its window.
                                               io.src = operands.input(pool.src());
                                               io.argmax = operands.integers(pool.dst(), 0, 0);
                                               std::vector<float> discarded(static_cast<std::size_t>(pool.dst()));
                                               PoolPointers forward = io;
                                               forward.dst = discarded.data();
                                               kernels::dispatch(kernels::pool_rows(), "max_pool_fwd", "f32",
                                                                 pool.geometry, forward);
                                               return io;
                                             }});
}

}  // namespace

void add_pool(Suite& suite) {
  for (const std::int64_t batch : suite.settings().forward_batches())
    for (const PoolCase& pool : pool_cases(batch)) {
      add_forward(suite, "avg_pool_fwd", pool, false);
      add_forward(suite, "max_pool_fwd", pool, true);
    }
  for (const PoolCase& pool : pool_cases(suite.settings().batch)) {
    add_backward(suite, "avg_pool_bwd", pool, false);
    add_backward(suite, "max_pool_bwd", pool, true);
  }
  suite.require_all(kernels::pool_rows());
  suite.require_all(kernels::pool_int8_rows());
}

}  // namespace octet::bench
