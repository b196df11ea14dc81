// An outside program that uses the engine library alone: a picture, quantized and dequantized.
#include <octet/quant/engine/engine.h>

#include <cstdio>

int main() {
  using namespace octet;
  engine::ValueType codes{.is_codes = true, .grid = {.scale = {0.5f}, .zero_point = 0, .lo = -127, .hi = 127}};
  engine::Graph graph{.scheme = "octet", .nodes = {}, .output = 2, .notes = {}};
  graph.nodes.resize(3);
  graph.nodes[0].name = "picture";
  graph.nodes[1] = {.op = engine::OpKind::quantize, .name = "codes", .inputs = {0}, .type = codes};
  graph.nodes[2] = {.op = engine::OpKind::dequantize, .name = "floats", .inputs = {1}};
  Tensor out = engine::Engine(graph).run(Tensor::full({2, 1, 1, 1}, 1.3));
  std::printf("1.3 in steps of 0.5 is %g\n", out.at(1));
  return out.at(1) == 1.5 ? 0 : 1;
}
