#include "vision/input_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "vision/image.h"
#include "vision/npy.h"
#include "vision/test_files.h"

namespace coracle::vision {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string WriteNpy(const ScratchFolder& folder, std::string_view name, const Shape& shape) {
  const std::string path = folder.At(name);
  auto writer = NpyWriter::Create(path, shape);
  EXPECT_TRUE(writer.ok());
  EXPECT_TRUE(writer->Append(std::vector<float>(shape.Elements(), 0.5F)).ok());
  EXPECT_TRUE(writer->Finish().ok());
  return path;
}

TEST(InputFolder, ListsItsFilesByName) {
  const ScratchFolder folder;
  folder.Write("b.npy", "");
  folder.Write("c.raw", "");
  folder.Write("a.JPG", "");
  const auto files = ListInputFolder(folder.At(""));
  ASSERT_TRUE(files.ok()) << files.error().message;
  EXPECT_THAT(*files, ElementsAre(folder.At("a.JPG"), folder.At("b.npy"), folder.At("c.raw")));
}

TEST(InputFolder, PassesOverNothing) {
  const ScratchFolder folder;
  const auto message = [&](const std::string& path) {
    const auto files = ListInputFolder(path);
    EXPECT_FALSE(files.ok());
    return files.ok() ? std::string() : files.error().message;
  };
  EXPECT_THAT(message(folder.At("none")), HasSubstr("no such folder"));
  EXPECT_THAT(message(folder.At("")), HasSubstr("is empty"));
  EXPECT_THAT(message(folder.Write("a.npy", "")), HasSubstr("not a folder"));
  folder.Write("labels.txt", "");
  EXPECT_THAT(message(folder.At("")), HasSubstr("labels.txt is no input"));
  std::filesystem::remove(folder.At("labels.txt"));
  std::filesystem::create_directory(folder.At("b.npy"));
  EXPECT_THAT(message(folder.At("")), HasSubstr("b.npy is no input"));
}

TEST(InputFolder, ReadsTensorsAndImages) {
  const ScratchFolder folder;
  const Shape shape{1, 3, 4, 4};
  const auto tensor = ReadInputFile(WriteNpy(folder, "x.npy", shape), {}, shape);
  ASSERT_TRUE(tensor.ok()) << tensor.error().message;
  EXPECT_THAT(*tensor, Each(0.5F));
  ASSERT_TRUE(WritePng(Image::Blank(8, 8), folder.At("x.png")).ok());
  const auto preprocess = Preprocess::Preset("tf", shape.dims());
  ASSERT_TRUE(preprocess.ok());
  const auto image = ReadInputFile(folder.At("x.png"), *preprocess, shape);
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_THAT(*image, Each(-1.0F));
}

TEST(InputFolder, SaysWhatDoesNotFit) {
  const ScratchFolder folder;
  const Shape shape{1, 3, 4, 4};
  const auto message = [&](const std::string& path) {
    const auto values = ReadInputFile(path, {}, shape);
    EXPECT_FALSE(values.ok());
    return values.ok() ? std::string() : values.error().message;
  };
  EXPECT_THAT(message(WriteNpy(folder, "x.npy", Shape{1, 3, 4, 5})), HasSubstr("takes 1x3x4x4"));
  EXPECT_THAT(message(folder.Write("x.raw", "abc")), HasSubstr("x.raw"));
  EXPECT_THAT(message(folder.Write("x.png", "abc")), HasSubstr("--preprocess"));
}

}  // namespace
}  // namespace coracle::vision
