// `coracle characterize`: how a program or a sealed model would behave in an enclave, from traced
// runs of it.
#include "cmd/characterize/verb.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "cmd/characterize/compare_inputs.h"
#include "cmd/characterize/measured.h"
#include "cmd/characterize/model_advice.h"
#include "cmd/characterize/options.h"
#include "cmd/characterize/report_page.h"
#include "cmd/characterize/sealed.h"
#include "cmd/characterize/text.h"
#include "cmd/characterize/tracing.h"
#include "cmd/support/page_file.h"
#include "cmd/support/plan_options.h"

namespace coracle::cmd {
namespace {

Result<Report> CharacterizeProgram(const CharacterizeOptions& options) {
  std::unique_ptr<ModelAdvice> model;
  if (!options.model.empty()) {
    TRY_ASSIGN(model, ModelAdvice::Make(options));
  }
  TRY_ASSIGN(const auto outcome, Trace(options, options.program));
  Report report;
  report.json = DescribeTrace(options.program, outcome);
  report.exit_code = outcome.exit_code;
  if (options.measure) TRY(MeasureUnderEpcrun(options, options.program, report.json));
  if (model != nullptr) TRY(model->Complete(report.json));
  report.text = CharacterizationText(report.json);
  return report;
}

Result<Report> CharacterizeAny(const CharacterizeOptions& options) {
  if (!options.compare_inputs.empty()) return CompareInputs(options);
  // Before a long trace, not after it.
  if (options.measure) TRY(CheckMeasuring());
  if (NamesSealedModel(options)) return CharacterizeSealed(options);
  return CharacterizeProgram(options);
}

Result<Report> Characterize(const CharacterizeOptions& options) {
  // The findings come from a process that the traced program shares; whatever it made of them, we
  // do not throw.
  try {
    TRY_ASSIGN(Report report, CharacterizeAny(options));
    if (!options.report.empty()) {
      TRY(WritePage(options.report, CharacterizationPage(report.json)));
    }
    return report;
  } catch (const Json::exception& error) {
    return Error{Code::kInternal,
                 fmt::format("the tracer's findings make no sense: {}", error.what())};
  }
}

}  // namespace

void AddCharacterizeVerb(CLI::App& app, Console& console) {
  CLI::App* const verb = app.add_subcommand(
      "characterize", "Trace a program and say how it would behave in an enclave");
  const auto options = std::make_shared<CharacterizeOptions>();
  verb->add_option("--epc", options->epc, "Sizes of secure memory to predict page loads for")
      ->type_name("SIZE,...")
      ->capture_default_str();
  verb->add_option("--granularity", options->granularity,
                   "Follow reuse at these sizes beside pages: 64 to 4096 bytes, powers of two")
      ->type_name("SIZE,...")
      ->capture_default_str();
  verb->add_option("--sample", options->sample,
                   "Follow this share of what is smaller than a page (pages: always all)")
      ->check(CLI::Range(1e-4, 1.0))
      ->capture_default_str();
  verb->add_option("--from-mark", options->from_mark,
                   "Count from where the program marks this (docs/epcrun.md), as if it had run for "
                   "a while");
  verb->add_option("--to-mark", options->to_mark, "Count no further than this mark");
  verb->add_flag("--measure", options->measure,
                 "Run it under epcrun too, once for each size, and print both");
  verb->add_option("--report", options->report, "Write a page of all findings: out.html");
  verb->add_option("--key", options->key, "A sealed model's owner key");
  verb->add_option("--memory", options->memory, "Secure memory that a sealed model is planned for")
      ->capture_default_str();
  AddPinOption(verb, options->pin);
  verb->add_option("--input", options->inputs, "A sealed model's input; once for each")
      ->allow_extra_args(false);
  verb->add_option("--model", options->model,
                   "The model that the program runs (.onnx, .cfg or sealed): names its buffers by "
                   "layer, and tries the advice");
  verb->add_option("--weights-file", options->weights_file, "The weights of a Darknet .cfg");
  verb->add_option("--compare-inputs", options->compare_inputs,
                   "Fail if the addresses touched depend on which of these files is {} in ARGS, or "
                   "the model's input")
      ->expected(2, 64);
  verb->add_option("PROGRAM", options->program, "The program and its arguments, after --")
      ->required();
  verb->footer(
      "The program runs under QEMU (Debian: qemu-user), some 30 to 100 times slower; its output "
      "goes "
      "to stderr. Children\nthat it forks are not followed. Ctrl-C ends it and prints what was "
      "found. "
      "The exit code is the program's.\n\n"
      "Example:\n  coracle characterize --epc 8MiB,32MiB -- darknet classifier predict "
      "imagenet1k.data darknet19.cfg darknet19.weights dog.jpg");
  console.Register(verb, [options] { return Characterize(*options); });
}

}  // namespace coracle::cmd
