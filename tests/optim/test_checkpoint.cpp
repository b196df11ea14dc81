// Checkpoints and model files: what is written comes back, and what is damaged or of another run is refused.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/safetensors.h"
#include "optim/checkpoint.h"
#include "tests/optim/toy_problem.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"
#include "tests/support/tensors.h"

namespace octet::test {
namespace {

namespace fs = std::filesystem;
using optim::Momentum;
using optim::Position;

// A net and its optimizer with numbers of their own in every tensor.
struct State {
  explicit State(std::uint64_t seed) : net(toy_net(seed)), optimizer(net->named_parameters(), {}) {
    for (auto& [name, tensor] : net->named_buffers())
      if (tensor.dtype() == DType::f32) Tensor(tensor).copy_from(random_f32(tensor.shape(), seed, 0, 1));
    for (auto& [name, tensor] : optimizer.state()) Tensor(tensor).copy_from(random_f32(tensor.shape(), seed + 50));
  }
  std::uint32_t crc() const { return state_crc(net->state()) ^ (state_crc(optimizer.state()) << 1); }
  std::shared_ptr<nn::Module> net;
  Momentum optimizer;
};

constexpr Position position() { return {3, 4, 19, {0.1 + 0.2, 64, 11, 60}}; }

class Checkpoint : public ::testing::Test {
 protected:
  void write(const std::string& bytes) { write_file_atomically(path_, bytes); }
  // Refused in one line that has `why`; nothing changed.
  void refused(const std::string& why, const std::string& tag = "tag") {
    State other(2);
    const std::uint32_t before = other.crc();
    EXPECT_ERROR(optim::load_checkpoint(path_, tag, *other.net, other.optimizer), why);
    EXPECT_EQ(other.crc(), before) << why;
  }
  // The file with its metadata or tensors changed, and a right checksum again.
  void rewrite(const std::function<void(NamedTensors&, Metadata&)>& change) {
    TensorFile file = read_safetensors(path_);
    change(file.tensors, file.metadata);
    write_safetensors(path_, file.tensors, file.metadata);
  }
  TempFolder folder_;
  std::string path_ = folder_ / "c.safetensors";
};

TEST_F(Checkpoint, ComesBackToTheBit) {
  const State saved(1);
  optim::save_checkpoint(path_, "tag", *saved.net, saved.optimizer, position());
  State other(2);
  const Position at = optim::load_checkpoint(path_, "tag", *other.net, other.optimizer);
  EXPECT_EQ(other.crc(), saved.crc());
  EXPECT_EQ(at.epoch, 3);
  EXPECT_EQ(at.batch, 4);
  EXPECT_EQ(at.step, 19);
  EXPECT_EQ(at.scores.loss_sum, 0.1 + 0.2);
  EXPECT_EQ(at.scores.pictures, 64);
  EXPECT_EQ(at.scores.top1_hits, 11);
  EXPECT_EQ(at.scores.top5_hits, 60);
  const std::string bytes = read_file(path_);
  optim::save_checkpoint(path_, "tag", *other.net, other.optimizer, at);
  EXPECT_EQ(read_file(path_), bytes);  // equal states, equal bytes
}

TEST_F(Checkpoint, CutAnywhereIsRefused) {
  // Wide enough for several cuts at multiples of 4,096.
  auto net = std::make_shared<nn::Linear>(3072, 2);
  Momentum optimizer(net->named_parameters(), {});
  optim::save_checkpoint(path_, "tag", *net, optimizer, {});
  const std::string whole = read_file(path_);
  ASSERT_GT(whole.size(), 10u * 4096);
  const std::uint32_t before = state_crc(net->state());
  std::vector<std::size_t> cuts{0, 1, 7, 8, 9, 100, whole.size() - 4095, whole.size() - 1};
  for (std::size_t cut = 4096; cut < whole.size(); cut += 4096) cuts.push_back(cut);
  for (const std::size_t cut : cuts) {
    SCOPED_TRACE(cut);
    write(whole.substr(0, cut));
    EXPECT_ERROR(optim::load_checkpoint(path_, "tag", *net, optimizer), "c.safetensors");
  }
  for (const std::size_t flip : {std::size_t{8}, std::size_t{300}, whole.size() / 2, whole.size() - 1}) {
    SCOPED_TRACE(flip);
    std::string bytes = whole;
    bytes[flip] = static_cast<char>(bytes[flip] ^ 1);
    write(bytes);
    EXPECT_ERROR(optim::load_checkpoint(path_, "tag", *net, optimizer), "c.safetensors");
  }
  write(whole + "x");
  EXPECT_ERROR(optim::load_checkpoint(path_, "tag", *net, optimizer), "c.safetensors");
  EXPECT_EQ(state_crc(net->state()), before);
}

TEST_F(Checkpoint, OfAnotherRunOrModelIsRefused) {
  const State saved(1);
  optim::save_checkpoint(path_, "tag", *saved.net, saved.optimizer, position());
  refused("belongs to other options ('tag', now 'other')", "other");
  const std::string good = read_file(path_);
  const auto changed = [&](const std::string& why, const std::function<void(NamedTensors&, Metadata&)>& change) {
    write(good);
    rewrite(change);
    refused(why);
  };
  changed("is no checkpoint", [](NamedTensors&, Metadata& m) { m["octet.kind"] = "model"; });
  changed("is no checkpoint", [](NamedTensors&, Metadata& m) { m.erase("octet.kind"); });
  for (const char* key :
       {"octet.epoch", "octet.batch", "octet.step", "octet.pictures", "octet.top1_hits", "octet.loss_sum"}) {
    changed(key, [&](NamedTensors&, Metadata& m) { m.erase(key); });
    for (const char* text : {"", " 1", "1x", "nan", "99999999999999999999999x", "--1"})
      changed(key, [&](NamedTensors&, Metadata& m) { m[key] = text; });
  }
  for (const char* text : {"-1", "1.5", "9223372036854775808"})
    changed("not a count", [&](NamedTensors&, Metadata& m) { m["octet.step"] = text; });
  changed("is missing", [](NamedTensors& t, Metadata&) { t.erase(t.begin()); });
  changed("velocities", [](NamedTensors& t, Metadata&) { t.pop_back(); });
  changed("unexpected tensor 'more'", [](NamedTensors& t, Metadata&) { t.emplace_back("more", Tensor::zeros({1})); });
  changed("velocities", [](NamedTensors& t, Metadata&) { t.emplace_back("velocity.more", Tensor::zeros({1})); });
  changed("expects", [](NamedTensors& t, Metadata&) { t[0].second = Tensor::zeros({1}); });
  changed("expected", [](NamedTensors& t, Metadata&) { t.back().second = Tensor::zeros({1}); });
  write(good);
  State fits(3);
  optim::load_checkpoint(path_, "tag", *fits.net, fits.optimizer);
  EXPECT_EQ(fits.crc(), saved.crc());
  fs::remove(path_);
  refused("c.safetensors");
}

TEST_F(Checkpoint, OfOtherBatchesIsRefusedByFit) {
  optim::FitOptions options;
  options.epochs = 2;
  options.loader.batch_size = 8;
  options.checkpoint_every = 3;
  options.checkpoint_path = path_;
  const data::Dataset set = toy_pictures(40, 1);
  const auto stop = [](std::int64_t step) {
    struct Stopper : optim::Callback {
      std::int64_t at = 0;
      void on_step(const optim::Progress& p) override { OCTET_CHECK(p.step < at, "test", "stopped"); }
    } stopper;
    stopper.at = step;
    return stopper;
  };
  auto stopper = stop(4);
  EXPECT_ERROR(optim::Trainer(toy_net()).fit(set, options, &stopper), "stopped");
  options.resume = true;
  options.loader.batch_size = 40;
  EXPECT_ERROR(optim::Trainer(toy_net()).fit(set, options), "epochs of 1 batches");
  options.loader.batch_size = 8;
  optim::Trainer(toy_net()).fit(set, options);
  options.loader.batch_size = 4;  // now at the end of two epochs of 5
  EXPECT_ERROR(optim::Trainer(toy_net()).fit(set, options), "epochs of 10 batches");
  options.loader.batch_size = 8;
  EXPECT_TRUE(optim::Trainer(toy_net()).fit(set, options).step_ms.empty());  // it was finished
  options.epochs = 1;
  EXPECT_ERROR(optim::Trainer(toy_net()).fit(set, options), "does not fit 1 epochs of 5 batches");
}

TEST_F(Checkpoint, CannotBeWritten) {
  const State saved(1);
  EXPECT_ERROR(optim::save_checkpoint(folder_ / "none/c", "tag", *saved.net, saved.optimizer, {}), "none/c");
  EXPECT_ERROR(optim::save_checkpoint(folder_.path().string(), "tag", *saved.net, saved.optimizer, {}), "folder");
}

TEST_F(Checkpoint, ModelFiles) {
  const State saved(1);
  optim::save_model(path_, *saved.net, {{"note", "of mine"}});
  const auto net = toy_net(2);
  EXPECT_EQ(optim::load_model(path_, *net), (std::map<std::string, std::string>{{"note", "of mine"}}));
  EXPECT_EQ(state_crc(net->state()), state_crc(saved.net->state()));
  nn::Linear other(3, 4);
  EXPECT_ERROR(optim::load_model(path_, other), "c.safetensors' does not fit the model");
  refused("is no checkpoint");
  optim::save_checkpoint(path_, "tag", *saved.net, saved.optimizer, {});
  EXPECT_ERROR(optim::load_model(path_, *net), "is no model of octet");
  EXPECT_ERROR(optim::load_model(folder_ / "none", *net), "none");
}

}  // namespace
}  // namespace octet::test
