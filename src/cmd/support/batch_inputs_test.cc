#include "cmd/support/batch_inputs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cmd/support/scratch_folder.h"

namespace coracle::cmd {
namespace {

class BatchInputsTest : public testing::Test {
 protected:
  void Touch(const std::string& name) const { std::ofstream(folder_->path() + "/" + name) << "x"; }

  const std::unique_ptr<ScratchFolder> folder_ = ScratchFolder::Make().value();
};

TEST_F(BatchInputsTest, InputsInTheOrderOfTheirNames) {
  for (const char* name : {"b.PNG", "a.jpg", "z.npy", "c.raw", "notes.txt", "ü.jpeg"}) Touch(name);
  std::filesystem::create_directory(folder_->path() + "/more.npy");
  std::filesystem::create_symlink("nowhere", folder_->path() + "/broken.bmp");
  const auto found = ListBatchFolder(folder_->path() + "//");
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->path, folder_->path());
  EXPECT_EQ(found->files,
            (std::vector<std::string>{"a.jpg", "b.PNG", "broken.bmp", "c.raw", "z.npy", "ü.jpeg"}));
  EXPECT_EQ(found->passed_over, 2U);
}

TEST_F(BatchInputsTest, Refusals) {
  EXPECT_EQ(ListBatchFolder(folder_->path() + "/no").error().code, Code::kNotFound);
  EXPECT_EQ(ListBatchFolder(folder_->path()).error().code, Code::kInvalidArgument);
  Touch("notes.txt");
  EXPECT_EQ(ListBatchFolder(folder_->path()).error().code, Code::kInvalidArgument);
  EXPECT_EQ(ListBatchFolder(folder_->path() + "/notes.txt").error().code, Code::kInvalidArgument);
  Touch("a\xff.png");
  const auto refused = ListBatchFolder(folder_->path());
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace coracle::cmd
