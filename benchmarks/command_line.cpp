#include "benchmarks/command_line.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

namespace octet::bench {
namespace {

const std::map<std::string, Format> kFormats{
    {"table", Format::table}, {"csv", Format::csv}, {"json", Format::json}, {"md", Format::md}};

constexpr const char* kExamples =
    "Names are room/pass/shape/bBATCH/dtypes/row. Examples:\n"
    "  octet_bench --filter '^conv2d/conv2d_fwd/pw5/'        one layer, all rows, int8 beside fp32\n"
    "  octet_bench --filter '/b1/.*(f32|u8s8)/avx' --wide    one picture, our vector rows side by side\n"
    "  octet_bench --filter '^conv2d/.*/pw.*/b256/.*/avx512' --roofline pw.svg\n"
    "  octet_bench --network --roofline network.svg          the whole net, layer by layer\n"
    "  octet_bench --network --decomposed -o csv > net.csv   with a pass of its own for each op\n"
    "  octet_bench --int8-network --threads 2                the engine's layers beside oneDNN's\n"
    "  octet_bench --step                                    whole training steps: fp32 and QAT\n"
    "  octet_bench --step --python venv/bin/python --peer-qat -o md\n"
    "  octet_bench -o json > results.json                    everything\n"
    "OCTET_ISA caps the instruction set, OCTET_KERNEL forces rows (the mark > follows).\n"
    "Exit codes: 0 all right, 1 a row failed its check or the work could not be done, 2 wrong command line.";

/// CLI11's help without what needs and excludes what: a wrong combination says it.
class PlainHelp : public CLI::Formatter {
 public:
  PlainHelp() { column_width(30); }
  std::string make_option_opts(const CLI::Option* option) const override {
    std::string text;
    if (option->get_type_size() != 0) text += " " + option->get_type_name();
    if (!option->get_default_str().empty()) text += " (" + option->get_default_str() + ")";
    return text;
  }
  std::string make_group(std::string group, bool positional, std::vector<const CLI::Option*> options) const override {
    std::string text = CLI::Formatter::make_group(group, positional, std::move(options));
    while (text.starts_with("\n\n")) text.erase(0, 1);
    return text;
  }
};

void describe_modes(CLI::App& app, Options& o) {
  const char* group = "What to measure (default: every row)";
  app.add_option("--filter", o.filter,
                 "Only rows whose name matches this regular expression (ECMAScript); names as --list shows them")
      ->type_name("REGEX")
      ->group(group);
  app.add_flag("--chosen", o.chosen, "Only rows that selection runs here")->group(group);
  auto* list = app.add_flag("--list", o.list, "Name every row, with its problem, and run nothing")->group(group);
  auto* network = app.add_flag("--network", o.network,
                               "MobileNetV1 layer by layer, forward and backward, with the rows that selection runs; "
                               "int8 beside fp32")
                      ->group(group)
                      ->excludes("--filter")
                      ->excludes("--chosen")
                      ->excludes(list);
  app.add_flag("--decomposed", o.decomposed, "With --network: a pass for each op, batch norm by itself")
      ->group(group)
      ->needs(network);
  app.add_option("--parts", o.parts, "With --network: only these of fp32, qat, int8, bf16 (default: all but the last)")
      ->delimiter(',')
      ->type_name("NAMES")
      ->check(CLI::IsMember({"fp32", "qat", "int8", "bf16"}).description(""))
      ->group(group)
      ->needs(network);
  auto* int8_network =
      app.add_flag("--int8-network", o.int8_network,
                   "MobileNetV1's convolutions over codes beside oneDNN's int8 primitives, taking turns: 16 pictures "
                   "on one thread, then --batch on all")
          ->group(group)
          ->excludes("--filter")
          ->excludes("--chosen")
          ->excludes(list)
          ->excludes(network);
  app.add_flag("--step", o.step, "Whole training steps: fp32, QAT, and PyTorch's with --python, taking turns")
      ->group(group)
      ->excludes("--filter")
      ->excludes("--chosen")
      ->excludes(list)
      ->excludes(network)
      ->excludes(int8_network);
}

void describe_output(CLI::App& app, Options& o) {
  const char* group = "How to print it";
  app.add_option("-o,--output", o.format, "table, csv, json or md")
      ->transform(CLI::CheckedTransformer(kFormats).description(""))
      ->type_name("FORMAT")
      ->group(group);
  app.add_flag("--wide", o.wide, "One line per case, its rows side by side")
      ->group(group)
      ->excludes("--network")
      ->excludes("--int8-network")
      ->excludes("--step");
  app.add_option("--roofline", o.roofline, "Also draw what was measured under the machine's roof, as SVG")
      ->type_name("FILE.svg")
      ->group(group)
      ->excludes("--int8-network")
      ->excludes("--step");
}

void describe_conditions(CLI::App& app, Options& o) {
  const char* group = "Conditions";
  app.add_option("--batch", o.batch, "Pictures of the training shapes (256; with --quick few)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N")
      ->group(group);
  app.add_option("--threads", o.threads, "Threads of all rows and of the peaks (default: all processors)")
      ->check(CLI::Range(1, 256).description(""))
      ->type_name("N")
      ->group(group);
  app.add_flag("--quick", o.quick, "Few pictures and short runs: shows that all works, its times are rough")
      ->group(group);
}

void describe_step(CLI::App& app, Options& o) {
  const char* group = "With --step";
  StepOptions& s = o.step_options;
  const auto needs_step = [&](CLI::Option* option) { option->group(group)->needs("--step"); };
  needs_step(app.add_option("--rounds", s.rounds, "Turns of every side")
                 ->check(CLI::Range(1, 1000).description(""))
                 ->type_name("N")
                 ->capture_default_str());
  needs_step(app.add_option("--steps", s.steps, "Timed steps in a turn")
                 ->check(CLI::Range(1, 500).description(""))
                 ->type_name("N")
                 ->capture_default_str());
  needs_step(app.add_option("--python", s.python, "A Python with PyTorch: its steps too, eager and compiled")
                 ->type_name("PY"));
  needs_step(app.add_flag("--peer-qat", s.peer_qat, "With --python: torch.ao's FX QAT as well"));
  needs_step(app.add_option("--sides", s.sides, fmt::format("Exactly these: {}", fmt::join(step_sides(), ", ")))
                 ->delimiter(',')
                 ->type_name("NAMES")
                 ->check(CLI::IsMember(step_sides()).description("")));
  needs_step(app.add_option("--peer-script", s.peer_script, "In place of benchmarks/peers/torch_step.py")
                 ->type_name("FILE.py"));
  app.add_option("--scale", s.scale, "Width of the net, 0.25 to 1")
      ->check(CLI::Range(0.25, 1.0).description(""))
      ->type_name("X")
      ->group(group);
  app.add_option("--serve-step", o.serve_step, "One side of --step, on stdin and stdout")
      ->check(CLI::IsMember({"fp32", "qat", "bf16"}))
      ->group("");  // not for people
}

}  // namespace

void describe(CLI::App& app, Options& options) {
  app.set_version_flag("--version", std::string("octet_bench ") + OCTET_VERSION);
  describe_modes(app, options);
  describe_output(app, options);
  describe_conditions(app, options);
  describe_step(app, options);
  app.formatter(std::make_shared<PlainHelp>());
  app.footer(kExamples);
}

}  // namespace octet::bench
