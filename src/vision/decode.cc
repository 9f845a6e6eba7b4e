#include "vision/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "vision/decode_kinds.h"
#include "vision/json_fields.h"

namespace coracle::vision {
namespace {

constexpr std::string_view kWhat = "decode";
constexpr uint32_t kNetSideMax = 1 << 16;
constexpr uint32_t kClassesMax = 1 << 16;
constexpr size_t kHeadsMax = 16;
constexpr size_t kAnchorsMax = 64;

struct KindName {
  std::string_view text;
  DecodeKind kind;
};
constexpr std::array kKinds = {
    KindName{"topk", DecodeKind::kTopK}, KindName{"ctc", DecodeKind::kCtc},
    KindName{"yolo", DecodeKind::kYolo}, KindName{"region", DecodeKind::kRegion},
    KindName{"heatmap", DecodeKind::kHeatmap}};

bool IsDetector(DecodeKind kind) {
  return kind == DecodeKind::kYolo || kind == DecodeKind::kRegion;
}

Result<std::vector<std::pair<float, float>>> ReadAnchors(JsonFields& fields) {
  TRY_ASSIGN(const auto* array, fields.Array("anchors"));
  const auto wrong = fields.Wrong("anchors", "pairs of positive numbers: [[width,height],..]");
  if (array == nullptr || array->empty() || array->size() > kAnchorsMax) return wrong;
  std::vector<std::pair<float, float>> anchors;
  for (const auto& pair : *array) {
    if (!pair.is_array() || pair.size() != 2) return wrong;
    if (!pair[0].is_number() || !pair[1].is_number()) return wrong;
    const auto width = pair[0].get<float>();
    const auto height = pair[1].get<float>();
    if (!(width > 0 && width < 1e6f && height > 0 && height < 1e6f)) return wrong;
    anchors.emplace_back(width, height);
  }
  return anchors;
}

Result<Decoder::Head> ReadHead(const nlohmann::json& object) {
  if (!object.is_object()) return Error{Code::kInvalidArgument, "decode: a head is not an object"};
  JsonFields fields(object, "decode head");
  Decoder::Head head;
  TRY_ASSIGN(head.output, fields.RequiredString("output"));
  TRY_ASSIGN(head.classes, fields.RequiredWhole("classes", 1, kClassesMax));
  TRY_ASSIGN(head.anchors, ReadAnchors(fields));
  TRY(fields.Finish());
  return head;
}

/// The position of the output called `name`; of the first for an empty name.
Result<size_t> FindOutput(OutputViews outputs, std::string_view name) {
  if (name.empty() && !outputs.empty()) return size_t{0};
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i]->name() == name) return i;
  }
  return Error{Code::kInvalidArgument, fmt::format("decode: the model has no output \"{}\"", name)};
}

/// From darknet's relative centre to pixels of the image (correct_yolo_boxes).
Box ToImageBox(const Candidate& found, double net_width, double net_height,
               const Geometry& geometry) {
  Box box;
  box.width = found.width * net_width / geometry.scale_x;
  box.height = found.height * net_height / geometry.scale_y;
  box.x = geometry.ToImageX(found.x * net_width) - box.width / 2;
  box.y = geometry.ToImageY(found.y * net_height) - box.height / 2;
  return box;
}

}  // namespace

/// Reads and writes the private fields.
struct DecoderJson {
  static Status ReadDetector(JsonFields& fields, Decoder& decoder) {
    TRY_ASSIGN(decoder.net_width_, fields.RequiredWhole("net_width", 1, kNetSideMax));
    TRY_ASSIGN(decoder.net_height_, fields.RequiredWhole("net_height", 1, kNetSideMax));
    TRY_ASSIGN(const auto threshold, fields.Number("threshold"));
    TRY_ASSIGN(const auto nms, fields.Number("nms"));
    decoder.threshold_ = threshold.value_or(decoder.threshold_);
    decoder.nms_ = nms.value_or(decoder.nms_);
    const auto fraction = [](double value) { return value >= 0 && value <= 1; };
    if (!fraction(decoder.threshold_)) return fields.Wrong("threshold", "from 0 to 1");
    if (!fraction(decoder.nms_)) return fields.Wrong("nms", "from 0 to 1");
    TRY_ASSIGN(const auto* heads, fields.Array("heads"));
    if (heads == nullptr || heads->empty() || heads->size() > kHeadsMax) {
      return fields.Wrong("heads", fmt::format("an array of 1 to {} heads", kHeadsMax));
    }
    for (const auto& object : *heads) {
      TRY_ASSIGN(auto head, ReadHead(object));
      decoder.heads_.push_back(std::move(head));
    }
    return {};
  }

