// Bad data, bad disks, bad numbers: one clear line, exit code 1, and what was good stays.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "nn/models.h"
#include "optim/checkpoint.h"
#include "program.h"
#include "small_disk.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kRecord = 3073;

class BadInput : public ::testing::Test {
 protected:
  std::string file(const std::string& name) const { return folder_ / name; }
  Ended train_on(const std::string& data) const {
    return mnv1_qat({"pretrain", "--data", data, "--scale", "0.25", "--epochs", "1", "--out", file("out")});
  }
  TempFolder folder_;
};

TEST_F(BadInput, DataThatIsNoCifar) {
  expect_refused(train_on(file("missing")), 1, {"missing", "data_batch_1.bin"});
  write_bytes(file("a_file"), "x");
  expect_refused(train_on(file("a_file")), 1, {"a_file"});
  fs::create_directory(file("empty"));
  expect_refused(train_on(file("empty")), 1, {"empty", "--data synthetic"});
  fs::create_directories(file("python/cifar-10-batches-py"));
  write_bytes(file("python/cifar-10-batches-py/data_batch_1"), "x");
  expect_refused(train_on(file("python")), 1, {"pickle"});
  EXPECT_FALSE(fs::exists(file("out/metrics.jsonl"))) << "nothing is written before the data are there";
}

TEST_F(BadInput, WrongCifarFiles) {
  fs::create_directory(file("cifar"));
  const std::string batch = file("cifar/data_batch_1.bin");
  write_bytes(batch, "");
  expect_refused(train_on(file("cifar")), 1, {"data_batch_1.bin"});
  write_bytes(batch, std::string(kRecord * 5 - 1, '\0'));
  expect_refused(train_on(file("cifar")), 1, {"data_batch_1.bin", "truncated"});
  write_bytes(batch, std::string(kRecord * 5, '\0'));
  expect_refused(train_on(file("cifar")), 1, {"data_batch_1.bin", "5 records instead of 10000"});
  fs::resize_file(batch, std::uintmax_t{1} << 36);
  expect_refused(train_on(file("cifar")), 1, {"data_batch_1.bin"});
  fs::resize_file(batch, 0);
  fs::resize_file(batch, kRecord * 10000);
  std::fstream(batch, std::ios::in | std::ios::out | std::ios::binary).seekp(kRecord * 7).put('\x0a');
  expect_refused(train_on(file("cifar")), 1, {"data_batch_2.bin"});
  for (const char* other :
       {"data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"})
    fs::create_hard_link(batch, file("cifar/") + other);
  expect_refused(train_on(file("cifar")), 1, {"record 7 has label 10"});
}

TEST_F(BadInput, AFolderThatMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  fs::create_directory(file("closed_cifar"));
  fs::permissions(file("closed_cifar"), fs::perms::none);
  const Ended ended = train_on(file("closed_cifar"));
  fs::permissions(file("closed_cifar"), fs::perms::owner_all);
  expect_refused(ended, 1, {"closed_cifar"});
}

TEST_F(BadInput, OutThatIsAFile) {
  write_bytes(file("out"), "keep me");
  expect_refused(mnv1_qat(Words{"run"} + small_run(file("out"))), 1, {"cannot make the folder", file("out")});
  expect_refused(mnv1_qat(Words{"run"} + small_run(file("out/deeper"))), 1, {"cannot make the folder"});
  EXPECT_EQ(bytes_of(file("out")), "keep me");
}

TEST_F(BadInput, LossThatIsNotFinite) {
  ASSERT_EQ(mnv1_qat(Words{"pretrain"} + small_pretrain(file("out"))).code, 0);
  const std::string good = bytes_of(file("out/fp32.safetensors"));
  expect_refused(mnv1_qat(Words{"run", "--quiet", "--lr", "1e30", "--checkpoint-every", "1"} + small_run(file("out"))),
                 1, {"---> HINT lower --lr"});
  EXPECT_EQ(bytes_of(file("out/fp32.safetensors")), good);
  const std::string checkpoint = file("out/pretrain.checkpoint.safetensors");
  EXPECT_TRUE(!fs::exists(checkpoint) || !optim::checkpoint_tag(checkpoint).empty());
}

TEST_F(BadInput, CheckpointCutAnywhere) {
  const auto net = nn::mobilenet_v1({.classes = 10, .scale = 0.25});
  optim::Momentum optimizer(net->named_parameters(), {.lr = 0.1, .momentum = 0.9});
  const std::string path = file("checkpoint"), cut = file("cut");
  optim::save_checkpoint(path, "tag", *net, optimizer, {});
  const std::string bytes = bytes_of(path);
  const std::string before = fmt::format("{}", net->parameters()[0].value().at(0));
  fs::copy_file(path, cut);
  for (std::size_t length = bytes.size() / 4096 * 4096; length > 0; length -= 4096) {
    fs::resize_file(cut, length);
    EXPECT_ERROR(optim::load_checkpoint(cut, "tag", *net, optimizer), "cut");
  }
  for (std::size_t at = 0; at < bytes.size(); at += 409600) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    write_bytes(cut, flipped);
    EXPECT_ERROR(optim::load_checkpoint(cut, "tag", *net, optimizer), "cut");
  }
  EXPECT_EQ(fmt::format("{}", net->parameters()[0].value().at(0)), before);
  EXPECT_NO_THROW(optim::load_checkpoint(path, "tag", *net, optimizer));
}

TEST_F(BadInput, FullDiskLeavesTheLastCheckpoint) {
  const SmallDisk disk(file("disk"));
  if (!disk.is_there()) GTEST_SKIP() << "no tmpfs can be mounted here (that takes root)";
  const std::string out = file("disk/out");
  const Words words = Words{"run", "--quiet", "--checkpoint-every", "3"} + small_run(out);
  expect_refused(mnv1_qat(words), 1, {"No space left", "HINT the disk is full"});
  const std::string checkpoint = out + "/pretrain.checkpoint.safetensors";
  EXPECT_NE(optim::checkpoint_tag(checkpoint), "");
  expect_refused(mnv1_qat(words + Words{"--resume"}), 1, {"No space left"});
  EXPECT_NE(optim::checkpoint_tag(checkpoint), "");
  disk.grow();
  const Ended resumed = mnv1_qat(words + Words{"--resume"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  ASSERT_EQ(mnv1_qat(Words{"run", "--quiet"} + small_run(file("undisturbed"))).code, 0);
  for (const char* model : {"fp32", "qat", "int8"})
    EXPECT_EQ(bytes_of(fmt::format("{}/{}.safetensors", out, model)),
              bytes_of(file(fmt::format("undisturbed/{}.safetensors", model))));
}

}  // namespace
