// Answer: what the output tensors of one prediction mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <variant>
#include <vector>

namespace coracle::vision {

/// One class of a classifier.
struct RankedLabel {
  std::string label;
  uint32_t index = 0;  ///< of the output's element
  double score = 0;    ///< a probability
};
struct TopAnswer {
  std::vector<RankedLabel> top;  ///< best first
};

struct TextAnswer {
  std::string text;
  double score = 0;  ///< mean probability of the characters; 0 for no text
};

/// In image pixels, x and y of the top left corner, y downwards. Not clipped to the image.
struct Box {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};
struct Detection {
  std::string label;
  uint32_t index = 0;  ///< the class
  double score = 0;
  Box box;
};
struct BoxAnswer {
  std::vector<Detection> detections;  ///< best first
};

struct HeatmapAnswer {
  uint32_t width = 0;
  uint32_t height = 0;
  float least = 0;
  float greatest = 0;
};

struct Answer {
  size_t output = 0;  ///< the output that it belongs to (a detector's first head)
  std::variant<TopAnswer, TextAnswer, BoxAnswer, HeatmapAnswer> value;

  /// {"top":[{label,score,index}]}, {"text","score"}, {"detections":[{label,score,index,
  /// box:[x,y,w,h]}]} or {"heatmap":{width,height,min,max}}: for the output's own JSON object.
  /// All of its strings are valid UTF-8.
  nlohmann::json ToJson() const;
  /// The same for people, as lines that each end in a newline.
  std::string ToText() const;
};

}  // namespace coracle::vision
