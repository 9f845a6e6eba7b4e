#include "vision/npy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "vision/npy_header.h"
#include "vision/test_files.h"

namespace coracle::vision {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kMagic = "\x93NUMPY";

std::string Header(std::string_view dict, char major = 1) {
  std::string text(dict);
  text += '\n';
  std::string bytes(kMagic);
  bytes += {major, '\0'};
  for (int i = 0; i < (major == 1 ? 2 : 4); ++i) {
    bytes += static_cast<char>((text.size() >> (8 * i)) & 0xff);
  }
  return bytes + text;
}

template <typename T>
std::string Data(std::initializer_list<T> values) {
  std::string bytes(values.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), values.begin(), bytes.size());
  return bytes;
}

std::string Dict(std::string_view descr, std::string_view shape, std::string_view order = "False") {
  return fmt::format("{{'descr': '{}', 'fortran_order': {}, 'shape': {}, }}", descr, order, shape);
}

std::vector<float> ReadAll(const NpyReader& reader) {
  std::vector<float> values(reader.shape().Elements());
  EXPECT_TRUE(reader.Read(0, values).ok());
  return values;
}

TEST(NpyReader, DeliversEveryElementTypeAsFloat) {
  const ScratchFolder folder;
  const auto read = [&](std::string_view descr, const std::string& data) {
    auto reader = NpyReader::Open(folder.Write("x.npy", Header(Dict(descr, "(2,)")) + data));
    EXPECT_TRUE(reader.ok()) << descr << (reader.ok() ? "" : reader.error().message);
    return reader.ok() ? ReadAll(*reader) : std::vector<float>();
  };
  EXPECT_THAT(read("<f4", Data<float>({1.5f, -2})), ElementsAre(1.5f, -2.f));
  EXPECT_THAT(read("<f8", Data<double>({0.25, -1e10})), ElementsAre(0.25f, -1e10f));
  EXPECT_THAT(read("<f2", Data<uint16_t>({0x3c00, 0xc500})), ElementsAre(1.f, -5.f));
  EXPECT_THAT(read("<f2", Data<uint16_t>({0x0001, 0x7bff})), ElementsAre(0x1p-24f, 65504.f));
  EXPECT_THAT(read("|u1", Data<uint8_t>({0, 255})), ElementsAre(0.f, 255.f));
  EXPECT_THAT(read("|i1", Data<int8_t>({-128, 127})), ElementsAre(-128.f, 127.f));
  EXPECT_THAT(read("|b1", Data<uint8_t>({0, 1})), ElementsAre(0.f, 1.f));
  EXPECT_THAT(read("<i4", Data<int32_t>({-7, 1 << 24})), ElementsAre(-7.f, 16777216.f));
  EXPECT_THAT(read("<i8", Data<int64_t>({-7, 42})), ElementsAre(-7.f, 42.f));
}

TEST(NpyReader, ReadsAnyVersionAndAnyPiece) {
  const ScratchFolder folder;
  std::string data;
  for (int i = 0; i < 3000; ++i) data += Data<double>({static_cast<double>(i)});
  for (const char major : {'\1', '\2', '\3'}) {
    auto reader =
        NpyReader::Open(folder.Write("x.npy", Header(Dict("<f8", "(3, 1000)"), major) + data));
    ASSERT_TRUE(reader.ok()) << reader.error().message;
    EXPECT_EQ(reader->shape(), (Shape{3, 1000}));
    EXPECT_EQ(reader->dtype(), DType::kFloat64);
    std::vector<float> piece(1500);
    ASSERT_TRUE(reader->Read(1001, piece).ok());
    EXPECT_EQ(piece.front(), 1001);
    EXPECT_EQ(piece.back(), 2500);
  }
}

TEST(NpyReader, TakesScalarsAndHarmlessFortranOrder) {
  const ScratchFolder folder;
  auto scalar =
      NpyReader::Open(folder.Write("s.npy", Header(Dict("<f4", "()")) + Data<float>({3})));
  ASSERT_TRUE(scalar.ok()) << scalar.error().message;
  EXPECT_THAT(ReadAll(*scalar), ElementsAre(3.f));
  auto row = NpyReader::Open(
      folder.Write("r.npy", Header(Dict("<f4", "(1, 2)", "True")) + Data<float>({3, 4})));
  ASSERT_TRUE(row.ok()) << row.error().message;
  EXPECT_THAT(ReadAll(*row), ElementsAre(3.f, 4.f));
}

