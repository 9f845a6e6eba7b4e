// The options of `coracle seal`, also taken by the verbs that seal a plain model for the moment.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace coracle::cmd {

struct SealOptions {
  std::string weights = "auto";
  double error_max = 0.04;
  std::string error_inputs;
  std::string compress = "none";
  double storage_gbps = 0;  ///< 0: not given
  std::string weights_file;
  std::vector<std::string> shapes;
  std::string labels;
  std::string preprocess;
  std::string decode;
  std::string name;
  std::string version;
  std::vector<uint32_t> output_layers;
  bool exact = false;
  std::string quantize_activations;  ///< folder of calibration inputs; empty: not
  std::string calibration = "percentile";

  /// The same options as arguments for another program.
  std::vector<std::string> ToArguments() const;
  /// `--shape NAME=1x3x224x224` parsed. Errors: kInvalidArgument.
  Result<std::map<std::string, std::vector<int64_t>>> ParseShapes() const;
};

void AddSealOptions(CLI::App* verb, SealOptions& options);

}  // namespace coracle::cmd
