// Answering: a session's outputs as files, as a decoded answer and as a picture.
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

 private:
  Answering(const seal::Manifest& manifest, std::string output, std::string draw, uint32_t top)
      : manifest_(manifest), output_(std::move(output)), draw_(std::move(draw)), top_(top) {}
  Status WriteOutputs(const runtime::Session& session) const;
  /// The decoded answer of one input of the convoy.
  Result<cmd::Report> DescribeOne(const runtime::Session& session, uint32_t turn,
                                  const Feed::Picture& picture) const;

  const seal::Manifest& manifest_;
  std::string output_;
  std::string draw_;
  uint32_t top_;
  std::optional<vision::Decoder> decoder_;
};

}  // namespace coracle::cmd
