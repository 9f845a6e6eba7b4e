#include "base/bytes.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

TEST(BytesTest, ReadsWhatWasWritten) {
  ByteWriter writer;
  writer.U8(0xAB);
  writer.U16(0x1234);
  writer.U32(0xDEADBEEF);
  writer.U64(0x0123456789ABCDEF);
  writer.F32(-1.5F);
  writer.String("hull");
  EXPECT_EQ(writer.bytes()[1], std::byte{0x34});  // little-endian
  ByteReader reader(writer.bytes(), "test bytes");
  EXPECT_EQ(*reader.U8(), 0xAB);
  EXPECT_EQ(*reader.U16(), 0x1234);
  EXPECT_EQ(*reader.U32(), 0xDEADBEEF);
  EXPECT_EQ(*reader.U64(), 0x0123456789ABCDEF);
  EXPECT_EQ(*reader.F32(), -1.5F);
  EXPECT_EQ(*reader.String(16), "hull");
  EXPECT_TRUE(reader.ExpectEnd().ok());
}

TEST(BytesTest, NeverReadsPastTheEnd) {
  ByteWriter writer;
  writer.U16(7);
  ByteReader reader(writer.bytes(), "test bytes");
  const Result<uint32_t> value = reader.U32();
  ASSERT_FALSE(value.ok());
  EXPECT_EQ(value.error().code, Code::kMalformed);
  EXPECT_EQ(reader.position(), 0U);
  EXPECT_FALSE(reader.ExpectEnd().ok());
}

TEST(BytesTest, DistrustsCounts) {
  ByteWriter writer;
  writer.U32(0xFFFFFFFF);
  writer.U32(0);
  EXPECT_FALSE(ByteReader(writer.bytes(), "t").Count(0xFFFFFFFF, 8).ok());
  EXPECT_FALSE(ByteReader(writer.bytes(), "t").String(0xFFFFFFFF).ok());
  EXPECT_FALSE(ByteReader(writer.bytes(), "t").Count(5, 0).ok());
}

}  // namespace
}  // namespace coracle
