// run, pretrain, qat: the stages of the pipeline in their order.
#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/pipeline.h"
#include "core/error.h"

namespace octet::app {
namespace {

void tune_export_compare(Pipeline& pipeline) {
  pipeline.fine_tune();
  pipeline.evaluate_qat();
  pipeline.export_and_run();
  pipeline.compare();
  pipeline.show_predictions();
  pipeline.finish();
}

}  // namespace

void run(const Options& options) {
  quant::require_trainable(options.quant);
  Pipeline pipeline(options);
  pipeline.pretrain();
  pipeline.evaluate_fp32();
  tune_export_compare(pipeline);
}

void pretrain(const Options& options) {
  Pipeline pipeline(options);
  pipeline.pretrain();
  pipeline.evaluate_fp32();
  pipeline.finish_pretrain();
}

void qat(const Options& options) {
  quant::require_trainable(options.quant);
  const LoadedModel loaded = load_net(options.model, options.device);  // before a folder is made and pictures are drawn
  if (!loaded.notes.quant.empty())
    fail("qat", fmt::format("'{}' is quantized already", options.model), "give the fp32.safetensors of a pre-training");
  Pipeline pipeline(options);
  pipeline.take_pretrained(loaded, options.model);
  pipeline.evaluate_fp32();
  tune_export_compare(pipeline);
}

}  // namespace octet::app
