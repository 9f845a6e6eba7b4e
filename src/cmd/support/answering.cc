#include "cmd/support/answering.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/check.h"
#include "cmd/support/describe.h"
#include "runtime/ports.h"
#include "serve/session_output.h"
#include "vision/draw.h"
#include "vision/image.h"
#include "vision/npy.h"

namespace coracle::cmd {
namespace {

constexpr size_t kPieceElements = 4096;

/// One output of one input, as decoders read it. They know of no failure: what could not be read is
/// zeros to them, and status() is asked before anything of theirs is used.
class DecodedOutput final : public vision::OutputView {
 public:
  DecodedOutput(const serve::OutputSource& source, const graph::Port& port, uint32_t index)
      : source_(source), port_(port), index_(index) {}
  std::string_view name() const override { return port_.name; }
  const Shape& shape() const override { return port_.shape; }
  void Read(uint64_t first, std::span<float> values) const override {
    Status read = source_.Read(index_, first, values);
    if (read.ok()) return;
    std::ranges::fill(values, 0.0F);
    if (status_.ok()) status_ = std::move(read);
  }
  /// The first failure of Read.
  const Status& status() const { return status_; }

 private:
  const serve::OutputSource& source_;
  const graph::Port& port_;
  uint32_t index_;
  mutable Status status_;
};

Status StatusOf(const std::vector<DecodedOutput>& outputs) {
  for (const DecodedOutput& output : outputs) TRY(output.status());
  return {};
}

std::vector<DecodedOutput> Outputs(const serve::OutputSource& source,
                                   const std::vector<graph::Port>& ports) {
  std::vector<DecodedOutput> outputs;
  for (uint32_t i = 0; i < ports.size(); ++i) outputs.emplace_back(source, ports[i], i);
  return outputs;
}

/// The next elements of the file, those of one input; they begin at `begin`.
Status AppendNpy(const serve::OutputSource& source, const graph::Port& port, uint32_t index,
                 uint64_t begin, vision::NpyWriter& writer) {
  std::array<float, kPieceElements> piece;
  if (source.prefers_rows(index) && writer.TakesAnyOrder()) {
    return runtime::ForEachRowPiece(port, kPieceElements,
                                    [&](uint64_t first, uint64_t count) -> Status {
                                      const std::span<float> values(piece.data(), count);
                                      TRY(source.Read(index, first, values));
                                      return writer.WriteAt(begin + first, values);
                                    });
  }
  const uint64_t elements = port.shape.Elements();
  for (uint64_t first = 0; first < elements; first += kPieceElements) {
    const std::span<float> values(piece.data(),
                                  std::min<uint64_t>(kPieceElements, elements - first));
    TRY(source.Read(index, first, values));
    TRY(writer.Append(values));
  }
  return {};
}

/// The output of all inputs, along axis 0.
Status WriteNpy(const runtime::Session& session, const graph::Graph& graph, uint32_t index,
                const std::string& path) {
  const graph::Port& port = graph.outputs[index];
  Shape shape = port.shape;
  if (session.plan().batch > 1) shape.Set(0, shape[0] * session.plan().batch);
  TRY_ASSIGN(vision::NpyWriter writer, vision::NpyWriter::Create(path, shape));
  for (uint32_t turn = 0; turn < session.plan().batch; ++turn) {
    const serve::SessionOutput source(session, graph, turn);
    TRY(AppendNpy(source, port, index, turn * port.shape.Elements(), writer));
  }
  return writer.Finish();
}

Status MakeFolder(const std::string& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (!failure) return {};
  return Error{Code::kUnavailable, fmt::format("cannot make {}: {}", folder, failure.message())};
}

std::string FileName(std::string_view output) {
  std::string name(output);
  std::replace(name.begin(), name.end(), '/', '_');
  return name + ".npy";
}

}  // namespace

Result<std::unique_ptr<Answering>> Answering::Make(const seal::Manifest& manifest,
                                                   const std::string& output,
                                                   const std::string& draw, uint32_t top) {
  std::unique_ptr<Answering> answering(new Answering(manifest, output, draw, top));
  if (!manifest.decode.empty()) {
    TRY_ASSIGN(answering->decoder_, vision::Decoder::Parse(manifest.decode));
  }
  if (!draw.empty() && !answering->decoder_.has_value()) {
    return Error{Code::kInvalidArgument,
                 "--draw: the model was sealed without --decode, so there is no answer to paint"};
  }
  const bool folder = output.ends_with('/') || std::filesystem::is_directory(output);
  if (!output.empty() && !folder && manifest.graph.outputs.size() != 1) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--output {}: the model has {} outputs; give a folder, DIR/", output,
                             manifest.graph.outputs.size())};
  }
  if (!output.empty() && !folder && !output.ends_with(".npy")) {
    return Error{Code::kInvalidArgument,
                 fmt::format("--output {}: give FILE.npy, or a folder DIR/", output)};
  }
  return answering;
}

