#include "cmd/support/feeding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/ports.h"
#include "tensor/dtype.h"
#include "vision/image.h"
#include "vision/input_folder.h"
#include "vision/npy.h"

namespace coracle::cmd {
namespace {

constexpr size_t kPieceElements = 4096;

std::string InputNames(const seal::Manifest& manifest) {
  std::string names;
  for (const graph::Port& port : manifest.graph.inputs) {
    names += fmt::format("{}{} ({})", names.empty() ? "" : ", ", port.name, port.shape.ToString());
  }
  return names;
}

/// Splits NAME=FILE for a name that the model has; otherwise all of it is a file for the only
/// input.
Result<std::pair<uint32_t, std::string>> SplitArgument(const seal::Manifest& manifest,
                                                       const std::string& argument) {
  const std::vector<graph::Port>& ports = manifest.graph.inputs;
  for (uint32_t i = 0; i < ports.size(); ++i) {
    const std::string prefix = ports[i].name + "=";
    if (argument.starts_with(prefix)) return std::pair{i, argument.substr(prefix.size())};
  }
  const size_t equals = argument.find('=');
  const bool looks_named = equals != std::string::npos && argument.find('/') > equals;
  if (ports.size() != 1 || looks_named) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--input {}: the model's inputs are {}; write NAME=FILE", argument,
                             InputNames(manifest))};
  }
  return std::pair{0U, argument};
}

Error GivenTooOften(const std::string& input, uint32_t batch) {
  const std::string often = batch == 1 ? "twice" : fmt::format("more than {} times", batch);
  return {
      Code::kInvalidArgument,
      fmt::format("--input: '{}' is given {}; --batch N takes N of each, to go through together",
                  input, often)};
}

Status FeedTensor(const std::string& path, const graph::Port& port,
                  const vision::ElementSink& sink) {
  TRY_ASSIGN(const vision::NpyReader reader, path.ends_with(".raw")
                                                 ? vision::NpyReader::OpenRaw(path, port.shape)
                                                 : vision::NpyReader::Open(path));
  if (reader.dtype() != DType::kFloat32) {
    return Error{
        Code::kInvalidArgument,
        fmt::format(
            "{} holds {}, but input '{}' takes float32; save it with .astype(numpy.float32)", path,
            DTypeName(reader.dtype()), port.name)};
  }
  if (!(reader.shape() == port.shape)) {
    return Error{Code::kInvalidArgument,
                 fmt::format("{} holds {}, but input '{}' takes {}", path,
                             reader.shape().ToString(), port.name, port.shape.ToString())};
  }
  std::array<float, kPieceElements> piece;
  return runtime::ForEachRowPiece(port, kPieceElements,
                                  [&](uint64_t first, uint64_t count) -> Status {
                                    const std::span<float> values(piece.data(), count);
                                    TRY(reader.Read(first, values));
                                    sink(first, values);
                                    return {};
                                  });
}

}  // namespace

Result<std::optional<vision::Geometry>> FeedFile(const std::string& path, const graph::Port& port,
                                                 const vision::Preprocess& preprocess,
                                                 const vision::ElementSink& sink) {
  if (vision::HasTensorName(path)) {
    TRY(FeedTensor(path, port, sink));
    return std::optional<vision::Geometry>();
  }
  if (preprocess.none()) {
    return Error{
        Code::kInvalidArgument,
        fmt::format(
            "{}: the model was sealed without --preprocess, so it takes no image; give input '{}' "
            "({}) as .npy or .raw",
            path, port.name, port.shape.ToString())};
  }
  TRY_ASSIGN(const vision::Image image, vision::LoadImage(path));
  TRY_ASSIGN(const vision::Geometry geometry, preprocess.Fill(image, port.shape.dims(), sink));
  return std::optional(geometry);
}

Result<Feed> Feed::Parse(const seal::Manifest& manifest, const std::vector<std::string>& arguments,
                         uint32_t batch) {
  Feed feed;
  feed.batch_ = batch;
  TRY_ASSIGN(feed.preprocess_, vision::Preprocess::Parse(manifest.preprocess));
  std::vector<uint32_t> given(manifest.graph.inputs.size());
  for (const std::string& argument : arguments) {
    TRY_ASSIGN(const auto split, SplitArgument(manifest, argument));
    const auto& [input, path] = split;
    const graph::Port& port = manifest.graph.inputs[input];
    if (given[input] == batch) return GivenTooOften(port.name, batch);
    feed.sources_.push_back({input, given[input]++, path, port});
  }
  const size_t wanted = given.size() * batch;
  if (feed.sources_.size() != wanted) {
    return Error{
        Code::kInvalidArgument,
        fmt::format("{} of {} inputs are given; the model takes {}{}", feed.sources_.size(), wanted,
                    InputNames(manifest), batch == 1 ? "" : fmt::format(", each {} times", batch))};
  }
  return feed;
}

std::vector<Feed::Picture> Feed::Pictures() const {
  std::vector<Picture> pictures(batch_);
  for (const Source& source : sources_) {
    if (vision::HasImageName(source.path)) pictures[source.turn].path = source.path;
  }
  return pictures;
}

Status Feed::Fill(runtime::Session& session, std::span<Picture> pictures) {
  const auto write = [&session](uint32_t input, uint64_t first, std::span<const float> values) {
    session.WriteInput(input, first, values);
  };
  return Fill(InputSink(write), pictures);
}

Status Feed::Fill(const InputSink& sink, std::span<Picture> pictures) {
  for (Source& source : sources_) {
    const auto write = [&](uint64_t first, std::span<const float> values) {
      sink(source.input, source.begin() + first, values);
    };
    if (keeps_pictures_ && vision::HasImageName(source.path)) {
      TRY_ASSIGN(pictures[source.turn].geometry, FillFromKept(source, write));
      continue;
    }
    TRY_ASSIGN(const std::optional<vision::Geometry> fitted,
               FeedFile(source.path, source.port, preprocess_, write));
    if (fitted) pictures[source.turn].geometry = fitted;
  }
  return {};
}

Result<vision::Geometry> Feed::FillFromKept(Source& source,
                                            const vision::ElementSink& write) const {
  if (source.kept == nullptr) {
    const auto decode = [&](const vision::ElementSink& sink) -> Status {
      TRY_ASSIGN(const std::optional<vision::Geometry> fitted,
                 FeedFile(source.path, source.port, preprocess_, sink));
      source.geometry = *fitted;
      return {};
    };
    TRY_ASSIGN(source.kept, KeptPicture::Seal(source.port.shape.Elements(), decode));
  }
  TRY(source.kept->Open(write));
  return source.geometry;
}

uint64_t Feed::outside_bytes() const {
  uint64_t bytes = 0;
  for (const Source& source : sources_) {
    if (source.kept != nullptr) bytes += source.kept->outside_bytes();
  }
  return bytes;
}

}  // namespace coracle::cmd
