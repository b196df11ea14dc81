#include "benchmarks/network_plan.h"

#include <map>
#include <set>

#include "benchmarks/conv_tasks.h"
#include "core/error.h"

namespace octet::bench {
namespace {

/// Finds the entries that selection runs, by "room/group/dtypes".
class Finder {
 public:
  explicit Finder(Suite& suite) : batch_(suite.settings().batch) {
    for (const Entry& entry : suite.entries())
      if (entry.chosen) chosen_[entry.room + "/" + entry.group + "/" + entry.dtypes] = &entry;
  }
  const Entry* need(const std::string& room, const std::string& pass, const std::string& shape,
                    const char* dtypes = "f32") const {
    return need(room + "/" + group_of(pass, shape, batch_) + "/" + dtypes);
  }
  const Entry* need(const std::string& name) const {
    const auto found = chosen_.find(name);
    OCTET_CHECK(found != chosen_.end(), "octet_bench", "no row is chosen for {}", name);
    return found->second;
  }

 private:
  std::int64_t batch_;
  std::map<std::string, const Entry*> chosen_;
};

std::string room_of(const Layer& layer) {
  return layer.depthwise ? "dwconv2d" : layer.name == "fc" ? "linear" : "conv2d";
}

std::string map_of(const Layer& layer) {
  const kernels::ConvGeometry& g = layer.geometry;
  return std::to_string(g.out_h()) + "x" + std::to_string(g.out_w()) + "x" + std::to_string(g.k);
}

class Planner {
 public:
  Planner(Suite& suite, Path path) : finder_(suite), path_(path) {}

  std::vector<Part> plan(const Wanted& wanted) {
    const std::vector<Layer>& layers = network().layers;
    if (wanted.fp32) training_step(layers);
    if (wanted.qat && path_ == Path::fused) {
      for (const Layer& layer : layers) qat_forward(layer);
      for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) qat_backward(*layer);
    }
    if (wanted.bf16 && path_ == Path::fused) {
      for (const Layer& layer : layers) bf16(Stage::bf16_forward, layer, "conv2d_bn_fwd");
      for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer)
        bf16(Stage::bf16_backward, *layer, "conv2d_bn_bwd");
    }
    if (wanted.int8)
      for (const Layer& layer : layers) int8_forward(layer);
    return std::move(parts_);
  }

 private:
  void add(Stage stage, const Layer& layer, const Entry* entry, const Entry* fp32 = nullptr) {
    parts_.push_back({stage, kind_of(layer), layer.name, layer.times, entry, fp32});
  }
  void training_step(const std::vector<Layer>& layers) {
    for (const Layer& layer : layers) forward(layer);
    head(layers[layers.size() - 2]);
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) backward(*layer);
    parts_.push_back(
        {Stage::update, Kind::other, "all weights", 1, finder_.need("momentum/momentum/net/f32"), nullptr});
  }
  bool fused(const Layer& layer) const { return path_ == Path::fused && layer.name != "fc"; }

  void forward(const Layer& layer) {
    const std::string room = room_of(layer);
    if (fused(layer)) return add(Stage::forward, layer, finder_.need(room + "_bn", room + "_bn_fwd", layer.name));
    add(Stage::forward, layer, finder_.need(room, room + "_fwd", layer.name));
    if (layer.name == "fc") return;
    add(Stage::forward, layer, finder_.need("batchnorm", "batchnorm_stats", map_of(layer)));
    add(Stage::forward, layer, finder_.need("batchnorm", "affine_act_fwd", map_of(layer)));
  }

  void backward(const Layer& layer) {
    const std::string room = room_of(layer);
    if (fused(layer)) return add(Stage::backward, layer, finder_.need(room + "_bn", room + "_bn_bwd", layer.name));
    if (layer.name != "fc") {
      add(Stage::backward, layer, finder_.need("batchnorm", "affine_act_bwd", map_of(layer)));
      add(Stage::backward, layer, finder_.need("eltwise", "channel_fma_fwd", map_of(layer)));
      add(Stage::backward, layer, finder_.need("eltwise", "add_fwd", map_of(layer)));
    }
    if (layer.name != "stem") add(Stage::backward, layer, finder_.need(room, room + "_bwd_data", layer.name));
    add(Stage::backward, layer, finder_.need(room, room + "_bwd_weight", layer.name));
  }

  /// What stands between the last convolution and the loss.
  void head(const Layer& last) {
    const std::string map = map_of(last), classes = std::to_string(network().classes) + "classes";
    const auto add_head = [&](Stage stage, const Entry* entry) {
      parts_.push_back({stage, Kind::other, "head", 1, entry, nullptr});
    };
    const bool fused_head = path_ == Path::fused;  // else the last layer's own affine_act stands there already
    if (fused_head) add_head(Stage::forward, finder_.need("batchnorm", "affine_act_fwd", map));
    add_head(Stage::forward, finder_.need("pool", "avg_pool_fwd", map + "_global"));
    add_head(Stage::forward, finder_.need("softmax_xent", "softmax_xent_fwd", classes));
    add_head(Stage::backward, finder_.need("softmax_xent", "softmax_xent_bwd", classes));
    add_head(Stage::backward, finder_.need("pool", "avg_pool_bwd", map + "_global"));
    if (fused_head) add_head(Stage::backward, finder_.need("batchnorm", "affine_act_bwd", map));
  }

  /// Shapes named "-qat" have a quantizer in the map; dense layers multiply codes. The stem's source is a picture that was
  /// quantized before: its passes are those of fp32.
  void qat_forward(const Layer& layer) {
    if (layer.name == "fc") return;
    const std::string room = room_of(layer) + "_bn", pass = room + "_fwd";
    const bool stem = kind_of(layer) == Kind::stem;
    add(Stage::qat_forward, layer, finder_.need(room, pass, qat_shape(layer), layer.depthwise || stem ? "f32" : "u8s8"),
        finder_.need(room, pass, layer.name));
  }

  void qat_backward(const Layer& layer) {
    if (layer.name == "fc") return;
    const std::string room = room_of(layer) + "_bn", pass = room + "_bwd";
    add(Stage::qat_backward, layer, finder_.need(room, pass, qat_shape(layer)), finder_.need(room, pass, layer.name));
  }

  /// A picture has codes on both sides of zero, a ReLU's output has not.
  static const char* integer_dtypes(const Layer& layer) { return layer.name == "stem" ? "s8s8" : "u8s8"; }

  static std::string qat_shape(const Layer& layer) {
    return kind_of(layer) == Kind::stem ? layer.name : layer.name + "-qat";
  }

  void bf16(Stage stage, const Layer& layer, const char* pass) {
    if (kind_of(layer) != Kind::pointwise) return;  // the rest of a bf16 step multiplies in f32
    add(stage, layer, finder_.need("conv2d_bn", pass, layer.name, "bf16"), finder_.need("conv2d_bn", pass, layer.name));
  }

  void int8_forward(const Layer& layer) {
    const std::string room = room_of(layer);
    add(Stage::int8_forward, layer, finder_.need(room, room + "_fwd", layer.name, integer_dtypes(layer)),
        finder_.need(room, room + "_fwd", layer.name));
  }

  Finder finder_;
  Path path_;
  std::vector<Part> parts_;
};

