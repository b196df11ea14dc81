// Memory, copies, graphs, and the emulator's barriers and warps.
#include <atomic>
#include <cstring>
#include <numeric>
#include <thread>

#include "core/autograd.h"
#include "core/gpu/staging.h"
#include "tests/gpu/device.h"
#include "tests/gpu/probe.h"
#include "tests/support/expect_error.h"

namespace octet {
namespace {

using test::Buffer;

class GpuDevice : public test::OnDevice {};

std::vector<float> counting(std::size_t count) {
  std::vector<float> all(count);
  std::iota(all.begin(), all.end(), 1.0f);
  return all;
}

/// Tells, in every report, what the other tests ran on.
TEST_F(GpuDevice, RealDeviceIsThere) {
  if (gpu::kind() != gpu::Kind::cuda) GTEST_SKIP() << "no CUDA device: tests ran on the emulated one";
  EXPECT_NE(gpu::description(), "");
}

TEST_F(GpuDevice, TensorsGoThereAndComeBack) {
  const Tensor host = Tensor::from({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const Tensor there = host.to(Device::cuda);
  EXPECT_EQ(there.device(), Device::cuda);
  EXPECT_EQ(there.slice(1, 2).reshape({3}).at(2), 6);
  const Tensor back = there.clone().to(Device::cpu);
  EXPECT_EQ(back.at(4), 5);
  EXPECT_EQ(Tensor::full({3}, 2.5, DType::f32, Device::cuda).at(2), 2.5);
  EXPECT_EQ(Tensor::full({3}, -7, DType::s32, Device::cuda).at(0), -7);
  EXPECT_EQ(Tensor::zeros({5}, DType::u8, Device::cuda).at(4), 0);
}

TEST_F(GpuDevice, LargeCopiesGoInPieces) {
  constexpr std::size_t kPiece = gpu::Staging::kBytes;
  for (const std::size_t bytes : {std::size_t{1}, kPiece - 1, kPiece, kPiece + 1, 4 * kPiece, 9 * kPiece + 5}) {
    std::vector<unsigned char> sent(bytes), back(bytes);
    for (std::size_t i = 0; i < bytes; ++i) sent[i] = static_cast<unsigned char>(i * 7 + i / 251);
    const auto there = gpu::allocate(bytes), again = gpu::allocate(bytes);
    gpu::copy_from_host(there.get(), sent.data(), bytes);
    const std::vector<unsigned char> wanted = sent;
    std::fill(sent.begin(), sent.end(), 0);  // the bytes were taken
    gpu::copy(again.get(), there.get(), bytes);
    gpu::copy_to_host(back.data(), again.get(), bytes);
    EXPECT_EQ(back, wanted) << bytes;
  }
}

TEST_F(GpuDevice, CopiesOfManyThreadsDoNotMix) {
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t, &wrong] {
      for (int round = 0; round < 20; ++round) {
        const std::vector<int> sent(70000, t * 1000 + round);
        std::vector<int> back(sent.size());
        const auto there = gpu::allocate(sent.size() * sizeof(int));
        gpu::copy_from_host(there.get(), sent.data(), sent.size() * sizeof(int));
        gpu::copy_to_host(back.data(), there.get(), back.size() * sizeof(int));
        wrong += back != sent;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

/// A device whose copies are made when somebody waits for them, and which may have no page-locked memory.
class LateBackend : public gpu::Backend {
 public:
  explicit LateBackend(std::size_t pinned) : pinned_left(pinned) {}
  std::string description() const override { return "late"; }
  void* take(std::size_t bytes) override { return std::malloc(bytes); }
  void give(void* memory) override { std::free(memory); }
  void* take_pinned(std::size_t bytes) override {
    return pinned_left == 0 ? nullptr : (--pinned_left, ++pinned_out, std::malloc(bytes));
  }
  void give_pinned(void* memory) override { --pinned_out, std::free(memory); }
  void copy_from_host(void* to, const void* from, std::size_t bytes) override {
    late.push_back([=] { std::memcpy(to, from, bytes); });
  }
  void copy_to_host(void* to, const void* from, std::size_t bytes) override { copy_from_host(to, from, bytes); }
  void copy(void*, const void*, std::size_t) override {}
  void zero(void*, std::size_t) override {}
  void fill(float*, float, std::size_t) override {}
  void fill(int*, int, std::size_t) override {}
  void sum(float*, const float*, const float*, std::size_t) override {}
  void* stream() override { return nullptr; }
  void synchronize() override {
    for (const auto& copy : late) copy();
    late.clear();
  }
  std::shared_ptr<void> make_mark() override { return std::make_shared<std::size_t>(0); }
  void set(void* mark) override { *static_cast<std::size_t*>(mark) = ++marks; }
  void wait(void* mark) override {
    if (*static_cast<std::size_t*>(mark) > 0) synchronize();
  }
  void begin_recording() override {}
  std::shared_ptr<void> end_recording() override { return nullptr; }
  void launch(void*) override {}

  std::vector<std::function<void()>> late;
  std::size_t pinned_left, marks = 0;
  int pinned_out = 0;
};

TEST(GpuStaging, NeverTouchesABufferThatIsStillRead) {
  for (const std::size_t pinned : {std::size_t{100}, std::size_t{2}, std::size_t{0}}) {
    LateBackend backend(pinned);
    {
      gpu::Staging staging(backend);
      const std::size_t bytes = 7 * gpu::Staging::kBytes + 3;
      std::vector<unsigned char> sent(bytes), there(bytes), back(bytes);
      for (std::size_t i = 0; i < bytes; ++i) sent[i] = static_cast<unsigned char>(i % 253);
      staging.copy_from_host(there.data(), sent.data(), bytes);
      staging.copy_to_host(back.data(), there.data(), bytes);
      EXPECT_EQ(back, sent) << pinned;
    }
    EXPECT_EQ(backend.pinned_out, 0) << "all is given back";
  }
}

TEST_F(GpuDevice, TheHostCannotReadItsMemory) {
  const Tensor there = Tensor::zeros({4}, DType::f32, Device::cuda);
  EXPECT_ERROR(there.data<float>(), "the host cannot reach a 4 f32 tensor on the device ---> HINT to(Device::cpu)");
}

TEST_F(GpuDevice, GradientsAddUpThere) {
  const Variable x(Tensor::full({3}, 2, DType::f32, Device::cuda), true);
  record("twice", {}, {x, x}, Tensor::zeros({3}, DType::f32, Device::cuda),
         [](const Tensor& d, const std::vector<bool>&) {
           return std::vector<Tensor>{d, d};
         })
      .backward(Tensor::full({3}, 1.5, DType::f32, Device::cuda));
  EXPECT_EQ(x.grad().at(2), 3);
}

TEST_F(GpuDevice, MemoryIsKeptForTheNextRequest) {
  void* before = nullptr;
  {
    const auto block = gpu::allocate(1000);
    before = block.get();
  }
  const auto again = gpu::allocate(1000);
  EXPECT_EQ(again.get(), before);
}

TEST_F(GpuDevice, GraphsRunAgainOnTheSameAddresses) {
  Tensor a = Tensor::full({300}, 1, DType::f32, Device::cuda), b = Tensor::full({300}, 2, DType::f32, Device::cuda);
  const gpu::Graph graph = gpu::Graph::record([&] {
    gpu::sum(static_cast<float*>(a.raw()), static_cast<const float*>(a.raw()), static_cast<const float*>(b.raw()), 300);
    b.copy_from(a);
  });
  EXPECT_EQ(a.at(0), 1) << "a recording runs nothing";
  graph.launch();
  EXPECT_EQ(a.at(299), 3);
  graph.launch();
  EXPECT_EQ(b.at(150), 6);
  EXPECT_ERROR(gpu::Graph::record([&] { a.at(0); }), "a copy to the host while a graph is being recorded");
  EXPECT_FALSE(gpu::recording());
}

TEST_F(GpuDevice, AGraphKeepsTheMemoryThatItWorksIn) {
  constexpr std::int64_t kCount = 7777;  // of no other test
  const Shape shape{kCount};
  Tensor to = Tensor::zeros(shape, DType::f32, Device::cuda), kept;
  const void* within = nullptr;
  std::size_t before = 0;
  {
    const gpu::Graph graph = gpu::Graph::record([&] {
      {
        const Tensor first(shape, DType::f32, Device::cuda);
        within = first.raw();
      }
      const Tensor again = Tensor::full(shape, 3, DType::f32, Device::cuda);
      EXPECT_EQ(again.raw(), within) << "what is let go serves the recording";
      {
        const Tensor let_go(shape, DType::f32, Device::cuda);
        within = let_go.raw();
      }
      {
        const gpu::OutsideGraph outside;
        EXPECT_NE(Tensor(shape, DType::f32, Device::cuda).raw(), within);
      }
      kept = Tensor::full(shape, 4, DType::f32, Device::cuda);
      to.copy_from(again);
    });
    const Tensor others[] = {Tensor::full(shape, 7, DType::f32, Device::cuda),
                             Tensor::full(shape, 8, DType::f32, Device::cuda)};
    for (const Tensor& other : others) EXPECT_NE(other.raw(), within);
    graph.launch();
    EXPECT_EQ(to.at(kCount - 1), 3);
    EXPECT_EQ(others[1].at(0), 8);
    const void* const outlived = kept.raw();
    kept = {};
    EXPECT_NE(Tensor(shape, DType::f32, Device::cuda).raw(), outlived) << "it is the graph's still";
    before = gpu::memory_stats().live;
  }
  EXPECT_LT(gpu::memory_stats().live, before) << "with the graph goes its memory";
  EXPECT_THROW(gpu::Graph::record([&] { kept = Tensor(shape, DType::f32, Device::cuda), to.at(0); }), Error);
  kept.fill(5);
  EXPECT_EQ(kept.at(0), 5) << "taken in a recording that failed, but somebody's own";
}

#if OCTET_EMULATED_GPU
/// Of the emulator alone, whatever the device of the process is.
class GpuEmulator : public test::OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    if (gpu::kind() != gpu::Kind::emulated) GTEST_SKIP() << "tests run on " << gpu::description();
  }
};

TEST_F(GpuEmulator, BarriersLetAllThreadsWriteFirst) {
  for (std::size_t count : {1, 63, 64, 65, 1000}) {
    const auto from = counting(count);
    Buffer<float> source(from), to(count);
    test::reverse_blocks_emulated(source, to, count, nullptr);
    auto wanted = from;
    for (std::size_t i = 0; i < count; i += 64)
      std::reverse(wanted.begin() + static_cast<std::ptrdiff_t>(i),
                   wanted.begin() + static_cast<std::ptrdiff_t>(std::min(count, i + 64)));
    EXPECT_EQ(to.values(), wanted);
  }
}

TEST_F(GpuEmulator, WarpsExchange) {
  Buffer<float> from(counting(96)), to(6);
  test::warp_sums_emulated(from, to, 3, nullptr);
  EXPECT_EQ(to.values(), (std::vector<float>{528, 2, 1552, 34, 2576, 66}));
}

TEST_F(GpuEmulator, VotesAreCounted) {
  std::vector<int> votes(128, 0);
  votes[3] = votes[63] = votes[64] = 5;
  Buffer<int> from(votes), to(2);
  test::count_votes_emulated(from, to, 2, nullptr);
  EXPECT_EQ(to.values(), (std::vector<int>{2, 1}));
}

TEST_F(GpuEmulator, ABarrierThatOthersNeverReachIsAnError) {
  Buffer<int> to(32);
  EXPECT_ERROR(test::lonely_barrier_emulated(to, nullptr), "lonely: threads wait at a barrier that others never reach");
}

TEST_F(GpuEmulator, AtomicsLoseNothing) {
  Buffer<float> from(std::vector<float>(5000, 1.0f)), to(std::vector<float>{0});
  test::add_atomically_emulated(from, to, 5000, nullptr);
  EXPECT_EQ(to.values()[0], 5000);
}
#endif

}  // namespace
}  // namespace octet
