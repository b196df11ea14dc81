#include "apps/mnv1_qat/deployable.h"

#include "apps/mnv1_qat/model_file.h"
#include "quant/deployment/convert.h"
#include "quant/deployment/float_graph.h"
#include "quant/engine/graph_file.h"

namespace octet::app {

std::vector<Deployable> deployables(const std::string& model, const ScratchFolder& scratch) {
  const std::string kind = kind_of_file(model);
  if (kind == "int8") return {{"int8", model}};
  if (kind == "float") return {{"fp32", model}};
  const LoadedModel loaded = load_net(model);
  std::vector<Deployable> made;
  const auto add = [&](const std::string& name, engine::Graph graph) {
    add_notes(graph, loaded.notes);
    made.push_back({name, scratch.path(name + ".safetensors")});
    engine::save_graph(made.back().file, graph);
  };
  add("fp32", quant::float_graph(*loaded.net, kPicture));
  if (!loaded.notes.quant.empty())
    add("int8", quant::convert(*loaded.net, kPicture, quant::parse_config(loaded.notes.quant)));
  return made;
}

}  // namespace octet::app