TEST(NpyReader, RefusesWhatIsNotStrictlyNpy) {
  const ScratchFolder folder;
  const std::string four = Data<float>({1, 2, 3, 4});
  const std::string good = Header(Dict("<f4", "(2, 2)")) + four;
  const auto refuse = [&](const std::string& bytes, Code code, std::string_view says) {
    auto reader = NpyReader::Open(folder.Write("x.npy", bytes));
    ASSERT_FALSE(reader.ok()) << says;
    EXPECT_EQ(reader.error().code, code) << reader.error().message;
    EXPECT_THAT(reader.error().message, HasSubstr(std::string(says)));
    EXPECT_THAT(reader.error().message, HasSubstr("x.npy"));
  };
  ASSERT_TRUE(NpyReader::Open(folder.Write("x.npy", good)).ok());
  for (size_t length = 1; length < good.size(); ++length) {
    refuse(good.substr(0, length), Code::kMalformed, "not a valid .npy");
  }
  refuse(good + "x", Code::kMalformed, "needs only");
  refuse("PNG" + good, Code::kMalformed, "does not start");
  refuse(Header(Dict(">f4", "(2, 2)")) + four, Code::kUnsupported, "'>f4'");
  refuse(Header(Dict("<c8", "(2, 2)")) + four, Code::kUnsupported, "'<c8'");
  refuse(Header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }") + four,
         Code::kUnsupported, "structured");
  refuse(Header(Dict("<f4", "(2, 2)", "True")) + four, Code::kUnsupported, "ascontiguousarray");
  refuse(Header(Dict("<f4", "(2, 2)", "0")) + four, Code::kMalformed, "fortran_order");
  refuse(Header(Dict("<f4", "(4)")) + four, Code::kMalformed, "not a tuple");
  refuse(Header(Dict("<f4", "(-4,)")) + four, Code::kMalformed, "dimension");
  refuse(Header(Dict("<f4", "(04,)")) + four, Code::kMalformed, "dimension");
  refuse(Header(Dict("<f4", "(4294967296,)")) + four, Code::kMalformed, "dimension");
  refuse(Header(Dict("<f4", "(4294967295, 4294967295, 4294967295)")) + four, Code::kMalformed,
         "over 2^64");
  refuse(Header(Dict("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 4)")) + four, Code::kUnsupported,
         "dimensions");
  refuse(Header("{'descr': '<f4', 'shape': (4,), }") + four, Code::kMalformed, "lacks");
  refuse(Header("{'descr': '<f4', 'descr': '<f4', }") + four, Code::kMalformed, "repeated");
  refuse(Header(Dict("<f4", "(4,)") + " extra") + four, Code::kMalformed, "newline");
  refuse(Header(Dict("<f4", "(4,)"), 4) + four, Code::kUnsupported, "version 4");
  refuse(std::string(kMagic) + std::string("\2\0\xff\xff\xff\x7f", 6) + good, Code::kMalformed,
         "header of");
}

TEST(NpyReader, RefusesWhatIsNotAFile) {
  const ScratchFolder folder;
  EXPECT_EQ(NpyReader::Open(folder.At("none.npy")).error().code, Code::kNotFound);
  EXPECT_THAT(NpyReader::Open(folder.At("")).error().message, HasSubstr("directory"));
  EXPECT_THAT(NpyReader::Open(folder.Write("e.npy", "")).error().message, HasSubstr("empty"));
  EXPECT_THAT(NpyReader::Open("/dev/zero").error().message, HasSubstr("not a regular file"));
}

