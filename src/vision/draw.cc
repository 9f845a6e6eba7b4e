#include "vision/draw.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_easy_font.h>
#pragma GCC diagnostic pop

namespace coracle::vision {
namespace {

constexpr int kLineHeight = 12;
constexpr size_t kTextMax = 120;
constexpr size_t kBannerLines = 5;
constexpr Rgb kWhite{255, 255, 255};
constexpr Rgb kBlack{0, 0, 0};

/// What stb_easy_font can draw, with its NUL.
std::string Drawable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kTextMax)) {
    const auto byte = static_cast<uint8_t>(c);
    if ((byte & 0xc0) == 0x80) continue;  // the rest of a UTF-8 sequence
    out += byte >= 32 && byte < 127 ? c : '?';
  }
  return out;
}

/// Fills [left, right) x [top, bottom), clipped; `opacity` from 0 to 1.
void FillRectangle(Image& image, int left, int top, int right, int bottom, Rgb color,
                   double opacity) {
  left = std::max(left, 0);
  top = std::max(top, 0);
  right = std::min(right, static_cast<int>(image.width()));
  bottom = std::min(bottom, static_cast<int>(image.height()));
  const auto mix = [opacity](uint8_t& old, uint8_t fresh) {
    old = static_cast<uint8_t>(std::lround(old + (fresh - old) * opacity));
  };
  for (int y = top; y < bottom; ++y) {
    for (int x = left; x < right; ++x) {
      uint8_t* pixel = image.At(static_cast<uint32_t>(x), static_cast<uint32_t>(y));
      mix(pixel[0], color.red);
      mix(pixel[1], color.green);
      mix(pixel[2], color.blue);
    }
  }
}

/// A colour of its own for each class: hues a golden angle apart.
Rgb ClassColor(uint32_t index) {
  const double hue = std::fmod(index * 0.61803398875, 1.0) * 6;
  const auto channel = [hue](double shift) {
    const double distance = std::abs(std::fmod(hue + shift, 6.0) - 3) - 1;
    return static_cast<uint8_t>(std::lround(64 + 191 * std::clamp(distance, 0.0, 1.0)));
  };
  return {channel(0), channel(4), channel(2)};
}

bool IsDark(Rgb color) { return 3 * color.red + 6 * color.green + color.blue < 1280; }

int ScaleFor(const Image& image) {
  return std::clamp(static_cast<int>(std::max(image.width(), image.height()) / 320), 1, 8);
}

int ToPixel(double value, uint32_t side) {
  return static_cast<int>(std::lround(std::clamp(value, -1.0, side + 1.0)));
}

void DrawDetection(Image& image, const Detection& found) {
  const Rgb color = ClassColor(found.index);
  const int scale = ScaleFor(image);
  const int line = scale + 1;
  const int left = ToPixel(found.box.x, image.width());
  const int top = ToPixel(found.box.y, image.height());
  const int right = ToPixel(found.box.x + found.box.width, image.width());
  const int bottom = ToPixel(found.box.y + found.box.height, image.height());
  FillRectangle(image, left, top, right, top + line, color, 1);
  FillRectangle(image, left, bottom - line, right, bottom, color, 1);
  FillRectangle(image, left, top, left + line, bottom, color, 1);
  FillRectangle(image, right - line, top, right, bottom, color, 1);

  const std::string text = fmt::format("{} {:.0f}%", found.label, found.score * 100);
  const int height = kLineHeight * scale;
  const int width = TextWidth(scale, text) + 4 * scale;
  const int text_left = std::clamp(left, 0, std::max(0, static_cast<int>(image.width()) - width));
  const int text_top = top >= height ? top - height : std::max(top, 0);
  FillRectangle(image, text_left, text_top, text_left + width, text_top + height, color, 1);
  DrawText(image, text_left + 2 * scale, text_top + 2 * scale, scale, text,
           IsDark(color) ? kWhite : kBlack);
}

void DrawBanner(Image& image, std::span<const std::string> lines) {
  const int scale = ScaleFor(image);
  const int height = kLineHeight * scale;
  const auto count = static_cast<int>(lines.size());
  FillRectangle(image, 0, 0, static_cast<int>(image.width()), count * height + 2 * scale, kBlack,
                0.65);
  for (int i = 0; i < count; ++i) {
    DrawText(image, 4 * scale, i * height + 3 * scale, scale, lines[static_cast<size_t>(i)],
             kWhite);
  }
}

double Relative(const HeatmapAnswer& heat, float value) {
  const double range = double{heat.greatest} - heat.least;
  if (!(range > 0) || !std::isfinite(value)) return 0;
  return std::clamp((value - heat.least) / range, 0.0, 1.0);
}

