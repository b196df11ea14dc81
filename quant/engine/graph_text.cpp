#include "quant/engine/graph_text.h"

#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace octet::engine {
namespace {

using nlohmann::json;

constexpr const char* kWhere = "graph";
constexpr std::size_t kMostText = std::size_t{16} << 20, kMostNodes = 10000;
constexpr int kMostDepth = 8;  // of nesting: the format needs four levels
constexpr OpKind kOps[] = {OpKind::input,    OpKind::quantize, OpKind::dequantize, OpKind::conv2d,
                           OpKind::dwconv2d, OpKind::add,      OpKind::concat,     OpKind::max_pool,
                           OpKind::avg_pool, OpKind::flatten,  OpKind::activation};
constexpr kernels::Activation kActs[] = {kernels::Activation::relu, kernels::Activation::relu6};

bool has_geometry(OpKind op) { return is_layer(op) || op == OpKind::max_pool || op == OpKind::avg_pool; }

const char* rule_name(QuantRule rule) { return rule == QuantRule::paddle ? "paddle" : "onnx"; }

json to_json(const GraphNode& node) {
  json j{{"op", name_of(node.op)}, {"name", node.name}, {"inputs", node.inputs}, {"extent", {node.h, node.w, node.c}}};
  if (node.type.is_codes) {
    const QuantParams& grid = node.type.grid;
    j["grid"] = {{"scale", grid.scale.at(0)},
                 {"zero_point", grid.zero_point},
                 {"lo", grid.lo},
                 {"hi", grid.hi},
                 {"rule", rule_name(grid.rule)}};
    j["clamp"] = {node.clamp_lo, node.clamp_hi};
  }
  if (has_geometry(node.op)) {
    const kernels::ConvGeometry& g = node.geometry;
    j["window"] = {g.r, g.s};
    j["stride"] = {g.stride_h, g.stride_w};
    j["padding"] = {g.pad_h, g.pad_w};
  }
  if (is_layer(node.op)) j["rule"] = rule_name(node.rule);
  if (node.act != kernels::Activation::none) j["activation"] = name_of(node.act);
  return j;
}

/// A JSON object whose keys are asked for one by one, with the types that they must have. Conversions of the JSON library
/// bend numbers silently (2^32 to 0, true to 1, 1.5 to 1); nothing here does.
class Fields {
 public:
  Fields(const json& object, std::string what) : object_(object), what_(std::move(what)) {
    OCTET_CHECK(object.is_object(), kWhere, "{} is no object", what_);
  }

  bool has(const char* key) const { return object_.contains(key); }

  const json& at(const char* key) {
    const auto found = object_.find(key);
    OCTET_CHECK(found != object_.end(), kWhere, "{} has no '{}'", what_, key);
    asked_.insert(key);
    return *found;
  }

  std::string text(const char* key) {
    const json& j = at(key);
    OCTET_CHECK(j.is_string(), kWhere, "'{}' of {} is no text", key, what_);
    return j.get<std::string>();
  }

  template <class T>
  T whole(const char* key) {
    return whole_number<T>(at(key), key);
  }

  float real(const char* key) {
    const json& j = at(key);
    const double x = j.is_number() ? j.get<double>() : NAN;
    OCTET_CHECK(std::fabs(x) <= std::numeric_limits<float>::max(), kWhere,
                "'{}' of {} is no number in reach of a float", key, what_);
    return static_cast<float>(x);
  }

  const json& list(const char* key) {
    const json& j = at(key);
    OCTET_CHECK(j.is_array(), kWhere, "'{}' of {} is no list", key, what_);
    return j;
  }

  template <class T, std::size_t n>
  std::array<T, n> numbers(const char* key) {
    const json& j = list(key);
    OCTET_CHECK(j.size() == n, kWhere, "'{}' of {} has {} numbers, not {}", key, what_, j.size(), n);
    std::array<T, n> all;
    for (std::size_t i = 0; i < n; ++i) all[i] = whole_number<T>(j[i], key);
    return all;
  }

  std::vector<int> indices(const char* key) {
    std::vector<int> all;
    for (const json& j : list(key)) all.push_back(whole_number<int>(j, key));
    return all;
  }

  template <class T, std::size_t n>
  T named(const char* key, const T (&known)[n]) {
    const std::string name = text(key);
    for (T one : known)
      if (name == name_of(one)) return one;
    fail(kWhere, fmt::format("unknown {} '{}' of {}", key, name, what_));
  }

  QuantRule rule() {
    const std::string name = text("rule");
    OCTET_CHECK(name == "onnx" || name == "paddle", kWhere, "unknown rule '{}' of {}", name, what_);
    return name == "paddle" ? QuantRule::paddle : QuantRule::onnx;
  }

  /// Refuses what nobody asked for.
  void finish() const {
    for (const auto& [key, value] : object_.items())
      OCTET_CHECK(asked_.contains(key), kWhere, "{} has an unknown '{}'", what_, key);
  }

