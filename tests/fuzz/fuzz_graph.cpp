// quant/engine: a model file is loaded, planned, and run on two pictures.
#include <cmath>
#include <cstring>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "quant/engine/engine.h"
#include "quant/engine/graph_file.h"
#include "tests/fuzz/graph_mutator.h"
#include "tests/fuzz/target.h"

namespace octet::fuzz {
namespace {

constexpr double kMostWork = 1 << 20, kMostElements = 1 << 16;  // of one picture

/// Multiplications and values of one picture, in double: a product of what validate() lets through may exceed int64.
bool is_small(const engine::Graph& graph) {
  double work = 0, elements = 0;
  for (const engine::GraphNode& node : graph.nodes) {
    const kernels::ConvGeometry& g = node.geometry;
    const double values = static_cast<double>(node.h * node.w * node.c);
    elements += values;
    work += values * static_cast<double>(g.r) * static_cast<double>(g.s) *
            (node.op == engine::OpKind::conv2d ? static_cast<double>(g.c) : 1.0);
  }
  return work <= kMostWork && elements <= kMostElements;
}

/// Two pictures: one of plain numbers, one of all that f32 knows.
Tensor pictures_for(const engine::GraphNode& input) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float hostile[] = {0,     -0.0f,  kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(),
                           3e38f, -3e38f, 1e-45f,    1};
  Tensor pictures({2, input.h, input.w, input.c});
  const std::int64_t size = input.h * input.w * input.c;
  for (std::int64_t i = 0; i < size; ++i) {
    pictures.data<float>()[i] = static_cast<float>(i * 37 % 255 - 127) / 127.0f;
    pictures.data<float>()[size + i] = hostile[i % 9];
  }
  return pictures;
}

bool same(float a, float b) { return std::memcmp(&a, &b, sizeof(a)) == 0 || (std::isnan(a) && std::isnan(b)); }

void run(engine::Graph graph) {
  const engine::Engine net(std::move(graph));
  const Tensor pictures = pictures_for(net.graph().nodes[0]);
  NamedTensors values;
  const Tensor logits = net.run(pictures, &values);
  engine::Session session(net);
  std::vector<float> alone(static_cast<std::size_t>(net.classes())), both(2 * alone.size());
  session.run(pictures.data<float>(), 2, both.data());
  session.run(pictures.data<float>(), 1, alone.data());
  for (std::size_t i = 0; i < alone.size(); ++i)
    if (!same(alone[i], both[i]) || !same(alone[i], logits.data<float>()[i]))
      found("one picture, two, and all values: other answers");
}

}  // namespace

bool accepts(std::string_view bytes) {
  const MemoryFile file(bytes);
  try {
    engine::Graph graph = engine::load_graph(file.path(), engine::Weights::mapped);
    if (!is_small(graph)) return false;
    run(std::move(graph));
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace octet::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  octet::set_num_threads(1);
  return 0;
}

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size)
    __attribute__((weak));
/// Half of the time the graph is changed as a graph, else the file as bytes; the container is made right again.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                               unsigned seed) {
  using namespace octet;
  fuzz::Dice dice(seed);
  std::string bytes;
  if (dice.roll(4) != 0) {
    try {
      const fuzz::MemoryFile file({reinterpret_cast<const char*>(data), size});
      engine::Graph graph = engine::load_graph(file.path());
      fuzz::mutate(graph, dice);
      bytes = fuzz::bytes_of(graph);
    } catch (const Error&) {  // no graph to begin with, or one that no text can hold
    }
  }
  if (bytes.empty() || bytes.size() > max_size) {
    bytes.assign(reinterpret_cast<const char*>(data), LLVMFuzzerMutate(data, size, max_size));
    fuzz::repair_container(bytes);
  }
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}
