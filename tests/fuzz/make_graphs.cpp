// Writes the seeds of the targets `safetensors` and `graph`: make_graphs CORPUS.
#include <cstdio>
#include <string>

#include "core/file.h"
#include "quant/engine/graph_file.h"
#include "tests/engine/graphs.h"
#include "tests/fuzz/graph_mutator.h"

namespace octet::fuzz {
namespace {

using namespace engine::test;

engine::Graph floats() {
  Builder b(4, 4, 2);
  const auto layer = [&](int i, std::int64_t inner) {
    b.at(i).weight = Tensor::full(b.at(i).weight.shape(), 0.25, DType::f32);
    b.at(i).weight_step.clear();
    b.at(i).float_bias.assign(static_cast<std::size_t>(b.at(i).c), static_cast<float>(inner));
    b.at(i).act = kernels::Activation::relu;
    return i;
  };
  const int conv = layer(b.conv(0, 3, {3, 3, 1, 1, 1, 1}, std::vector<int>(54), {}), 1);
  const int deep = layer(b.depthwise(conv, {2, 2, 2, 2, 0, 0}, std::vector<int>(12), {}), 2);
  b.flatten(b.avg_pool(deep, {2, 2, 1, 1, 0, 0}));
  return b.finish();
}

/// A tensor of each type, a scalar, and one without elements.
std::string every_type() {
  NamedTensors tensors{{"scalar", Tensor::full({}, 1)}, {"none", Tensor({0, 3})}};
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::s8, DType::u8, DType::s32})
    tensors.emplace_back(name_of(dtype), Tensor::zeros({2, 3}, dtype));
  return make_container(tensors, {{"text", "ä \"quoted\" \\ \n"}});
}

void write_all(const std::string& corpus) {
  const auto write = [&](const std::string& name, const std::string& bytes) {
    write_file_atomically(corpus + "/" + name, bytes);
  };
  std::string whole = every_type();
  write("safetensors/good_every_type", whole);
  write("safetensors/good_empty", make_container({}, {}));
  write("safetensors/bad_cut_short", whole.substr(0, whole.size() - 1));
  whole[whole.size() - 1] ^= 1;
  write("safetensors/bad_checksum", whole);
  std::string plain =
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
      "offsets\":[1,3]}}";
  write("safetensors/bad_overlap",
        std::string(1, static_cast<char>(plain.size())) + std::string(7, '\0') + plain + "123");
  write("safetensors/bad_length", std::string(8, '\xff') + "{}");

  const engine::Graph onnx = every_op(QuantRule::onnx);
  engine::Graph wrong = onnx;
  write("graph/good_onnx", bytes_of(onnx));
  write("graph/good_paddle", bytes_of(every_op(QuantRule::paddle)));
  write("graph/good_floats", bytes_of(floats()));
  wrong.nodes[2].bias.assign(7, 2147483647);
  write("graph/bad_overflow", bytes_of(wrong));
  wrong = onnx;
  wrong.nodes[3].inputs = {5};
  write("graph/bad_order", bytes_of(wrong));
}

}  // namespace
}  // namespace octet::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
    return 2;
  }
  octet::fuzz::write_all(argv[1]);
}
