#include "cmd/support/result_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cmd/support/scratch_folder.h"

namespace coracle::cmd {
namespace {

class ResultFileTest : public testing::Test {
 protected:
  Result<ResultFile> Open(const Json& subject) { return ResultFile::Open(path_, subject); }

  std::string Text() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void SetText(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  const std::unique_ptr<ScratchFolder> folder_ = ScratchFolder::Make().value();
  const std::string path_ = folder_->path() + "/out.jsonl";
  const Json subject_ = {{"model", "abc"}, {"top", 5}};
};

TEST_F(ResultFileTest, GoesOnWhereItStopped) {
  {
    auto results = Open(subject_);
    ASSERT_TRUE(results.ok()) << results.error().message;
    EXPECT_TRUE(results->files().empty());
    ASSERT_TRUE(results->Append({{"file", "a.png"}, {"outputs", Json::array()}}).ok());
    ASSERT_TRUE(results->Append({{"file", "b.png"}, {"error", {{"code", "malformed"}}}}).ok());
    EXPECT_EQ(results->error_count(), 1U);
    ASSERT_TRUE(results->Sync().ok());
  }
  auto again = Open(subject_);
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_TRUE(again->files().contains("a.png"));
  EXPECT_TRUE(again->files().contains("b.png"));
  EXPECT_EQ(again->files().size(), 2U);
  EXPECT_EQ(again->error_count(), 1U);
  ASSERT_TRUE(again->Append({{"file", "c.png"}}).ok());
  EXPECT_EQ(Text(),
            "{\"file\":\"a.png\",\"outputs\":[]}\n"
            "{\"file\":\"b.png\",\"error\":{\"code\":\"malformed\"}}\n"
            "{\"file\":\"c.png\"}\n");
}

TEST_F(ResultFileTest, DropsATornLastLine) {
  const std::string whole = "{\"file\":\"a.png\"}\n{\"file\":\"b.png\"}\n";
  const std::string third = "{\"file\":\"c.png\",\"outputs\":[]}";
  ASSERT_TRUE(Open(subject_).ok());
  for (size_t bytes = 0; bytes <= third.size(); ++bytes) {
    SetText(whole + third.substr(0, bytes));
    auto results = Open(subject_);
    ASSERT_TRUE(results.ok()) << results.error().message;
    EXPECT_EQ(results->files().size(), 2U);
    ASSERT_TRUE(results->Append({{"file", "d.png"}}).ok());
    EXPECT_EQ(Text(), whole + "{\"file\":\"d.png\"}\n");
  }
}

TEST_F(ResultFileTest, LongFilesAreReadInPieces) {
  ASSERT_TRUE(Open(subject_).ok());
  std::string text;
  for (int i = 0; i < 5000; ++i) {
    text += "{\"file\":\"" + std::to_string(i) + "\",\"text\":\"" + std::string(100, 'x') + "\"}\n";
  }
  SetText(text + "{\"file\":\"torn");
  auto results = Open(subject_);
  ASSERT_TRUE(results.ok()) << results.error().message;
  EXPECT_EQ(results->files().size(), 5000U);
  EXPECT_EQ(Text(), text);
}

TEST_F(ResultFileTest, RefusesAMix) {
  {
    auto results = Open(subject_);
    ASSERT_TRUE(results.ok() && results->Append({{"file", "a.png"}}).ok());
  }
  const auto mixed = Open({{"model", "abc"}, {"top", 3}});
  ASSERT_FALSE(mixed.ok());
  EXPECT_EQ(mixed.error().code, Code::kInvalidArgument);
  EXPECT_NE(mixed.error().message.find("its top differs"), std::string::npos)
      << mixed.error().message;
  EXPECT_EQ(Text(), "{\"file\":\"a.png\"}\n");
  ASSERT_TRUE(Open(subject_).ok());
  std::filesystem::remove(path_ + ".batch");
  EXPECT_FALSE(Open(subject_).ok());
}

TEST_F(ResultFileTest, BeginsAnewWhereNothingWasAnswered) {
  ASSERT_TRUE(Open(subject_).ok());
  ASSERT_TRUE(Open({{"model", "other"}}).ok());
  EXPECT_TRUE(Open({{"model", "other"}}).ok());
}

TEST_F(ResultFileTest, RefusesWhatIsNoResult) {
  ASSERT_TRUE(Open(subject_).ok());
  for (const char* text : {"hello\n", "[]\n", "{\"name\":\"a\"}\n", "{\"file\":5}\n",
                           "{\"file\":\"a\"}\n{\"file\":\"a\"}\n", "\n", "{\"file\":\"a\"\n"}) {
    SetText(text);
    const auto results = Open(subject_);
    ASSERT_FALSE(results.ok()) << text;
    EXPECT_EQ(results.error().code, Code::kMalformed);
    EXPECT_EQ(Text(), text);
  }
  EXPECT_FALSE(ResultFile::Open(folder_->path() + "/no/out.jsonl", subject_).ok());
  EXPECT_FALSE(ResultFile::Open(folder_->path(), subject_).ok());
}

TEST_F(ResultFileTest, OneWriterAtATime) {
  const auto first = Open(subject_);
  ASSERT_TRUE(first.ok());
  const auto second = Open(subject_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace coracle::cmd
