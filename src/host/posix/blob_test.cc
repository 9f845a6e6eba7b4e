#include "host/posix/blob.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "host/posix/blob_guard.h"
#include "host/posix/test_directory.h"

namespace coracle::host {
namespace {

constexpr BlobAccess kBoth[] = {BlobAccess::kView, BlobAccess::kRead};

std::string TextOf(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(PosixBlobTest, ShowsTheFile) {
  const TestDirectory directory;
  const std::string path = directory.Write("blob", "0123456789");
  for (const BlobAccess access : kBoth) {
    const auto blob = OpenBlob(path, access);
    ASSERT_TRUE(blob.ok()) << blob.error().message;
    EXPECT_EQ((*blob)->access(), access);
    EXPECT_EQ((*blob)->size(), 10U);
    std::vector<std::byte> out(4);
    EXPECT_EQ((*blob)->Read(3, out), ReadOutcome::kDelivered);
    EXPECT_EQ(TextOf(out), "3456");
    EXPECT_EQ((*blob)->Read(10, std::span(out).first(0)), ReadOutcome::kDelivered);
    EXPECT_EQ((*blob)->Read(7, out), ReadOutcome::kFailed);
    EXPECT_EQ((*blob)->Read(~uint64_t{0}, out), ReadOutcome::kFailed);
  }
  EXPECT_EQ(TextOf(OpenMappedBlob(path).value()->View(2, 3)), "234");
}

TEST(PosixBlobTest, ErrorsAreOneClearLine) {
  const TestDirectory directory;
  ASSERT_EQ(::mkfifo(directory.path("fifo").c_str(), 0600), 0);
  directory.Write("empty", "");
  const auto error = [](const std::string& path, BlobAccess access) {
    auto blob = OpenBlob(path, access);
    CORACLE_CHECK(!blob.ok());
    return blob.error();
  };
  for (const BlobAccess access : kBoth) {
    const Error missing = error(directory.path("none"), access);
    EXPECT_EQ(missing.code, Code::kNotFound);
    EXPECT_EQ(missing.message, "cannot read '" + directory.path("none") + "': it does not exist");
    EXPECT_EQ(error(directory.path(""), access).code, Code::kInvalidArgument);
    EXPECT_EQ(error(directory.path("fifo"), access).code, Code::kInvalidArgument);
    EXPECT_EQ(error(directory.path("empty"), access).code, Code::kInvalidArgument);
    EXPECT_EQ(error(directory.path("empty/x"), access).code, Code::kNotFound);
  }
}

TEST(PosixBlobTest, AFileWithoutPermissionIsRefused) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const TestDirectory directory;
  const std::string path = directory.Write("secret", "x");
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  EXPECT_EQ(OpenMappedBlob(path).error().code, Code::kPermissionDenied);
}

TEST(PosixBlobTest, AReadOfAFileThatWasCutFails) {
  const TestDirectory directory;
  const std::string path = directory.Write("blob", std::string(10'000, 'x'));
  const auto blob = OpenFileBlob(path).value();
  ASSERT_EQ(::truncate(path.c_str(), 5'000), 0);
  std::vector<std::byte> out(1'000);
  EXPECT_EQ(blob->Read(4'000, out), ReadOutcome::kDelivered);
  EXPECT_EQ(blob->Read(4'500, out), ReadOutcome::kFailed);
  EXPECT_EQ(blob->Read(9'000, out), ReadOutcome::kFailed);
}

TEST(BlobGuardTest, WhatTheHostCutAwayReadsAsZeros) {
  ASSERT_TRUE(GuardMappedBlobs().ok());
  ASSERT_TRUE(GuardMappedBlobs().ok());  // twice is once
  const TestDirectory directory;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const std::string path = directory.Write("blob", std::string(4 * page, 'x'));
  const auto blob = OpenMappedBlob(path).value();
  const auto other = OpenMappedBlob(directory.Write("other", "y")).value();
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(page)), 0);
  EXPECT_EQ(TextOf(blob->View(0, 1)), "x");
  std::vector<std::byte> out(2 * page);
  EXPECT_EQ(blob->Read(2 * page, out), ReadOutcome::kDelivered);
  EXPECT_EQ(out, std::vector<std::byte>(2 * page));
  EXPECT_EQ(blob->View(4 * page - 1, 1)[0], std::byte{0});
  EXPECT_EQ(TextOf(other->View(0, 1)), "y");
}

TEST(BlobGuardTest, OtherBusErrorsKeepTheirEffect) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer handles SIGBUS itself";
#endif
  EXPECT_EXIT(
      {
        CORACLE_CHECK(GuardMappedBlobs().ok());
        ::raise(SIGBUS);  // by hand: the handler gives up its place and returns ...
        ::raise(SIGBUS);  // ... so that the next one has the effect that it had before
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST(BlobGuardTest, TheTableHasALimitAndPlacesComeBack) {
  const TestDirectory directory;
  const std::string path = directory.Write("blob", "x");
  std::vector<std::unique_ptr<Blob>> blobs;
  while (true) {
    auto blob = OpenMappedBlob(path);
    if (!blob.ok()) {
      EXPECT_EQ(blob.error().code, Code::kUnavailable);
      break;
    }
    blobs.push_back(std::move(*blob));
    ASSERT_LE(blobs.size(), kMaxMappedBlobs);
  }
  EXPECT_EQ(blobs.size(), kMaxMappedBlobs);
  blobs.pop_back();
  EXPECT_TRUE(OpenMappedBlob(path).ok());
}

}  // namespace
}  // namespace coracle::host
