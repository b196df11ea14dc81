// A user's own pictures: trained on, evaluated, predicted.
#include <gtest/gtest.h>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/mnv1_qat/load_data.h"
#include "data/dataset.h"
#include "program.h"
#include "tests/support/temp_folder.h"

using namespace octet;
using namespace octet::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

class Pictures : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    // Generated pictures of three classes, sorted into folders.
    const data::Dataset set = data::synthetic_shapes(4, 300, 1).train;
    for (std::int64_t i = 0; i < set.size(); ++i) {
      const std::int32_t label = set.labels.data<std::int32_t>()[i];
      if (label >= 3) continue;
      const std::string name = file(fmt::format("own/{}/{:03}.png", kNames[label], i));
      fs::create_directories(fs::path(name).parent_path());
      ASSERT_NE(
          stbi_write_png(name.c_str(), 32, 32, 3, set.pictures.data<std::uint8_t>() + i * data::kPictureBytes, 96), 0);
    }
    const Ended ended = mnv1_qat({"run", "--quiet", "--data", file("own"), "--scale", "0.25", "--batch-size", "16",
                                  "--epochs", "1", "--qat-epochs", "1", "--out", file("run")});
    ASSERT_EQ(ended.code, 0) << ended.err;
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string file(const std::string& name) { return *folder_ / name; }

  static constexpr std::array<const char*, 3> kNames{"brick red", "güllü", "zebra"};
  static inline TempFolder* folder_ = nullptr;
};

TEST_F(Pictures, ModelsKnowTheClasses) {
  const Json summary = Json::parse(bytes_of(file("run/summary.json")));
  EXPECT_EQ(summary["data"], "pictures");
  EXPECT_EQ(summary["code_mismatches"], 0);
  for (const std::string kind : {"fp32", "qat", "int8"}) {
    const std::string model = file("run/" + kind + ".safetensors");
    const Ended evaluated = mnv1_qat({"evaluate", model, "--data", file("own"), "--json"});
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    EXPECT_EQ(Json::parse(evaluated.out)["top1"], summary[kind + "_top1"]) << kind;
    EXPECT_EQ(Json::parse(evaluated.out)["top5"], 1.0) << "of three classes";
    const Ended predicted =
        mnv1_qat({"predict", model, fs::directory_iterator(file("own/zebra"))->path().string(), "--json"});
    ASSERT_EQ(predicted.code, 0) << predicted.err;
    const Json top = Json::parse(predicted.out)[0]["top5"];
    ASSERT_EQ(top.size(), 3u);
    for (const Json& guess : top)
      EXPECT_NE(std::find(kNames.begin(), kNames.end(), guess["class"].get<std::string>()), kNames.end());
  }
  const Ended ptq =
      mnv1_qat({"ptq", file("run/fp32.safetensors"), "--data", file("own"), "--out", file("ptq"), "--json"});
  ASSERT_EQ(ptq.code, 0) << ptq.err;
  EXPECT_EQ(Json::parse(ptq.out)["fp32_top1"], summary["fp32_top1"]);
}

TEST_F(Pictures, OtherClassesAndBrokenPicturesAreRefused) {
  const std::string model = file("run/int8.safetensors");
  expect_refused(mnv1_qat(Words{"evaluate", model} + small_data()), 1, {"trained on other classes"});
  for (const char* command : {"qat", "ptq"})
    expect_refused(mnv1_qat(Words{command, file("run/fp32.safetensors"), "--out", file("x")} + small_data()), 1,
                   {"trained on other classes"});
  write_bytes(file("own/zebra/broken.png"), "no picture");
  const Ended broken = mnv1_qat({"run", "--data", file("own"), "--out", file("y")});
  expect_refused(broken, 1, {"own/zebra/broken.png"});
  fs::remove(file("own/zebra/broken.png"));
  write_bytes(file("own/zebra/list.csv"), "1,2");
  expect_refused(mnv1_qat({"evaluate", model, "--data", file("own")}), 1, {"list.csv", "no .png, .jpg or .jpeg"});
  fs::remove(file("own/zebra/list.csv"));
  fs::create_directories(file("own/empty"));
  expect_refused(mnv1_qat({"evaluate", model, "--data", file("own")}), 1, {"own/empty", "holds no picture"});
  fs::remove_all(file("own/empty"));
}

/// Which pictures made a net is a part of what made it: folders have no names that could say it.
TEST(IdentityOf, FollowsPicturesLabelsAndClasses) {
  data::Dataset set = data::synthetic_shapes(4, 4, 1).train;
  EXPECT_EQ(app::identity_of(set), "synthetic");
  set.source = "pictures";
  set.pictures = set.pictures.clone(), set.labels = set.labels.clone();
  std::set<std::string> all{app::identity_of(set)};
  EXPECT_TRUE(all.begin()->starts_with("pictures "));
  set.pictures.data<std::uint8_t>()[7] ^= 1;
  EXPECT_TRUE(all.insert(app::identity_of(set)).second);
  set.labels.data<std::int32_t>()[0] ^= 1;
  EXPECT_TRUE(all.insert(app::identity_of(set)).second);
  set.class_names[0] += "x";
  EXPECT_TRUE(all.insert(app::identity_of(set)).second);
}

}  // namespace
