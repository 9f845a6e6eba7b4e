// What `coracle characterize` was asked for. Its modes: a program, a sealed model, and either of
// them on several inputs that are compared.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "characterize/analysis/trace_analysis.h"
#include "cmd/support/console.h"

namespace coracle::cmd {

struct CharacterizeOptions {
  std::string epc = "8MiB,16MiB,32MiB,64MiB";
  std::string granularity = "64";
  double sample = 1;
  std::optional<uint64_t> from_mark;
  std::optional<uint64_t> to_mark;
  bool measure = false;  ///< run it under epcrun too, once for each size
  std::string report;    ///< write a page here; empty: none
  /// A program and its arguments. Without --compare-inputs, one word that names a sealed model (a
  /// file that begins as one) is that model.
  std::vector<std::string> program;

  // For a sealed model.
  std::string key;
  std::string memory = "unlimited";
  std::string pin = "auto";
  std::vector<std::string> inputs;
  uint32_t threads = 1;

  // For a program: the model that it runs, which names its buffers and checks the advice.
  std::string model;
  std::string weights_file;  ///< of a Darknet .cfg

  std::vector<std::string> compare_inputs;
};

/// Errors: kInvalidArgument, naming the option.
Result<characterize::TraceAnalysis::Settings> ParseSettings(const CharacterizeOptions& options);

}  // namespace coracle::cmd
