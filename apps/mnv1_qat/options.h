// What the command line says.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/loader.h"
#include "nn/models.h"
#include "ops/ops.h"
#include "optim/schedule.h"
#include "quant/config.h"

namespace octet::app {

enum class Command {
  run,
  pretrain,
  qat,
  evaluate,
  export_model,
  predict,
  dump_codes,
  info,
  ptq,
  verify,
  bench,
  sensitivity,
  inspect,
  report,
  compare
};

/// onnx: the integer model as Q/DQ pairs; onnx_fp32: the floats behind it.
enum class ExportFormat { safetensors, onnx, onnx_fp32 };

struct Options {
  Command command = Command::run;

  // data
  std::string data = "auto";
  bool download = false;
  std::string download_url;  ///< empty: the official one
  std::string download_dir = "data";
  // model
  std::string net = "mobilenet_v1";  ///< one of kNets
  double scale = 1.0;
  nn::Variant variant = nn::Variant::imagenet;
  nn::Init init = nn::Init::he;
  // training
  std::int64_t epochs = 5, coarse_epochs = 0, qat_epochs = 2, batch_size = 256;
  double lr = 0.1, momentum = 0.9, weight_decay = 0, label_smoothing = 0;
  bool nesterov = false;
  std::int64_t warmup_steps = 0;
  double sharpness = 0;  ///< how far weights climb before a step's gradient is taken; 0: not at all
  optim::ScheduleKind schedule = optim::ScheduleKind::constant;
  data::Augment augment = data::Augment::none;
  int cutout = 0;  ///< pixels; 0: none
  ops::Precision precision = ops::Precision::f32;
  std::int64_t limit_train = 0, limit_test = 0;  ///< use only the first pictures; 0 = all
  std::uint64_t seed = 1;
  // quantization
  quant::QuantConfig quant;
  bool quant_given = false;      ///< does the command line, or a file that it names, set any of it?
  std::int64_t calibrate = 512;  ///< pictures that ptq shows
  // run
  int threads = 0;              ///< 0: as many as processors
  Device device = Device::cpu;  ///< that trains and evaluates nets, of floats and of integers
  bool deterministic = false;
  std::string out = "runs/mnv1_qat";
  std::int64_t checkpoint_every = 0;
  bool resume = false, quiet = false, json = false;
  std::string profile;  ///< a trace to write; empty: none
  std::string
      trace_dir;  ///< run, qat: where the quantizers' trace goes; report: where it lies; empty: none, the run's folder
  std::int64_t trace_every = 10;  ///< steps between its lines
  // other subcommands
  std::string model;                 ///< a .safetensors file
  std::string export_file;           ///< what export writes
  std::string ptq_dir = "runs/ptq";  ///< where ptq writes
  ExportFormat export_format = ExportFormat::safetensors;
  std::string codes_dir = "codes";    ///< where dump-codes writes
  std::vector<std::string> pictures;  ///< files
  std::vector<std::int64_t> indices;  ///< pictures of the test set
  std::string onnx_file, int8_file;   ///< verify: held against the model; empty: none, and the model converted anew
  std::string python;                 ///< verify: has ONNX Runtime; empty: see find_python()
  std::vector<std::int64_t> batches = {1, 8, 64, 256};
  std::vector<int> thread_counts;   ///< bench; empty: 1 and one per processor
  double seconds = 1;               ///< bench: of each case
  bool serve = false;               ///< bench: obey stdin
  std::string layer;                ///< inspect: names of values, '*' for any text; empty: all
  std::string page;                 ///< inspect, report: an HTML page to write; empty: none
  std::string run_dir;              ///< report: the folder of a run
  std::vector<std::string> models;  ///< compare: fp32.safetensors, none, one, or one a seed
  std::vector<std::string> methods = {"ste", "pact", "lsq"};  ///< compare: see methods.h
  std::vector<int> bits = {8, 4, 3, 2};                       ///< compare: of weights and activations
  std::int64_t seeds = 3;                                     ///< compare: how many, from `seed` on
  std::string compare_dir = "runs/compare";
  double qat_lr = 0.01;                    ///< compare: of fine-tuning
  bool list = false, keep_models = false;  ///< compare: only print the methods; do not remove what it has scored
  std::string plot;                        ///< sensitivity: an SVG to write; empty: none
  double budget = 0;  ///< sensitivity: share of the fp32 weights' size that bits are chosen for; 0: no choice
  std::vector<int> candidates = {2, 3, 4, 5, 6, 8};  ///< sensitivity: bits to choose from
  std::string bits_file;  ///< sensitivity: the configuration with the chosen bits; empty: none
};

}  // namespace octet::app
