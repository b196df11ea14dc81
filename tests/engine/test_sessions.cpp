// Many users of one loaded model at the same time: also what ThreadSanitizer looks at (preset `tsan`).
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "core/parallel.h"
#include "graphs.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "tests/support/temp_folder.h"

namespace octet::engine::test {
namespace {

constexpr std::int64_t kBatches[] = {1, 2, 3, 7, 16, 33};
constexpr int kRounds = 8;

class Sessions : public testing::TestWithParam<int> {
 protected:
  octet::test::TempFolder folder_;
  const Graph graph_ = every_op(QuantRule::onnx), other_ = every_op(QuantRule::paddle, 2);
  const std::string path_ = folder_ / "model.int8.safetensors", other_path_ = folder_ / "other.int8.safetensors";
  const int threads_before_ = num_threads();
  std::vector<Tensor> pictures_, expected_;
  Tensor other_pictures_ = random_pictures(5, other_, 99), other_expected_;
  std::atomic<int> wrong_{0};

  void SetUp() override {
    set_num_threads(1);
    const Engine engine(graph_);
    for (const std::int64_t n : kBatches) {
      pictures_.push_back(random_pictures(n, graph_, static_cast<std::uint32_t>(n)));
      expected_.push_back(engine.run(pictures_.back()));
    }
    other_expected_ = Engine(other_).run(other_pictures_);
    save_graph(path_, graph_);
    save_graph(other_path_, other_);
    set_num_threads(GetParam());
  }
  void TearDown() override { set_num_threads(threads_before_); }

  void compare(const Tensor& logits, const Tensor& expected) {
    wrong_ += logits.shape() != expected.shape() || std::memcmp(logits.raw(), expected.raw(), expected.nbytes()) != 0;
  }

  /// A caller with a session of its own, which starts at another batch size than its neighbours.
  void use_session(const Engine& engine, std::size_t first) {
    Session session(engine);
    for (std::size_t i = 0; i < kRounds; ++i) {
      const std::size_t at = (first + i) % pictures_.size();
      Tensor logits(expected_[at].shape());
      session.run(pictures_[at].data<float>(), kBatches[at], logits.data<float>());
      compare(logits, expected_[at]);
    }
  }
  void use_engine(const Engine& engine) {
    for (std::size_t i = 0; i < kRounds; ++i) {
      const std::size_t at = i % pictures_.size();
      NamedTensors values;
      compare(engine.run(pictures_[at], i % 2 == 0 ? &values : nullptr), expected_[at]);
    }
  }
  /// Loads, uses and drops engines while others run.
  void come_and_go() {
    for (int i = 0; i < kRounds; ++i) {
      const Engine engine = Engine::load(i % 2 == 0 ? other_path_ : path_);
      i % 2 == 0 ? compare(engine.run(other_pictures_), other_expected_)
                 : compare(engine.run(pictures_[1]), expected_[1]);
    }
  }
};

TEST_P(Sessions, ShareAnEngine) {
  const Engine engine = Engine::load(path_);
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < 4; ++i) callers.emplace_back([&, i] { use_session(engine, i); });
  callers.emplace_back([&] { use_engine(engine); });
  callers.emplace_back([&] { come_and_go(); });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong_.load(), 0);
}

TEST_P(Sessions, OutliveTheirEngine) {
  std::vector<std::thread> callers;
  {
    const Engine engine = Engine::load(path_);
    for (std::size_t i = 0; i < 3; ++i)
      callers.emplace_back([this, i, session = Session(engine)]() mutable {
        Tensor logits(expected_[i].shape());
        session.run(pictures_[i].data<float>(), kBatches[i], logits.data<float>());
        compare(logits, expected_[i]);
      });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong_.load(), 0);
}

INSTANTIATE_TEST_SUITE_P(Threads, Sessions, testing::Values(1, 2, 4));

}  // namespace
}  // namespace octet::engine::test