  static Result<Decoder> Read(const nlohmann::json& object) {
    JsonFields fields(object, kWhat);
    TRY_ASSIGN(const auto text, fields.RequiredString("kind"));
    const auto kind = std::ranges::find(kKinds, text, &KindName::text);
    if (kind == kKinds.end()) {
      return fields.Wrong("kind", "topk, ctc, yolo, region or heatmap");
    }
    Decoder decoder;
    decoder.kind_ = kind->kind;
    if (IsDetector(decoder.kind_)) {
      TRY(ReadDetector(fields, decoder));
    } else {
      TRY_ASSIGN(const auto output, fields.String("output"));
      decoder.output_ = output.value_or("");
    }
    if (decoder.kind_ == DecodeKind::kTopK || decoder.kind_ == DecodeKind::kCtc) {
      TRY_ASSIGN(decoder.softmax_, fields.Bool("softmax"));
    }
    if (decoder.kind_ == DecodeKind::kCtc) {
      TRY_ASSIGN(const auto blank, fields.Whole("blank", 0, kClassesMax));
      decoder.blank_ = blank.value_or(0);
    }
    TRY(fields.Finish());
    return decoder;
  }

  static nlohmann::json Write(const Decoder& decoder) {
    nlohmann::json object = {
        {"kind", std::ranges::find(kKinds, decoder.kind_, &KindName::kind)->text}};
    if (!decoder.output_.empty()) object["output"] = decoder.output_;
    if (decoder.softmax_) object["softmax"] = *decoder.softmax_;
    if (decoder.kind_ == DecodeKind::kCtc) object["blank"] = decoder.blank_;
    if (!IsDetector(decoder.kind_)) return object;
    object["net_width"] = decoder.net_width_;
    object["net_height"] = decoder.net_height_;
    object["threshold"] = decoder.threshold_;
    object["nms"] = decoder.nms_;
    for (const Decoder::Head& head : decoder.heads_) {
      auto anchors = nlohmann::json::array();
      for (const auto& [width, height] : head.anchors) anchors.push_back({width, height});
      object["heads"].push_back(
          {{"output", head.output}, {"classes", head.classes}, {"anchors", std::move(anchors)}});
    }
    return object;
  }

  static Result<Answer> DecodeBoxes(const Decoder& decoder, OutputViews outputs,
                                    std::span<const std::string> labels,
                                    const DecodeOptions& options) {
    std::vector<Candidate> candidates;
    Answer answer;
    for (const Decoder::Head& head : decoder.heads_) {
      TRY_ASSIGN(const size_t at, FindOutput(outputs, head.output));
      if (&head == &decoder.heads_.front()) answer.output = at;
      const bool yolo = decoder.kind_ == DecodeKind::kYolo;
      const Shape& shape = outputs[at]->shape();
      if (shape.rank() != 4) {
        return Error{Code::kInvalidArgument, fmt::format("decode: head {} is {}, not 1,C,H,W",
                                                         head.output, shape.ToString())};
      }
      TRY(CollectCandidates(
          {outputs[at], &head, static_cast<double>(yolo ? decoder.net_width_ : shape.Back(0)),
           static_cast<double>(yolo ? decoder.net_height_ : shape.Back(1))},
          decoder.threshold_, candidates));
    }
    SuppressOverlaps(decoder.nms_, candidates);
    BoxAnswer boxes;
    for (const Candidate& found : candidates) {
      boxes.detections.push_back({LabelOf(labels, decoder.heads_.front().classes, found.index),
                                  found.index, found.score,
                                  ToImageBox(found, decoder.net_width_, decoder.net_height_,
                                             options.geometry.value_or(Geometry()))});
    }
    answer.value = std::move(boxes);
    return answer;
  }
};

Result<Decoder> Decoder::Parse(std::string_view json) {
  TRY_ASSIGN(const auto object, JsonFields::ParseObject(json, kWhat));
  return DecoderJson::Read(object);
}

std::string Decoder::ToJson() const {
  return DecoderJson::Write(*this).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<Answer> Decoder::Decode(OutputViews outputs, std::span<const std::string> labels,
                               const DecodeOptions& options) const {
  if (IsDetector(kind_)) return DecoderJson::DecodeBoxes(*this, outputs, labels, options);
  Answer answer;
  TRY_ASSIGN(answer.output, FindOutput(outputs, output_));
  const OutputView& output = *outputs[answer.output];
  if (kind_ == DecodeKind::kTopK) {
    TRY_ASSIGN(answer.value, DecodeTop(output, labels, softmax_, options.top));
  } else if (kind_ == DecodeKind::kCtc) {
    TRY_ASSIGN(answer.value, DecodeCtc(output, labels, softmax_, blank_));
  } else {
    TRY_ASSIGN(answer.value, DecodeHeatmap(output));
  }
  return answer;
}

}  // namespace coracle::vision
