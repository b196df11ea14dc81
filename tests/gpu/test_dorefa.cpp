// DoReFa's weights on the device: the reference's bits.
#include "kernels/dorefa/dorefa.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet::kernels {
namespace {

using test::Buffer;
using test::expect_same;

class GpuDorefa : public test::OnDevice {};

TEST_F(GpuDorefa, BothPassesHaveTheReferencesBits) {
  for (const std::int64_t count : {1, 5, 1024, 4099})
    for (const float top : {0.0f, 0.2f, 4.0f}) {
      const DorefaProblem p{count};
      std::vector<float> x = hostile::random_values<float>(count, static_cast<std::uint64_t>(count), -top, top);
      if (count > 4) x[1] = 0.25f, x[2] = std::nanf(""), x[3] = INFINITY;
      const std::vector<float> g = hostile::random_values<float>(count, 3);
      std::vector<float> y(x.size()), d(x.size());
      Buffer<float> x_there(x), top_there(std::vector<float>{top}), g_there(g), y_there(x.size()), d_there(x.size());
      const DorefaPointers here{x.data(), &top, y.data(), g.data(), d.data()};
      const DorefaPointers there{x_there.data(), top_there.data(), y_there.data(), g_there.data(), d_there.data()};
      for (const char* pass : {"dorefa_fwd", "dorefa_bwd"}) test::run_both(dorefa_rows(), pass, p, here, there);
      expect_same(y, y_there.values(), "value " + p.str());
      expect_same(d, d_there.values(), "gradient " + p.str());
    }
}

}  // namespace
}  // namespace octet::kernels
