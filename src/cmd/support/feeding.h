// The files that a user gave as inputs, written piece by piece where predictions take them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/support/kept_picture.h"
#include "runtime/session.h"
#include "seal/model.h"
#include "vision/image.h"
#include "vision/preprocess.h"

namespace coracle::cmd {

/// Writes a file's elements for the input `port`: an image through `preprocess` (how it was fitted
/// is returned), a .npy or .raw tensor as it is. Row by row; allocates nothing but to decode
/// images. Errors: unreadable or wrong files.
Result<std::optional<vision::Geometry>> FeedFile(const std::string& path, const graph::Port& port,
                                                 const vision::Preprocess& preprocess,
                                                 const vision::ElementSink& sink);

/// Of one session.
class Feed {
 public:
  /// `arguments`: FILE (for a model of one input) or NAME=FILE; .npy, .raw, or an image where the
  /// model has preprocessing. Each of the model's inputs `batch` times, in the convoy's order.
  /// Errors: kInvalidArgument naming the input and what it takes; missing files.
  static Result<Feed> Parse(const seal::Manifest& manifest,
                            const std::vector<std::string>& arguments, uint32_t batch);

  /// Of one input of the convoy: its image and how that was fitted; empty where none was given.
  struct Picture {
    std::string path;
    std::optional<vision::Geometry> geometry;
  };
  /// By input of the convoy; not fitted yet.
  std::vector<Picture> Pictures() const;
  /// From now on, what an image became is kept for the next Fill (see KeptPicture), which then
  /// reads no file and decodes nothing.
  void KeepPictures() { keeps_pictures_ = true; }

  /// Takes elements [first, first + values.size()) of graph input `input`, as Session::WriteInput.
  using InputSink =
      std::function<void(uint32_t input, uint64_t first, std::span<const float> values)>;
  /// Writes every input, and notes in `pictures` (as Pictures() gives them) how each was fitted.
  /// Allocates nothing but to decode images. Errors: unreadable or wrong files.
  Status Fill(runtime::Session& session, std::span<Picture> pictures);
  Status Fill(const InputSink& sink, std::span<Picture> pictures);
  /// Host memory that kept pictures take.
  uint64_t outside_bytes() const;

 private:
  struct Source {
    uint32_t input = 0;  ///< of the graph
    uint32_t turn = 0;   ///< of the convoy
    std::string path;
    graph::Port port;
    std::unique_ptr<KeptPicture> kept = nullptr;
    vision::Geometry geometry = {};  ///< of what is kept

    uint64_t begin() const { return turn * port.shape.Elements(); }
  };
  /// What `source`'s picture became, from where it is kept.
  Result<vision::Geometry> FillFromKept(Source& source, const vision::ElementSink& write) const;

  std::vector<Source> sources_;
  vision::Preprocess preprocess_;
  uint32_t batch_ = 1;
  bool keeps_pictures_ = false;
};

}  // namespace coracle::cmd
