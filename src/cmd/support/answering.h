// Answering: the outputs of predictions as files, as decoded answers and as a picture.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/support/console.h"
#include "cmd/support/feeding.h"
#include "runtime/session.h"
#include "seal/model.h"
#include "serve/served_model.h"
#include "vision/decode.h"
#include "vision/preprocess.h"

namespace coracle::cmd {

class Answering {
 public:
  /// `output`: FILE.npy, DIR/ or empty; `draw`: FILE.png or empty. `manifest` must outlive the
  /// result. Errors: kInvalidArgument before anything runs.
  static Result<std::unique_ptr<Answering>> Make(const seal::Manifest& manifest,
                                                 const std::string& output, const std::string& draw,
                                                 uint32_t top);

  /// Writes the files that were asked for (those of a convoy along axis 0), and reports `outputs`
  /// and the answer; of a convoy, one answer an input in `inputs`. Requires: the session's last Run
  /// succeeded; one picture for each input of the convoy; nothing is drawn of several.
  Result<cmd::Report> Describe(const runtime::Session& session,
                               const std::vector<Feed::Picture>& pictures) const;

  /// Of one prediction that a scheduler made: its answer as Describe() gives it, and each output as
  /// a file in `folder` (made if need be; empty: none). Any thread.
  Result<cmd::Report> DescribeOne(const serve::OutputSource& source, const Feed::Picture& picture,
                                  const std::string& folder) const;

 private:
  Answering(const seal::Manifest& manifest, std::string output, std::string draw, uint32_t top)
      : manifest_(manifest), output_(std::move(output)), draw_(std::move(draw)), top_(top) {}
  Status WriteOutputs(const runtime::Session& session) const;
  Status WriteFolder(const serve::OutputSource& source, const std::string& folder) const;
  /// The decoded answer of one input.
  Result<cmd::Report> Decode(const serve::OutputSource& source, const Feed::Picture& picture) const;

  const seal::Manifest& manifest_;
  std::string output_;
  std::string draw_;
  uint32_t top_;
  std::optional<vision::Decoder> decoder_;
};

}  // namespace coracle::cmd
