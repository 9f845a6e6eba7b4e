// Draw: an answer painted on the image that it answers (`--draw out.png`).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vision/answer.h"
#include "vision/decode.h"
#include "vision/image.h"

namespace coracle::vision {

/// Paints on a copy of `input` (null where the input was no image): boxes with labels, a banner
/// with the best classes or the text, a heat map as a red tint. Without an image a heat map becomes
/// a grey picture of its own, the others are refused. Characters other than ASCII are drawn as '?'.
/// Errors: kInvalidArgument.
Result<Image> Draw(const Image* input, const Answer& answer, OutputViews outputs,
                   const std::optional<Geometry>& geometry);

struct Rgb {
  uint8_t red = 0;
  uint8_t green = 0;
  uint8_t blue = 0;
};

/// Text with its top left corner at (x, y), `scale` times stb_easy_font's size (about 7 pixels
/// high, 12 a line), clipped.
void DrawText(Image& image, int x, int y, int scale, std::string_view text, Rgb color);
/// Width in pixels of a line of text at `scale`.
int TextWidth(int scale, std::string_view text);

}  // namespace coracle::vision
