// The subcommands.
#pragma once
#include "apps/mnv1_qat/options.h"

namespace octet::app {

void run(const Options& options);
void pretrain(const Options& options);
void qat(const Options& options);
void evaluate(const Options& options);
void export_model(const Options& options);
void predict(const Options& options);
void dump_codes(const Options& options);
void ptq(const Options& options);
void info(const Options& options);
void verify(const Options& options);
void bench(const Options& options);
void sensitivity(const Options& options);
void inspect(const Options& options);
void report(const Options& options);
void compare(const Options& options);

}  // namespace octet::app
