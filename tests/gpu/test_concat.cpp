// Joining channels on the device: rows beside the reference, and the op beside the processor's.
#include "kernels/concat/concat.h"
#include "ops/ops.h"
#include "tests/gpu/device.h"
#include "tests/kernels/hostile.h"

namespace octet {
namespace {

using test::Buffer;
using Floats = std::vector<float>;

class GpuConcat : public test::OnDevice {};

TEST_F(GpuConcat, RowsArePutAndTaken) {
  for (const kernels::ConcatProblem& p :
       {kernels::ConcatProblem{1, 1, 1, 0}, {7, 5, 2, 3}, {300, 37, 37, 0}, {33, 100, 64, 36}, {5, 9, 1, 8}}) {
    const Floats part = kernels::hostile::mixed_values(p.rows * p.part_width, 1),
                 whole = kernels::hostile::mixed_values(p.rows * p.width, 2);
    Floats wanted = whole, taken(part.size());
    Buffer<float> part_there(part), whole_there(whole);
    test::reference_row(kernels::concat_rows(), "concat_put", "f32").run(p, {part.data(), wanted.data()}, {});
    test::device_row(kernels::concat_rows(), "concat_put", "f32", p)
        ->run(p, {part_there, whole_there}, kernels::context_of(Device::cuda));
    test::expect_same(wanted, whole_there.values(), p.str());
    test::reference_row(kernels::concat_rows(), "concat_take", "f32").run(p, {whole.data(), taken.data()}, {});
    Buffer<float> from(whole), to(taken.size());
    test::device_row(kernels::concat_rows(), "concat_take", "f32", p)
        ->run(p, {from, to}, kernels::context_of(Device::cuda));
    test::expect_same(taken, to.values(), p.str());
  }
}

TEST_F(GpuConcat, TheOpStaysThere) {
  const auto on = [](Device device) {
    std::vector<Variable> parts;
    for (const std::int64_t c : {3, 1, 4}) {
      Tensor t({2, 2, 3, c});
      for (std::int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(100 * c + i);
      parts.emplace_back(t.to(device), true);
    }
    const std::size_t copies = gpu::host_copies();
    const Variable y = ops::concat(parts);
    Tensor gradient(y.shape());
    for (std::int64_t i = 0; i < gradient.numel(); ++i) gradient.data<float>()[i] = static_cast<float>(i) / 7;
    const Tensor there = gradient.to(device);
    const std::size_t brought = gpu::host_copies();
    y.backward(there);
    if (device == Device::cuda) {
      EXPECT_EQ(gpu::host_copies(), brought);
      EXPECT_EQ(brought, copies + 1) << "the gradient of this test alone";
    }
    std::vector<Tensor> all{y.value().to(Device::cpu)};
    for (const Variable& part : parts) all.push_back(part.grad().to(Device::cpu));
    return all;
  };
  const auto here = on(Device::cpu), there = on(Device::cuda);
  for (std::size_t i = 0; i < here.size(); ++i)
    for (std::int64_t k = 0; k < here[i].numel(); ++k) ASSERT_EQ(here[i].at(k), there[i].at(k)) << i << ' ' << k;
}

}  // namespace
}  // namespace octet
