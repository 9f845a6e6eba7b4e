#include "emulator/epcrun/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace coracle::epc {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "epcrun-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// An executable file with this text. Returns its path.
  std::string File(const std::string& name, const std::string& text, mode_t mode = 0755) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }

  /// The bytes of this test program.
  static std::string OwnBytes() {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  static void ExpectRefused(const std::string& path, Code code, const std::string& why) {
    const Status status = CheckProgram(path, {path});
    ASSERT_FALSE(status.ok()) << why;
    EXPECT_EQ(status.error().code, code);
    EXPECT_THAT(status.error().message, HasSubstr(why));
  }

  std::filesystem::path folder_;
};

TEST_F(ProgramTest, AreFoundByPath) {
  EXPECT_THAT(FindProgram("sh").value(), EndsWith("/sh"));
  EXPECT_EQ(FindProgram("no-such-program-at-all").error().code, Code::kNotFound);
  EXPECT_EQ(FindProgram("/no/such/program").error().code, Code::kNotFound);
  EXPECT_EQ(FindProgram("").error().code, Code::kNotFound);
  EXPECT_EQ(FindProgram(File("plain", "x", 0644)).error().code, Code::kPermissionDenied);
  EXPECT_EQ(FindProgram(folder_.string()).error().code, Code::kPermissionDenied);
}

TEST_F(ProgramTest, ADynamicProgramAndAScriptForItAreTaken) {
  EXPECT_TRUE(CheckProgram("/proc/self/exe", {"x"}).ok());
  const std::string script = File("script", "#! /bin/sh -e\necho\n");
  EXPECT_TRUE(CheckProgram(script, {script}).ok());
  const std::string second = File("second", "#!" + script + "\n");
  EXPECT_TRUE(CheckProgram(second, {second}).ok());
  const std::string by_env = File("by_env", "#!/usr/bin/env sh\n");
  EXPECT_TRUE(CheckProgram(by_env, {by_env}).ok());
}

TEST_F(ProgramTest, WhatCannotRunInsideIsRefused) {
  ExpectRefused(File("text", "just text\n"), Code::kPermissionDenied, "neither an ELF program");
  ExpectRefused(File("empty", ""), Code::kPermissionDenied, "neither an ELF program");
  ExpectRefused(File("lost", "#!/no/such/interpreter\n"), Code::kNotFound, "interpreter");
  ExpectRefused(File("endless", "#!" + (folder_ / "endless").string() + "\n"), Code::kUnsupported,
                "too many interpreters");

  const std::string bytes = OwnBytes();
  ASSERT_GT(bytes.size(), 64u);
  std::string arm = bytes;
  arm[18] = static_cast<char>(183);  // e_machine: AArch64
  ExpectRefused(File("arm", arm), Code::kUnsupported, "not a 64-bit x86-64 program");
  std::string no_headers = bytes;
  no_headers[56] = no_headers[57] = 0;  // e_phnum: so there is no loader
  ExpectRefused(File("static", no_headers), Code::kUnsupported, "statically linked");
  std::string other_loader = bytes;
  const size_t loader = other_loader.find("ld-linux-x86-64.so.2");
  ASSERT_NE(loader, std::string::npos);
  other_loader.replace(loader, 8, "ld-other");
  ExpectRefused(File("musl", other_loader), Code::kUnsupported, "glibc");
  ExpectRefused(File("by_env", "#!/usr/bin/env -S " + File("arm2", arm) + "\n"), Code::kUnsupported,
                "x86-64");
}

TEST_F(ProgramTest, AnotherUsersSetuidProgramIsRefused) {
  const std::string path = File("setuid", OwnBytes());
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  ASSERT_EQ(chown(path.c_str(), 12345, 0), 0);
  ASSERT_EQ(chmod(path.c_str(), 04755), 0);
  ExpectRefused(path, Code::kUnsupported, "set-user-ID");
}

}  // namespace
}  // namespace coracle::epc
