// The page of `mnv1_qat report`: what it is made from, and the making.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/mnv1_qat/model_file.h"
#include "apps/mnv1_qat/trace_file.h"
#include "data/dataset.h"
#include "quant/analysis/analysis.h"

namespace octet::app {

/// A model's answers on the test set.
struct Judgement {
  std::string name;  ///< "fp32", "int8 engine"
  optim::Scores scores;
  std::vector<std::int64_t> classes;  ///< of each picture
  std::uint64_t bytes = 0;            ///< of its file
};

struct RunReport {
  std::string dir;
  ModelNotes notes;  ///< of the quantized model
  quant::QuantConfig config;
  data::Dataset test;
  Judgement fp32, int8;
  quant::Analysis analysis;
  std::vector<nlohmann::ordered_json> events;  ///< metrics.jsonl; may be empty
  std::vector<TraceLine> trace;                ///< of the fine-tuning; may be empty
};

/// Self-contained HTML.
std::string report_page(const RunReport& run);

}  // namespace octet::app
