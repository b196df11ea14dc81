// mnv1_qat: exit code 0, 1 with one line on stderr when the work failed, 2 when the command line is wrong.
#include <cstdio>
#include <exception>

#include "apps/mnv1_qat/command_line.h"
#include "apps/mnv1_qat/commands.h"
#include "apps/mnv1_qat/profile_report.h"
#include "core/error.h"
#include "core/gpu/gpu.h"
#include "core/parallel.h"
#include "kernels/select.h"

namespace {

using octet::app::Command;

void run_command(const octet::app::Options& options) {
  switch (options.command) {
    case Command::run:
      return octet::app::run(options);
    case Command::pretrain:
      return octet::app::pretrain(options);
    case Command::qat:
      return octet::app::qat(options);
    case Command::evaluate:
      return octet::app::evaluate(options);
    case Command::export_model:
      return octet::app::export_model(options);
    case Command::predict:
      return octet::app::predict(options);
    case Command::dump_codes:
      return octet::app::dump_codes(options);
    case Command::ptq:
      return octet::app::ptq(options);
    case Command::info:
      return octet::app::info(options);
    case Command::verify:
      return octet::app::verify(options);
    case Command::bench:
      return octet::app::bench(options);
    case Command::sensitivity:
      return octet::app::sensitivity(options);
    case Command::inspect:
      return octet::app::inspect(options);
    case Command::report:
      return octet::app::report(options);
    case Command::compare:
      return octet::app::compare(options);
  }
}

void dispatch(const octet::app::Options& options) {
  if (options.threads > 0) octet::set_num_threads(options.threads);
  octet::kernels::set_deterministic(options.deterministic);
  octet::ops::set_precision(options.precision, options.device);
  if (options.device == octet::Device::cuda) octet::gpu::require();
  octet::app::ProfileSession profile(options);
  run_command(options);
  profile.finish();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    dispatch(octet::app::parse_command_line(argc, argv));
    if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
    std::fputs("mnv1_qat: cannot write to stdout\n", stderr);
  } catch (const octet::app::EarlyExit& exit) {
    std::fputs(exit.what(), exit.code == 0 ? stdout : stderr);
    if (exit.code != 0) std::fputc('\n', stderr);
    return exit.code;
  } catch (const std::bad_alloc&) {
    std::fputs("mnv1_qat: out of memory ---> HINT smaller batches or fewer pictures need less\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mnv1_qat: %s\n", error.what());
  }
  return 1;
}
