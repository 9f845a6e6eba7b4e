#include "host/posix/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "host/posix/test_directory.h"

namespace coracle::host {
namespace {

Bytes AsBytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(AtomicFileTest, AppearsWholeOnCommit) {
  const TestDirectory directory;
  for (const Overwrite overwrite : {Overwrite::kRefuse, Overwrite::kReplace}) {
    const std::string name = overwrite == Overwrite::kRefuse ? "refuse" : "replace";
    auto file = AtomicFile::Create(directory.path(name), 0600, overwrite).value();
    ASSERT_TRUE(file->WriteAt(6, AsBytes("world")).ok());
    ASSERT_TRUE(file->WriteAt(0, AsBytes("hello ")).ok());
    EXPECT_FALSE(std::filesystem::exists(directory.path(name)));
    ASSERT_TRUE(file->Commit().ok());
    file.reset();
    EXPECT_EQ(directory.Read(name), "hello world");
    struct stat status {};
    ASSERT_EQ(::stat(directory.path(name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
  }
  EXPECT_EQ(directory.FileCount(), 2U);
}

TEST(AtomicFileTest, LeavesNothingWithoutCommit) {
  const TestDirectory directory;
  directory.Write("kept", "old");
  {
    auto fresh = AtomicFile::Create(directory.path("fresh"), 0644, Overwrite::kRefuse).value();
    auto kept = AtomicFile::Create(directory.path("kept"), 0644, Overwrite::kReplace).value();
    ASSERT_TRUE(fresh->WriteAt(0, AsBytes("new")).ok());
    ASSERT_TRUE(kept->WriteAt(0, AsBytes("new")).ok());
    EXPECT_EQ(directory.FileCount(), 3U);
  }
  EXPECT_EQ(directory.FileCount(), 1U);
  EXPECT_EQ(directory.Read("kept"), "old");
}

TEST(AtomicFileTest, RefusesToOverwriteEvenAFileThatCameLater) {
  const TestDirectory directory;
  directory.Write("key", "old");
  const auto early = AtomicFile::Create(directory.path("key"), 0600, Overwrite::kRefuse);
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().code, Code::kAlreadyExists);
  auto late = AtomicFile::Create(directory.path("late"), 0600, Overwrite::kRefuse).value();
  directory.Write("late", "first");
  EXPECT_EQ(late->Commit().error().code, Code::kAlreadyExists);
  late.reset();
  EXPECT_EQ(directory.Read("late"), "first");
  EXPECT_EQ(directory.FileCount(), 2U);
}

TEST(AtomicFileTest, TwoAtOnceIntoOnePath) {
  const TestDirectory directory;
  auto a = AtomicFile::Create(directory.path("x"), 0644, Overwrite::kReplace).value();
  auto b = AtomicFile::Create(directory.path("x"), 0644, Overwrite::kReplace).value();
  ASSERT_TRUE(a->WriteAt(0, AsBytes("a")).ok());
  ASSERT_TRUE(b->WriteAt(0, AsBytes("b")).ok());
  ASSERT_TRUE(b->Commit().ok());
  ASSERT_TRUE(a->Commit().ok());
  EXPECT_EQ(directory.Read("x"), "a");
  EXPECT_EQ(directory.FileCount(), 1U);
}

TEST(AtomicFileTest, ErrorsNameThePath) {
  const TestDirectory directory;
  const auto missing = AtomicFile::Create(directory.path("no/such/x"), 0644, Overwrite::kReplace);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  const auto is_directory = AtomicFile::Create(directory.path(""), 0644, Overwrite::kReplace);
  ASSERT_FALSE(is_directory.ok());
  EXPECT_EQ(is_directory.error().code, Code::kInvalidArgument);
}

TEST(AtomicFileTest, AnInterruptLeavesNoFile) {
  for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) {
    const TestDirectory directory;
    EXPECT_EXIT(
        {
          CORACLE_CHECK(RemoveTemporaryFilesOnSignal().ok());
          auto file = AtomicFile::Create(directory.path("x"), 0644, Overwrite::kReplace).value();
          CORACLE_CHECK(file->WriteAt(0, AsBytes("half")).ok());
          CORACLE_CHECK(directory.FileCount() == 1);
          ::raise(signal_number);
        },
        testing::KilledBySignal(signal_number), "");
    EXPECT_EQ(directory.FileCount(), 0U);
  }
}

}  // namespace
}  // namespace coracle::host