TEST(NpyReader, RawTakesExactlyItsLength) {
  const ScratchFolder folder;
  const std::string path = folder.Write("x.raw", Data<float>({1, 2, 3, 4}));
  auto reader = NpyReader::OpenRaw(path, Shape{2, 2});
  ASSERT_TRUE(reader.ok());
  EXPECT_THAT(ReadAll(*reader), ElementsAre(1.f, 2.f, 3.f, 4.f));
  EXPECT_EQ(NpyReader::OpenRaw(path, Shape{2, 3}).error().code, Code::kMalformed);
  EXPECT_EQ(NpyReader::OpenRaw(path, Shape{3}).error().code, Code::kMalformed);
}

TEST(NpyWriter, WritesWhatTheReaderReads) {
  const ScratchFolder folder;
  for (const Shape& shape : {Shape{}, Shape{7}, Shape{1, 3, 50, 70}}) {
    std::vector<float> values(shape.Elements());
    std::iota(values.begin(), values.end(), 0.5f);
    auto writer = NpyWriter::Create(folder.At("x.npy"), shape);
    ASSERT_TRUE(writer.ok());
    for (size_t first = 0; first < values.size(); first += 999) {
      const size_t count = std::min<size_t>(999, values.size() - first);
      ASSERT_TRUE(writer->Append(std::span(values).subspan(first, count)).ok());
    }
    ASSERT_TRUE(writer->Finish().ok());
    auto reader = NpyReader::Open(folder.At("x.npy"));
    ASSERT_TRUE(reader.ok()) << reader.error().message;
    EXPECT_EQ(reader->shape(), shape);
    EXPECT_EQ(ReadAll(*reader), values);
  }
  EXPECT_EQ(FormatNpyHeader(Shape{1, 3}).size() % 64, 0u);
}

TEST(NpyWriter, TakesElementsInAnyOrder) {
  const ScratchFolder folder;
  std::vector<float> values(5000);
  std::iota(values.begin(), values.end(), 0.5f);
  auto writer = NpyWriter::Create(folder.At("x.npy"), Shape{5000});
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(writer->TakesAnyOrder());
  for (size_t piece = 5; piece-- > 0;) {
    const size_t first = piece * 1000;
    ASSERT_TRUE(writer->WriteAt(first, std::span(values).subspan(first, 1000)).ok());
  }
  ASSERT_TRUE(writer->Finish().ok());
  auto reader = NpyReader::Open(folder.At("x.npy"));
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ(ReadAll(*reader), values);

  auto device = NpyWriter::Create("/dev/null", Shape{1});
  ASSERT_TRUE(device.ok());
  EXPECT_FALSE(device->TakesAnyOrder());
}

TEST(NpyWriter, LeavesNothingBehindUnlessFinished) {
  const ScratchFolder folder;
  folder.Write("x.npy", "old");
  {
    auto writer = NpyWriter::Create(folder.At("x.npy"), Shape{100000});
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(writer->Append(std::vector<float>(50000)).ok());
    EXPECT_EQ(folder.FileCount(), 2u);
  }
  EXPECT_EQ(folder.FileCount(), 1u);
  EXPECT_EQ(ReadWhole(folder.At("x.npy")), "old");
}

TEST(OutputFile, NeverReplacesADevice) {
  auto file = OutputFile::Create("/dev/null");
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Write(std::vector<std::byte>(100000)).ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(OutputFile, ReportsWhereItCannotWrite) {
  const ScratchFolder folder;
  EXPECT_EQ(OutputFile::Create(folder.At("no/x")).error().code, Code::kNotFound);
  EXPECT_EQ(OutputFile::Create(folder.At("")).error().code, Code::kInvalidArgument);
  auto full = OutputFile::Create("/dev/full");
  if (!full.ok()) GTEST_SKIP() << "no /dev/full here";
  ASSERT_TRUE(full->Write(std::vector<std::byte>(10)).ok());
  EXPECT_EQ(full->Commit().error().code, Code::kUnavailable);
}

TEST(OutputFile, WritesThroughALink) {
  const ScratchFolder folder;
  folder.Write("target", "old");
  std::filesystem::create_symlink(folder.At("target"), folder.At("link"));
  auto file = OutputFile::Create(folder.At("link"));
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Write(std::vector<std::byte>(3, std::byte{'n'})).ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder.At("link")));
  EXPECT_EQ(ReadWhole(folder.At("target")), "nnn");
}

}  // namespace
}  // namespace coracle::vision