Image DrawGreyHeatmap(const HeatmapAnswer& heat, const OutputView& output) {
  Image image = Image::Blank(heat.width, heat.height);
  std::vector<float> row(heat.width);
  for (uint32_t y = 0; y < heat.height; ++y) {
    output.Read(uint64_t{y} * heat.width, row);
    for (uint32_t x = 0; x < heat.width; ++x) {
      const auto level = static_cast<uint8_t>(std::lround(255 * Relative(heat, row[x])));
      std::memset(image.At(x, y), level, Image::kChannels);
    }
  }
  return image;
}

/// The map is taken to cover the network's input, whatever its own size.
void TintHeatmap(Image& image, const HeatmapAnswer& heat, const OutputView& output,
                 const Geometry& geometry) {
  std::vector<float> row(heat.width);
  for (uint32_t y = 0; y < image.height(); ++y) {
    const double map_y = std::floor(((y + 0.5) * geometry.scale_y + geometry.offset_y) *
                                    heat.height / geometry.tensor_height);
    if (!(map_y >= 0 && map_y < heat.height)) continue;
    output.Read(static_cast<uint64_t>(map_y) * heat.width, row);
    for (uint32_t x = 0; x < image.width(); ++x) {
      const double map_x = std::floor(((x + 0.5) * geometry.scale_x + geometry.offset_x) *
                                      heat.width / geometry.tensor_width);
      if (!(map_x >= 0 && map_x < heat.width)) continue;
      const double level = Relative(heat, row[static_cast<size_t>(map_x)]);
      uint8_t* pixel = image.At(x, y);
      pixel[0] = static_cast<uint8_t>(std::lround(pixel[0] + (255 - pixel[0]) * 0.6 * level));
      pixel[1] = static_cast<uint8_t>(std::lround(pixel[1] * (1 - 0.6 * level)));
      pixel[2] = static_cast<uint8_t>(std::lround(pixel[2] * (1 - 0.6 * level)));
    }
  }
}

}  // namespace

void DrawText(Image& image, int x, int y, int scale, std::string_view text, Rgb color) {
  struct Vertex {
    float x, y, z;
    unsigned char color[4];
  };
  std::string line = Drawable(text);
  // stb_easy_font.h: about 270 bytes a character; 64 bytes a quad, at most 9 quads a glyph.
  std::vector<Vertex> vertices((line.size() + 1) * 40);
  const int quads = stb_easy_font_print(0, 0, line.data(), nullptr, vertices.data(),
                                        static_cast<int>(vertices.size() * sizeof(Vertex)));
  for (size_t quad = 0; quad < static_cast<size_t>(quads); ++quad) {
    const Vertex& first = vertices[quad * 4];
    const Vertex& opposite = vertices[quad * 4 + 2];
    FillRectangle(image, x + static_cast<int>(first.x) * scale,
                  y + static_cast<int>(first.y) * scale, x + static_cast<int>(opposite.x) * scale,
                  y + static_cast<int>(opposite.y) * scale, color, 1);
  }
}

int TextWidth(int scale, std::string_view text) {
  std::string line = Drawable(text);
  return stb_easy_font_width(line.data()) * scale;
}

Result<Image> Draw(const Image* input, const Answer& answer, OutputViews outputs,
                   const std::optional<Geometry>& geometry) {
  const auto* heat = std::get_if<HeatmapAnswer>(&answer.value);
  if (input == nullptr || !geometry) {
    if (heat != nullptr) return DrawGreyHeatmap(*heat, *outputs[answer.output]);
    return Error{Code::kInvalidArgument,
                 "--draw paints on the input, so the input must be an image"};
  }
  Image image = input->Clone();
  if (heat != nullptr) {
    TintHeatmap(image, *heat, *outputs[answer.output], *geometry);
  } else if (const auto* boxes = std::get_if<BoxAnswer>(&answer.value)) {
    // The best last, so that its label lies on top.
    for (auto it = boxes->detections.rbegin(); it != boxes->detections.rend(); ++it) {
      DrawDetection(image, *it);
    }
  } else {
    std::vector<std::string> lines;
    if (const auto* text = std::get_if<TextAnswer>(&answer.value)) {
      lines.push_back(fmt::format("{} ({:.0f}%)", text->text, text->score * 100));
    } else {
      for (const RankedLabel& entry : std::get<TopAnswer>(answer.value).top) {
        if (lines.size() < kBannerLines) {
          lines.push_back(fmt::format("{:5.1f}% {}", entry.score * 100, entry.label));
        }
      }
    }
    DrawBanner(image, lines);
  }
  return image;
}

}  // namespace coracle::vision
