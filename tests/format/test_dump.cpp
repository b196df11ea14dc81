// Makes int8 models of nets that MobileNetV1 has nothing of (add, concat, max pool, padded average pool, relu6), in every
// scheme, with the arrays of dump-codes beside them: tests/format/run.sh has the NumPy reader run them. Into a folder per
// model under $OCTET_DUMP_DIR, else into a temporary one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "core/npy.h"
#include "core/random.h"
#include "data/transform.h"
#include "nn/models.h"
#include "quant/deployment/convert.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "quant/prepare.h"
#include "tests/support/temp_folder.h"

namespace octet::quant::test {
namespace {

/// Two branches joined and added, and every kind of pool.
class Branches : public nn::Module {
 public:
  Branches() {
    stem_ = register_module("stem", std::make_shared<nn::ConvBnAct>(options(3, 8, 3, 2), ops::Activation::relu6));
    largest_ = register_module("largest", std::make_shared<nn::MaxPool2d>(ops::Pool2dArgs{3, 2, 2, 1, 1, 1}));
    left_ = register_module("left", std::make_shared<nn::ConvBnAct>(options(8, 5, 1, 1), ops::Activation::relu));
    right_ =
        register_module("right", std::make_shared<nn::ConvBnAct>(options(8, 8, 3, 1, true), ops::Activation::none));
    join_ = register_module("join", std::make_shared<nn::Concat>());
    point_ = register_module("point", std::make_shared<nn::Conv2d>(options(13, 8, 1, 1)));
    sum_ = register_module("sum", std::make_shared<nn::Add>());
    mean_ = register_module("mean", std::make_shared<nn::AvgPool2d>(ops::Pool2dArgs{3, 3, 2, 2, 1, 1}));
    flatten_ = register_module("flatten", std::make_shared<nn::Flatten>());
    fc_ = register_module("fc", std::make_shared<nn::Linear>(2 * 4 * 8, 10));
  }
  std::string kind() const override { return "Branches"; }
  Variable forward(const Variable& src) override {
    const Variable x = (*largest_)((*stem_)(src));
    const Variable right = (*right_)(x), joined = (*join_)({(*left_)(x), right});
    const Variable sum = ops::activation((*sum_)((*point_)(joined), right), ops::Activation::relu);
    return (*fc_)((*flatten_)((*mean_)(sum)));
  }

 private:
  static nn::Conv2dOptions options(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                                   bool depthwise = false) {
    nn::Conv2dOptions o;
    o.in_channels = in, o.out_channels = out, o.kernel_h = o.kernel_w = kernel, o.stride = stride,
    o.padding = kernel / 2, o.depthwise = depthwise;
    return o;
  }
  std::shared_ptr<nn::ConvBnAct> stem_, left_, right_;
  std::shared_ptr<nn::MaxPool2d> largest_;
  std::shared_ptr<nn::Concat> join_;
  std::shared_ptr<nn::Conv2d> point_;
  std::shared_ptr<nn::Add> sum_;
  std::shared_ptr<nn::AvgPool2d> mean_;
  std::shared_ptr<nn::Flatten> flatten_;
  std::shared_ptr<nn::Linear> fc_;
};

constexpr std::int64_t kSide = 14;

Tensor pictures_of(std::uint64_t seed, std::int64_t n) {
  Random random(seed, Purpose::test);
  Tensor pictures({n, kSide, kSide, 3}, DType::u8);
  for (std::uint8_t& pixel : pictures.span<std::uint8_t>()) pixel = static_cast<std::uint8_t>(random.below(256));
  return pictures;
}

/// Weights and affines with signs and sizes of a trained net.
void draw_parameters(nn::Module& model, Random random) {
  for (const auto& [name, module] : model.named_modules()) {
    if (auto* conv = dynamic_cast<nn::Conv2d*>(module)) {
      for (float& w : conv->weight.value().span<float>()) w = static_cast<float>(0.3 * random.normal());
    } else if (auto* fc = dynamic_cast<nn::Linear*>(module)) {
      for (float& w : fc->weight.value().span<float>()) w = static_cast<float>(0.1 * random.normal());
    } else if (auto* bn = dynamic_cast<nn::BatchNorm2d*>(module)) {
      for (float& gamma : bn->gamma.value().span<float>()) gamma = static_cast<float>(random.normal());
      for (float& beta : bn->beta.value().span<float>()) beta = static_cast<float>(0.5 * random.normal());
    }
  }
}

class Dump : public testing::TestWithParam<Scheme> {
 protected:
  /// Quantizes, shows two batches, converts, saves model and arrays, and checks that the saved file gives the same logits.
  void dump(const std::string& name, nn::Module& model) {
    const char* root = std::getenv("OCTET_DUMP_DIR");
    const octet::test::TempFolder temporary;
    const std::filesystem::path folder =
        (root != nullptr ? std::filesystem::path(root) : temporary.path()) / (name + "_" + name_of(GetParam()));
    std::filesystem::create_directories(folder);
    QuantConfig config;
    config.scheme = GetParam();
    const Shape shape{4, kSide, kSide, 3};
    draw_parameters(model, Random(7, Purpose::test));
    NoGrad no_grad;
    prepare(model, shape, config);
    model.train();
    for (std::uint64_t batch = 0; batch < 2; ++batch) model(Variable(data::normalise(pictures_of(batch, 4))));
    model.eval();
    const std::string path = folder / "model.int8.safetensors";
    engine::save_graph(path, convert(model, shape, config));
    const engine::Engine engine = engine::Engine::load(path);
    const Tensor pictures = pictures_of(9, 5);
    NamedTensors values;
    const Tensor logits = engine.run(data::normalise(pictures), &values);
    EXPECT_EQ(logits.shape(), (Shape{5, 10}));
    write_npy(folder / "pictures.npy", pictures);
    for (const auto& [value_name, value] : values) write_npy(folder / (value_name + ".npy"), value);
  }
};
INSTANTIATE_TEST_SUITE_P(Schemes, Dump, testing::Values(Scheme::octet, Scheme::paddle, Scheme::tensorrt),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(Dump, Branches) {
  Branches model;
  dump("branches", model);
}

TEST_P(Dump, SmallResNet) {
  nn::SmallResNetOptions options;
  options.width = 8;
  dump("small_resnet", *nn::small_resnet(options));
}

}  // namespace
}  // namespace octet::quant::test
