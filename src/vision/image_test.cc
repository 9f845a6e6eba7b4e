#include "vision/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "vision/test_files.h"

namespace coracle::vision {
namespace {

using ::testing::HasSubstr;

Image Gradient(uint32_t width, uint32_t height) {
  Image image = Image::Blank(width, height);
  for (uint32_t y = 0; y < height; ++y) {
    for (uint32_t x = 0; x < width; ++x) {
      uint8_t* pixel = image.At(x, y);
      pixel[0] = static_cast<uint8_t>(x * 7 + y);
      pixel[1] = static_cast<uint8_t>(y * 5);
      pixel[2] = static_cast<uint8_t>(x * y);
    }
  }
  return image;
}

std::string Bmp(uint32_t width, uint32_t height, size_t pixel_bytes) {
  std::string bytes = "BM";
  const auto u32 = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>((value >> (8 * i)) & 0xff);
  };
  u32(static_cast<uint32_t>(54 + pixel_bytes));
  for (const uint32_t value :
       {0u, 54u, 40u, width, height, (24u << 16) | 1u, 0u, 0u, 0u, 0u, 0u, 0u}) {
    u32(value);
  }
  for (size_t i = 0; i < pixel_bytes; ++i) bytes += static_cast<char>(i);
  return bytes;
}

/// 16x16 of one grey, baseline: every code is '00'.
constexpr unsigned char kGreyJpeg[] = {
    0xff, 0xd8, 0xff, 0xdb, 0x00, 0x43, 0x00, 1,    1,    1,    1,    1,    1,    1,    1,    1,
    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,
    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,
    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,    1,
    1,    1,    1,    1,    1,    1,    1,    0xff, 0xc0, 0x00, 0x0b, 0x08, 0x00, 0x10, 0x00, 0x10,
    0x01, 0x01, 0x11, 0x00, 0xff, 0xc4, 0x00, 0x14, 0x00, 0,    1,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x00, 0xff, 0xc4, 0x00, 0x14, 0x10, 0,
    1,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x00,
    0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x00, 0xff, 0xd9};

Result<Image> DecodeText(std::string_view bytes) {
  return DecodeImage(std::as_bytes(std::span(bytes)), "test image");
}

TEST(Image, PngRoundTripKeepsEveryPixel) {
  const ScratchFolder folder;
  const Image image = Gradient(123, 45);
  ASSERT_TRUE(WritePng(image, folder.At("x.png")).ok());
  auto back = LoadImage(folder.At("x.png"));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->width(), 123u);
  EXPECT_EQ(back->height(), 45u);
  EXPECT_TRUE(std::ranges::equal(back->pixels(), image.pixels()));
  EXPECT_EQ(folder.FileCount(), 1u);
}

TEST(Image, ReadsBmpBottomUp) {
  auto image = DecodeText(Bmp(2, 2, 16));
  ASSERT_TRUE(image.ok()) << image.error().message;
  // Rows of B,G,R padded to 8 bytes, bottom row first: bytes 8.. are the top left pixel.
  EXPECT_EQ(image->At(0, 0)[0], 10);
  EXPECT_EQ(image->At(0, 0)[2], 8);
  EXPECT_EQ(image->At(1, 1)[0], 5);
}

TEST(Image, ReadsJpeg) {
  const std::string bytes(reinterpret_cast<const char*>(kGreyJpeg), sizeof(kGreyJpeg));
  auto image = DecodeText(bytes);
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_EQ(image->width(), 16u);
  EXPECT_EQ(image->At(15, 15)[1], 128);
  EXPECT_TRUE(DecodeText(bytes + "trailing bytes, as some cameras write").ok());
}

TEST(Image, RefusesEveryCut) {
  const Image image = Gradient(37, 29);
  auto png = EncodePng(image);
  ASSERT_TRUE(png.ok());
  const std::string jpeg(reinterpret_cast<const char*>(kGreyJpeg), sizeof(kGreyJpeg));
  const std::string bmp = Bmp(8, 8, 192);
  const std::string texts[] = {std::string(reinterpret_cast<const char*>(png->data()), png->size()),
                               jpeg, bmp};
  for (const std::string& whole : texts) {
    ASSERT_TRUE(DecodeText(whole).ok());
    for (size_t length = 1; length < whole.size(); ++length) {
      EXPECT_FALSE(DecodeText(whole.substr(0, length)).ok()) << length << " of " << whole.size();
    }
  }
}

TEST(Image, RefusesJpegTablesThatDoNotFit) {
  const std::string jpeg(reinterpret_cast<const char*>(kGreyJpeg), sizeof(kGreyJpeg));
  const size_t dc_table = jpeg.find("\xff\xc4");
  const size_t ac_table = jpeg.find("\xff\xc4", dc_table + 1);
  ASSERT_NE(ac_table, std::string::npos);
  auto crowded = jpeg;
  for (size_t i = 0; i < 16; ++i) crowded[dc_table + 5 + i] = '\x7f';
  EXPECT_THAT(DecodeText(crowded).error().message, HasSubstr("too many codes"));
  auto missing = jpeg;
  missing[ac_table + 4] = '\x11';
  EXPECT_THAT(DecodeText(missing).error().message, HasSubstr("Huffman table that it lacks"));
  auto unknown = jpeg;
  unknown[ac_table + 4] = '\x24';
  EXPECT_THAT(DecodeText(unknown).error().message, HasSubstr("unknown kind"));
}

TEST(Image, RefusesWhatIsNoImage) {
  const ScratchFolder folder;
  EXPECT_EQ(LoadImage(folder.At("none.jpg")).error().code, Code::kNotFound);
  EXPECT_THAT(LoadImage(folder.At("")).error().message, HasSubstr("it is a directory"));
  EXPECT_THAT(LoadImage(folder.Write("e.jpg", "")).error().message, HasSubstr("it is empty"));
  EXPECT_THAT(LoadImage(folder.Write("t.jpg", "some text, long enough")).error().message,
              HasSubstr("t.jpg is not a JPEG, PNG or BMP image"));
  EXPECT_FALSE(LoadImage(folder.Write("g.png", "GIF89a............")).ok());
  EXPECT_THAT(DecodeText(Bmp(40000, 40000, 100)).error().message, HasSubstr("million pixels"));
  EXPECT_FALSE(DecodeText(Bmp(0, 5, 100)).ok());
}

TEST(Image, RefusesFlippedPngBytesOrDecodesWithinLimits) {
  auto png = EncodePng(Gradient(19, 23));
  ASSERT_TRUE(png.ok());
  for (size_t at = 0; at < png->size(); ++at) {
    auto bytes = *png;
    bytes[at] ^= std::byte{0x15};
    auto image = DecodeImage(bytes, "flipped");
    if (image.ok()) {
      EXPECT_LE(uint64_t{image->width()} * image->height(), kImagePixelsMax);
    }
  }
}

TEST(Image, KnowsImageNames) {
  EXPECT_TRUE(HasImageName("a.jpg"));
  EXPECT_TRUE(HasImageName("/x/A.JPEG"));
  EXPECT_TRUE(HasImageName("a.b.Png"));
  EXPECT_TRUE(HasImageName("a.bmp"));
  EXPECT_FALSE(HasImageName("a.npy"));
  EXPECT_FALSE(HasImageName("jpg"));
}

}  // namespace
}  // namespace coracle::vision
