// --config FILE.toml.
#include <gtest/gtest.h>

#include "apps/mnv1_qat/command_line.h"
#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;

namespace {

class ConfigFile : public ::testing::Test {
 protected:
  app::Options parse(const std::string& toml, const Words& more = {}, const std::string& command = "run") {
    write_bytes(file_, toml);
    std::vector<const char*> argv{"mnv1_qat", command.c_str(), "--config", file_.c_str()};
    for (const std::string& word : more) argv.push_back(word.c_str());
    return app::parse_command_line(static_cast<int>(argv.size()), argv.data());
  }
  void expect_wrong(const std::string& toml, const std::string& part) {
    try {
      parse(toml);
      ADD_FAILURE() << toml << " is accepted";
    } catch (const app::EarlyExit& exit) {
      const std::string text = exit.what();
      EXPECT_EQ(exit.code, 2);
      EXPECT_NE(text.find(part), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  }
  TempFolder folder_;
  std::string file_ = folder_ / "run.toml";
};

TEST_F(ConfigFile, FlatFileWithCommentsListsAndBooleans) {
  const app::Options o = parse(
      "# a run\nepochs = 3\nlr = 0.05  # lower\nschedule = \"cosine\"\nresume = true\nquiet = false\n"
      "quantizable-layers = [\"Conv2D\", \"Linear\"]\nfuse-conv-bn = false\nscheme = \"paddle\"\nout = \"my run\"\n");
  EXPECT_EQ(o.epochs, 3);
  EXPECT_EQ(o.lr, 0.05);
  EXPECT_EQ(o.schedule, optim::ScheduleKind::cosine);
  EXPECT_TRUE(o.resume);
  EXPECT_FALSE(o.quiet);
  EXPECT_EQ(o.quant.quantizable_layer_type, (Words{"Conv2D", "Linear"}));
  EXPECT_FALSE(o.quant.fuse_conv_bn);
  EXPECT_EQ(o.quant.scheme, quant::Scheme::paddle);
}

TEST_F(ConfigFile, SectionsAreOfTheirSubcommand) {
  const app::Options o = parse("seed = 4\n[run]\nepochs = 3\n[evaluate]\nbatch-size = 9\n");
  EXPECT_EQ(o.seed, 4u);
  EXPECT_EQ(o.epochs, 3);
  EXPECT_EQ(o.batch_size, 256);
}

TEST_F(ConfigFile, CommandLineHasTheLastWord) {
  const app::Options o = parse("epochs = 3\nlr = 0.5\nscheme = \"paddle\"\n", {"--epochs", "9", "--scheme=tensorrt"});
  EXPECT_EQ(o.epochs, 9);
  EXPECT_EQ(o.lr, 0.5);
  EXPECT_EQ(o.quant.scheme, quant::Scheme::tensorrt);
  write_bytes(file_, "index = [1, 2]\n");
  const char* argv[] = {"mnv1_qat", "dump-codes", "m", "--index", "7", "--config", file_.c_str()};
  EXPECT_EQ(app::parse_command_line(7, argv).indices, (std::vector<std::int64_t>{7}));
  write_bytes(file_, "page = \"old.html\"\n");
  for (const Words& given : {Words{"-o", "new.html"}, Words{"-onew.html"}, Words{"--page=new.html"}}) {
    std::vector<const char*> all{"mnv1_qat", "report", "runs/x", "--config", file_.c_str()};
    for (const std::string& word : given) all.push_back(word.c_str());
    EXPECT_EQ(app::parse_command_line(static_cast<int>(all.size()), all.data()).page, "new.html") << given[0];
  }
}

TEST_F(ConfigFile, ListsOfWords) {
  write_bytes(file_, "pictures = [\"a.png\", \"b.png\"]\n");
  const char* argv[] = {"mnv1_qat", "dump-codes", "m", "--config", file_.c_str()};
  EXPECT_EQ(app::parse_command_line(5, argv).pictures, (std::vector<std::string>{"a.png", "b.png"}));
}

TEST_F(ConfigFile, ListsOfNumbers) {
  write_bytes(file_, "index = [1, 2]\n");
  const char* argv[] = {"mnv1_qat", "dump-codes", "m", "--config", file_.c_str()};
  EXPECT_EQ(app::parse_command_line(5, argv).indices, (std::vector<std::int64_t>{1, 2}));
}

TEST_F(ConfigFile, WrongFilesAreRefusedByNameAndKey) {
  expect_wrong("epochz = 3\n", "unknown key 'epochz'");
  expect_wrong("epochz = 3\n", file_);
  expect_wrong("[other]\nepochs = 3\n", "unknown section 'other'");
  expect_wrong("[run.deep]\nepochs = 3\n", "section");
  expect_wrong("epochs = 0.5\n", "--epochs");
  expect_wrong("epochs = 1\nepochs = 2\n", "--epochs");
  expect_wrong("resume = maybe\n", "must be true or false");
  expect_wrong("config = \"x\"\n", "unknown key 'config'");
  expect_wrong("epochs =\n", "'epochs' has no value");
  expect_wrong("garbage\n", "unknown key 'garbage'");
  const char* missing[] = {"mnv1_qat", "run", "--config=/nonexistent.toml"};
  EXPECT_THROW(app::parse_command_line(3, missing), app::EarlyExit);
  const char* twice[] = {"mnv1_qat", "run", "--config=a", "--config=b"};
  EXPECT_THROW(app::parse_command_line(4, twice), app::EarlyExit);
}

}  // namespace
