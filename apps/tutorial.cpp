// The PaddleSlim dygraph QAT tutorial, line for line: docs/tutorial.md shows both beside each other.
//   tutorial [DATA [EPOCHS QAT_EPOCHS PICTURES]]   DATA as --data of mnv1_qat; the integer model goes to the working folder
#include <fmt/core.h>

#include <string>

#include "data/dataset.h"
#include "nn/graph.h"
#include "nn/models.h"
#include "optim/trainer.h"
#include "quant/engine/engine.h"
#include "quant/qat.h"

using namespace octet;

namespace {

void tutorial(const char* data, std::int64_t epochs, std::int64_t qat_epochs, std::int64_t pictures) {
  // 1. Data: normalised (x − 127.5) / 127.5 by the loader.
  const data::Split cifar = data::load(data, {pictures, pictures});

  // 2. The model, its optimizer and loss.
  const auto net = nn::mobilenet_v1({.classes = 10, .scale = 1.0});
  fmt::print("{}", nn::summary(*net, {1, 32, 32, 3}));
  optim::Trainer model(net);
  model.prepare({.optimizer = {.lr = 0.1, .momentum = 0.9}});

  // 3. Pre-train and evaluate.
  optim::FitOptions fit;
  fit.epochs = epochs;
  fit.loader.batch_size = 256;
  model.fit(cifar.train, fit);
  const optim::Scores fp32 = model.evaluate(cifar.test);
  fmt::print("fp32: top-1 {:.4f}, top-5 {:.4f} on {}\n", fp32.top1(), fp32.top5(), cifar.test.source);

  // 4. Quantize.
  quant::QuantConfig config;
  config.weight_preprocess_type = quant::Preprocess::none;
  config.quantizable_layer_type = {"Conv2D", "Linear"};
  quant::Qat qat(config);
  qat.quantize(*net);

  // 5. Fine-tune and evaluate.
  fit.epochs = qat_epochs;
  model.fit(cifar.train, fit);
  const optim::Scores tuned = model.evaluate(cifar.test);
  fmt::print("QAT:  top-1 {:.4f}, top-5 {:.4f}\n", tuned.top1(), tuned.top5());

  // 6. Save the quantized model. What the tutorial leaves to other programs: run it, in integers.
  qat.save_quantized_model(*net, "quant_inference_model.safetensors");
  const auto engine = engine::Engine::load("quant_inference_model.safetensors");
  const optim::Scores int8 = optim::evaluate([&](const Tensor& images) { return engine.run(images); }, cifar.test);
  fmt::print("int8: top-1 {:.4f}, top-5 {:.4f}\n", int8.top1(), int8.top5());
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, std::int64_t otherwise) { return argc > i ? std::stoll(argv[i]) : otherwise; };
  if (argc > 5 || (argc > 1 && argv[1][0] == '-')) {
    fmt::print(stderr, "usage: tutorial [DATA [EPOCHS QAT_EPOCHS PICTURES]]\n");
    return 2;
  }
  try {
    tutorial(argc > 1 ? argv[1] : "auto", number(2, 5), number(3, 2), number(4, 0));
  } catch (const std::exception& error) {
    fmt::print(stderr, "tutorial: {}\n", error.what());
    return 1;
  }
}
