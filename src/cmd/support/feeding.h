// Feed: the files that a user gave as inputs, written into a session piece by piece.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/session.h"
#include "seal/model.h"
#include "vision/preprocess.h"

namespace coracle::cmd {

class Feed {
 public:
  /// `arguments`: FILE (for a model of one input) or NAME=FILE; .npy, .raw, or an image where the
  /// model has preprocessing. Errors: kInvalidArgument naming the input and what it takes; missing
  /// files.
  static Result<Feed> Parse(const seal::Manifest& manifest,
                            const std::vector<std::string>& arguments);

  /// Writes every input. The geometry is the image's, where one was given. Errors: unreadable or
  /// wrong files.
  Result<std::optional<vision::Geometry>> Fill(runtime::Session& session) const;
  /// The image among the inputs; empty if there is none.
  const std::string& ImagePath() const { return image_path_; }

 private:
  struct Source {
    uint32_t input = 0;
    std::string path;
    graph::Port port;
  };
  Result<std::optional<vision::Geometry>> FillFromImage(const Source& source,
                                                        runtime::Session& session) const;
  static Status FillFromTensor(const Source& source, runtime::Session& session);

  std::vector<Source> sources_;
  vision::Preprocess preprocess_;
  std::string image_path_;
};

}  // namespace coracle::cmd