Work sum_of(std::int64_t batch, bool training) {
  Work sum;
  double elements = 0;
  for (Layer layer : network().layers) {
    layer.geometry.n = batch;
    const Extents e = extents_of(layer);
    const auto src = static_cast<double>(e.src), dst = static_cast<double>(e.dst),
               weight = static_cast<double>(e.weight);
    const bool first = layer.name == "stem";  // no gradient goes to the picture
    sum.ops += layer.times * 2 * conv_macs(layer) * (!training ? 1 : first ? 2 : 3);
    elements += layer.times * (src + weight + dst);
    // Source, raw output and its gradient in, the source's gradient out; the weight in and its gradient out.
    if (training) elements += layer.times * (src * (first ? 1 : 2) + 2 * dst + 2 * weight);
  }
  if (training) elements += 5 * static_cast<double>(network().parameters);
  sum.bytes = elements * sizeof(float);
  return sum;
}

}  // namespace

Kind kind_of(const Layer& layer) {
  if (layer.depthwise) return Kind::depthwise;
  if (layer.name == "fc") return Kind::fc;
  return layer.geometry.is_pointwise() ? Kind::pointwise : Kind::stem;
}

const char* name_of(Kind kind) {
  constexpr const char* kNames[] = {"stem", "depthwise", "pointwise", "fc", "other"};
  return kNames[static_cast<int>(kind)];
}

const char* name_of(Stage stage) {
  constexpr const char* kNames[] = {"forward",
                                    "backward",
                                    "update",
                                    "QAT forward (integer products but for depthwise)",
                                    "QAT backward",
                                    "bf16 forward, 1x1 convolutions",
                                    "bf16 backward, 1x1 convolutions",
                                    "int8 forward, as the engine runs it"};
  return kNames[static_cast<int>(stage)];
}

std::vector<Part> plan_network(Suite& suite, Path path, const Wanted& wanted) {
  return Planner(suite, path).plan(wanted);
}

std::vector<Entry*> entries_of(const std::vector<Part>& parts, Suite& suite) {
  std::set<const Entry*> wanted;
  for (const Part& part : parts) {
    wanted.insert(part.entry);
    if (part.fp32 != nullptr) wanted.insert(part.fp32);
  }
  std::vector<Entry*> entries;
  for (Entry& entry : suite.entries())
    if (wanted.contains(&entry)) entries.push_back(&entry);
  return entries;
}

Work step_work(std::int64_t batch) { return sum_of(batch, true); }
Work forward_work(std::int64_t batch) { return sum_of(batch, false); }

}  // namespace octet::bench