Status Answering::WriteOutputs(const runtime::Session& session) const {
  if (output_.empty()) return {};
  const graph::Graph& graph = manifest_.graph;
  if (output_.ends_with(".npy")) return WriteNpy(session, graph, 0, output_);
  TRY(MakeFolder(output_));
  for (uint32_t i = 0; i < graph.outputs.size(); ++i) {
    const std::filesystem::path file =
        std::filesystem::path(output_) / FileName(graph.outputs[i].name);
    TRY(WriteNpy(session, graph, i, file.string()));
  }
  return {};
}

Status Answering::WriteFolder(const serve::OutputSource& source, const std::string& folder) const {
  TRY(MakeFolder(folder));
  for (uint32_t i = 0; i < manifest_.graph.outputs.size(); ++i) {
    const graph::Port& port = manifest_.graph.outputs[i];
    const std::filesystem::path file = std::filesystem::path(folder) / FileName(port.name);
    TRY_ASSIGN(vision::NpyWriter writer, vision::NpyWriter::Create(file.string(), port.shape));
    TRY(AppendNpy(source, port, i, 0, writer));
    TRY(writer.Finish());
  }
  return {};
}

Result<cmd::Report> Answering::Describe(const runtime::Session& session,
                                        const std::vector<Feed::Picture>& pictures) const {
  CORACLE_CHECK(pictures.size() == 1 || draw_.empty());
  TRY(WriteOutputs(session));
  const graph::Graph& graph = manifest_.graph;
  if (pictures.size() == 1) return Decode(serve::SessionOutput(session, graph, 0), pictures[0]);
  cmd::Report report;
  report.json["outputs"] = PortsJson(graph.outputs);
  for (uint32_t turn = 0; turn < pictures.size(); ++turn) {
    TRY_ASSIGN(const cmd::Report one,
               Decode(serve::SessionOutput(session, graph, turn), pictures[turn]));
    report.json["inputs"].push_back(one.json);
    if (decoder_.has_value()) report.text += fmt::format("input {}:\n", turn + 1);
    if (decoder_.has_value() || turn == 0) report.text += one.text;
  }
  return report;
}

Result<cmd::Report> Answering::DescribeOne(const serve::OutputSource& source,
                                           const Feed::Picture& picture,
                                           const std::string& folder) const {
  if (!folder.empty()) TRY(WriteFolder(source, folder));
  return Decode(source, picture);
}

Result<cmd::Report> Answering::Decode(const serve::OutputSource& source,
                                      const Feed::Picture& picture) const {
  cmd::Report report;
  report.json["outputs"] = PortsJson(manifest_.graph.outputs);
  if (!decoder_.has_value()) {
    for (const graph::Port& port : manifest_.graph.outputs) {
      report.text += fmt::format("output {} {}\n", port.name, port.shape.ToString());
    }
    return report;
  }
  const std::vector<DecodedOutput> outputs = Outputs(source, manifest_.graph.outputs);
  std::vector<const vision::OutputView*> views;
  views.reserve(outputs.size());
  for (const DecodedOutput& output : outputs) views.push_back(&output);
  Result<vision::Answer> decoded =
      decoder_->Decode(views, manifest_.labels, {top_, picture.geometry});
  TRY(StatusOf(outputs));  // before what the decoder says of zeros
  TRY_ASSIGN(const vision::Answer answer, std::move(decoded));
  report.json["outputs"][answer.output].update(Json(answer.ToJson()));
  report.text += answer.ToText();
  if (draw_.empty()) return report;
  std::optional<vision::Image> image;
  if (!picture.path.empty()) {
    TRY_ASSIGN(image, vision::LoadImage(picture.path));
  }
  TRY_ASSIGN(const vision::Image drawn,
             vision::Draw(image ? &*image : nullptr, answer, views, picture.geometry));
  TRY(StatusOf(outputs));
  TRY(vision::WritePng(drawn, draw_));
  report.json["drawn"] = draw_;
  return report;
}

}  // namespace coracle::cmd
