// epcrun: a program within a software enclave page cache (docs/epcrun.md).
#include <fmt/format.h>

#include <cstdio>

#include "emulator/epcrun/calibrate.h"
#include "emulator/epcrun/exit_codes.h"
#include "emulator/epcrun/options.h"
#include "emulator/epcrun/run.h"

namespace coracle::epc {
namespace {

Result<int> Main(int argc, char** argv) {
  TRY_ASSIGN(const Options options, ParseOptions(argc, argv));
  switch (options.verb) {
    case Verb::kRun:
      return RunInside(options);
    case Verb::kCalibrate:
      return Calibrate(options);
    case Verb::kCalibrateInside:
      return CalibrateInside(options.results_fd);
    case Verb::kList:
      return ListShare(options);
  }
  return kExitUsage;
}

}  // namespace
}  // namespace coracle::epc

int main(int argc, char** argv) {
  const coracle::Result<int> code = coracle::epc::Main(argc, argv);
  if (code.ok()) return *code;
  fmt::print(stderr, "epcrun: {}\n", code.error().message);
  return coracle::epc::ExitCodeOf(code.error().code);
}
