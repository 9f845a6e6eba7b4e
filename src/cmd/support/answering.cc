#include "cmd/support/answering.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "base/check.h"
#include "cmd/support/describe.h"
#include "runtime/ports.h"
#include "vision/draw.h"
#include "vision/image.h"
#include "vision/npy.h"

namespace coracle::cmd {
namespace {

constexpr size_t kPieceElements = 4096;

/// One output of one input of a session's convoy, as decoders read it. They know of no failure:
/// what could not be read is zeros to them, and status() is asked before anything of theirs is
/// used.
class SessionOutput final : public vision::OutputView {
 public:
  SessionOutput(const runtime::Session& session, const graph::Port& port, uint32_t index,
                uint32_t turn)
      : session_(session), port_(port), index_(index), begin_(turn * port.shape.Elements()) {}
  std::string_view name() const override { return port_.name; }
  const Shape& shape() const override { return port_.shape; }
  void Read(uint64_t first, std::span<float> values) const override {
    Status read = session_.ReadOutput(index_, begin_ + first, values);
    if (read.ok()) return;
    std::ranges::fill(values, 0.0F);
    if (status_.ok()) status_ = std::move(read);
  }
  /// The first failure of Read.
  const Status& status() const { return status_; }
  const graph::Port& port() const { return port_; }
  /// True if reading row by row is much less work than in the file's order.
  bool WantsRowOrder() const {
    return session_.plan().tensors[Position(port_.tensor)].home == plan::Home::kOutside;
  }

 private:
  const runtime::Session& session_;
  const graph::Port& port_;
  uint32_t index_;
  uint64_t begin_;  // of its elements among those of the convoy
  mutable Status status_;
};

Status StatusOf(const std::vector<SessionOutput>& outputs) {
  for (const SessionOutput& output : outputs) TRY(output.status());
  return {};
}

std::vector<SessionOutput> Outputs(const runtime::Session& session, const seal::Manifest& manifest,
                                   uint32_t turn) {
  std::vector<SessionOutput> outputs;
  for (uint32_t i = 0; i < manifest.graph.outputs.size(); ++i) {
    outputs.emplace_back(session, manifest.graph.outputs[i], i, turn);
  }
  return outputs;
}

/// The next elements of the file; they begin at `begin`.
Status AppendNpy(const SessionOutput& output, uint64_t begin, vision::NpyWriter& writer) {
  std::array<float, kPieceElements> piece;
  if (output.WantsRowOrder() && writer.TakesAnyOrder()) {
    TRY(runtime::ForEachRowPiece(output.port(), kPieceElements,
                                 [&](uint64_t first, uint64_t count) -> Status {
                                   const std::span<float> values(piece.data(), count);
                                   output.Read(first, values);
                                   return writer.WriteAt(begin + first, values);
                                 }));
  } else {
    const uint64_t elements = output.shape().Elements();
    for (uint64_t first = 0; first < elements; first += kPieceElements) {
      const std::span<float> values(piece.data(),
                                    std::min<uint64_t>(kPieceElements, elements - first));
      output.Read(first, values);
      TRY(writer.Append(values));
    }
  }
  return output.status();
}

/// The output of all inputs, along axis 0.
Status WriteNpy(const runtime::Session& session, const graph::Port& port, uint32_t index,
                const std::string& path) {
  Shape shape = port.shape;
  if (session.plan().batch > 1) shape.Set(0, shape[0] * session.plan().batch);
  TRY_ASSIGN(vision::NpyWriter writer, vision::NpyWriter::Create(path, shape));
  for (uint32_t turn = 0; turn < session.plan().batch; ++turn) {
    const SessionOutput output(session, port, index, turn);
    TRY(AppendNpy(output, turn * port.shape.Elements(), writer));
  }
  return writer.Finish();
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
  const std::vector<graph::Port>& ports = manifest_.graph.outputs;
  if (output_.ends_with(".npy")) return WriteNpy(session, ports.front(), 0, output_);
  std::error_code failure;
  std::filesystem::create_directories(output_, failure);
  if (failure)
    return Error{Code::kUnavailable, fmt::format("cannot make {}: {}", output_, failure.message())};
  for (uint32_t i = 0; i < ports.size(); ++i) {
    const std::filesystem::path file = std::filesystem::path(output_) / FileName(ports[i].name);
    TRY(WriteNpy(session, ports[i], i, file.string()));
  }
  return {};
}

Result<cmd::Report> Answering::Describe(const runtime::Session& session,
                                        const std::vector<Feed::Picture>& pictures) const {
  CORACLE_CHECK(pictures.size() == 1 || draw_.empty());
  TRY(WriteOutputs(session));
  if (pictures.size() == 1) return DescribeOne(session, 0, pictures[0]);
  cmd::Report report;
  report.json["outputs"] = PortsJson(manifest_.graph.outputs);
  for (uint32_t turn = 0; turn < pictures.size(); ++turn) {
    TRY_ASSIGN(const cmd::Report one, DescribeOne(session, turn, pictures[turn]));
    report.json["inputs"].push_back(one.json);
    if (decoder_.has_value()) report.text += fmt::format("input {}:\n", turn + 1);
    if (decoder_.has_value() || turn == 0) report.text += one.text;
  }
  return report;
}

Result<cmd::Report> Answering::DescribeOne(const runtime::Session& session, uint32_t turn,
                                           const Feed::Picture& picture) const {
  cmd::Report report;
  report.json["outputs"] = PortsJson(manifest_.graph.outputs);
  if (!decoder_.has_value()) {
    for (const graph::Port& port : manifest_.graph.outputs) {
      report.text += fmt::format("output {} {}\n", port.name, port.shape.ToString());
    }
    return report;
  }
  const std::vector<SessionOutput> outputs = Outputs(session, manifest_, turn);
  std::vector<const vision::OutputView*> views;
  views.reserve(outputs.size());
  for (const SessionOutput& output : outputs) views.push_back(&output);
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
