// A real file, mapped or read, that the host cuts short while the model is open.

#include <gtest/gtest.h>

#include <filesystem>

#include "host/posix/atomic_file.h"
#include "host/posix/blob.h"
#include "host/posix/blob_guard.h"
#include "host/posix/test_directory.h"
#include "seal/test_model.h"

namespace coracle::seal {
namespace {

std::string WriteModel(const host::TestDirectory& directory) {
  const std::string path = directory.path("model.sealed");
  auto file = host::AtomicFile::Create(path, 0644, host::Overwrite::kReplace).value();
  CORACLE_CHECK(file->WriteAt(0, SealSmallModel()).ok());
  CORACLE_CHECK(file->Commit().ok());
  return path;
}

TEST(MappedModelTest, OpensFromAFile) {
  const host::TestDirectory directory;
  const std::string path = WriteModel(directory);
  for (const auto access : {host::BlobAccess::kView, host::BlobAccess::kRead}) {
    const auto blob = host::OpenBlob(path, access).value();
    const Status status = OpenAll(*blob, TestKey(1), crypto::PreferredAeadBackend());
    EXPECT_TRUE(status.ok());
  }
}

TEST(MappedModelTest, AFileCutWhileMappedIsTampered) {
  ASSERT_TRUE(host::GuardMappedBlobs().ok());
  for (const auto backend : {crypto::PreferredAeadBackend(), crypto::AeadBackend::kOpenSsl}) {
    const host::TestDirectory directory;
    const std::string path = WriteModel(directory);
    const auto blob = host::OpenMappedBlob(path).value();
    const auto model = SealedModel::Open(*blob, TestKey(1), backend).value();
    std::filesystem::resize_file(path, 0);
    const Status status = CheckAllChunks(*model, nullptr);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kTampered);
    const auto again = SealedModel::Open(*blob, TestKey(1), backend);
    EXPECT_FALSE(again.ok());
  }
}

TEST(MappedModelTest, AFileCutWhileReadIsUnavailable) {
  const host::TestDirectory directory;
  const std::string path = WriteModel(directory);
  const auto blob = host::OpenFileBlob(path).value();
  const auto model = SealedModel::Open(*blob, TestKey(1), crypto::PreferredAeadBackend()).value();
  std::filesystem::resize_file(path, 200);
  const Status status = CheckAllChunks(*model, nullptr);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace coracle::seal
