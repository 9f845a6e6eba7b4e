// HandedPrediction: what a process that is traced is told to predict.
//
// All that would go another way under the tracer, or take long there, is done before, outside of
// it: the plan is made at the rates of this machine, images are decoded and fitted, noise is drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/characterize/options.h"
#include "plan/plan.h"
#include "seal/model.h"

namespace coracle::cmd {

struct HandedPrediction {
  std::string model;  ///< the sealed file
  std::string key;    ///< its owner key's file
  plan::Plan plan;
  std::vector<std::string> inputs;   ///< as Feed takes them: tensors, no images
  std::vector<std::string> sources;  ///< what the user gave, where `inputs` were made of it
  uint32_t predictions = 2;

  /// Errors: as AtomicFile.
  Status Write(const std::string& path) const;
  /// Errors: as ReadWholeFile; kMalformed.
  static Result<HandedPrediction> Read(const std::string& path);
};

/// Errors: kInvalidArgument if a source was changed after its tensor had been written: what is
/// predicted would be the old one's.
Status CheckSourcesAreOlder(const HandedPrediction& handed);

/// `inputs`, as Feed takes them, as tensors that need no decoding. Where some are images, and where
/// there are none, input_0.npy, ... are written into `folder`, one for each of the model's inputs:
/// what the files become, or noise from -1 to 1 that is always the same.
/// Errors: as Feed, NpyWriter.
Result<std::vector<std::string>> WriteTensors(const seal::Manifest& manifest,
                                              const std::vector<std::string>& inputs,
                                              const std::string& folder);

}  // namespace coracle::cmd