 private:
  template <class T>
  T whole_number(const json& j, const char* key) const {
    OCTET_CHECK(j.is_number_integer(), kWhere, "'{}' of {} is not made of whole numbers", key, what_);
    const bool too_large =
        j.is_number_unsigned() && j.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    OCTET_CHECK(!too_large && (j.is_number_unsigned() || j.get<std::int64_t>() >= std::numeric_limits<T>::min()),
                kWhere, "'{}' of {} is out of range", key, what_);
    return j.get<T>();
  }

  const json& object_;
  std::string what_;
  std::set<std::string> asked_;
};

void read_grid(Fields& fields, GraphNode& node) {
  Fields grid(fields.at("grid"), fmt::format("the grid of '{}'", node.name));
  node.type.is_codes = true;
  node.type.grid = {{grid.real("scale")},
                    grid.whole<std::int32_t>("zero_point"),
                    grid.whole<std::int32_t>("lo"),
                    grid.whole<std::int32_t>("hi"),
                    -1,
                    grid.rule()};
  grid.finish();
  const auto clamp = fields.numbers<std::int32_t, 2>("clamp");
  node.clamp_lo = clamp[0], node.clamp_hi = clamp[1];
}

void read_geometry(Fields& fields, const std::vector<GraphNode>& before, GraphNode& node) {
  OCTET_CHECK(
      node.inputs.size() == 1 && node.inputs[0] >= 0 && static_cast<std::size_t>(node.inputs[0]) < before.size(),
      kWhere, "node '{}' does not read one earlier node", node.name);
  const GraphNode& input = before[static_cast<std::size_t>(node.inputs[0])];
  const auto window = fields.numbers<std::int64_t, 2>("window"), stride = fields.numbers<std::int64_t, 2>("stride"),
             padding = fields.numbers<std::int64_t, 2>("padding");
  node.geometry = {1,         input.h,   input.w,   input.c,    node.c,    window[0],
                   window[1], stride[0], stride[1], padding[0], padding[1]};
}

GraphNode read_node(const json& j, const std::vector<GraphNode>& before) {
  Fields fields(j, fmt::format("node {}", before.size()));
  GraphNode node;
  node.op = fields.named("op", kOps);
  node.name = fields.text("name");
  node.inputs = fields.indices("inputs");
  const auto extent = fields.numbers<std::int64_t, 3>("extent");
  node.h = extent[0], node.w = extent[1], node.c = extent[2];
  if (fields.has("grid")) read_grid(fields, node);
  if (has_geometry(node.op)) read_geometry(fields, before, node);
  if (is_layer(node.op)) node.rule = fields.rule();
  if (fields.has("activation")) node.act = fields.named("activation", kActs);
  fields.finish();
  return node;
}

/// Parses with limits of nesting and of objects (the parser looks through all of an array behind each), and refuses keys that come twice.
json parse(const std::string& text) {
  constexpr std::size_t kMostObjects = 2 * kMostNodes + 2;  // a node and its grid; notes, and all of it
  std::size_t objects = 0;
  std::vector<std::set<std::string>> keys;
  const auto look = [&](int depth, json::parse_event_t event, json& parsed) {
    OCTET_CHECK(depth <= kMostDepth, kWhere, "the description nests more than {} levels", kMostDepth);
    if (event == json::parse_event_t::object_start) {
      OCTET_CHECK(++objects <= kMostObjects, kWhere, "the description has more than {} objects", kMostObjects);
      keys.emplace_back();
    }
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key)
      OCTET_CHECK(keys.back().insert(parsed.get<std::string>()).second, kWhere,
                  "the description has '{}' twice in one place", parsed.get<std::string>());
    return true;
  };
  return json::parse(text, look);
}

}  // namespace

std::string write_graph_text(const Graph& graph) {
  json nodes = json::array();
  for (const GraphNode& node : graph.nodes) nodes.push_back(to_json(node));
  std::string text;
  try {
    text = json{{"scheme", graph.scheme}, {"output", graph.output}, {"notes", graph.notes}, {"nodes", std::move(nodes)}}
               .dump();
  } catch (const json::exception&) {
    fail(kWhere, "a name or note is not UTF-8");
  }
  OCTET_CHECK(text.size() <= kMostText, kWhere, "the description has {} bytes, more than {}", text.size(), kMostText);
  return text;
}

Graph read_graph_text(const std::string& text) {
  OCTET_CHECK(text.size() <= kMostText, kWhere, "the description has {} bytes, more than {}", text.size(), kMostText);
  json description;
  try {
    description = parse(text);
  } catch (const json::exception& error) {
    fail(kWhere, fmt::format("the description is no JSON ({})", error.what()), "export it again");
  }
  Fields fields(description, "the description");
  Graph graph;
  graph.scheme = fields.text("scheme");
  graph.output = fields.whole<int>("output");
  Fields notes(fields.at("notes"), "'notes'");
  for (const auto& [key, value] : fields.at("notes").items()) graph.notes[key] = notes.text(key.c_str());
  const json& nodes = fields.list("nodes");
  OCTET_CHECK(nodes.size() <= kMostNodes, kWhere, "{} nodes are more than {}", nodes.size(), kMostNodes);
  fields.finish();
  for (const json& node : nodes) graph.nodes.push_back(read_node(node, graph.nodes));
  return graph;
}

}  // namespace octet::engine
