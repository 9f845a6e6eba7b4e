#include "emulator/preload/system_call_table.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <fstream>
#include <sstream>
#include <string>

namespace coracle::epc {
namespace {

TEST(SystemCallTable, ListsEveryCallThatTheHeaderKnows) {
  const char* const path = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
  std::ifstream header(path);
  if (!header) GTEST_SKIP() << path << " is absent";
  int count = 0;
  for (std::string line; std::getline(header, line);) {
    std::istringstream words(line);
    std::string define;
    std::string name;
    long number = -1;
    if (!(words >> define >> name >> number) || name.rfind("__NR_", 0) != 0) continue;
    const SystemCall* const entry = FindSystemCall(number);
    ASSERT_NE(entry, nullptr) << line;
    EXPECT_EQ(name.substr(5), entry->name);
    EXPECT_EQ(entry->number, number);
    ++count;
  }
  EXPECT_GT(count, 350);
}

TEST(SystemCallTable, DoesNotListWhatThereIsNot) {
  EXPECT_EQ(FindSystemCall(-1), nullptr);
  EXPECT_EQ(FindSystemCall(335), nullptr);
  EXPECT_EQ(FindSystemCall(kSystemCallsMax), nullptr);
  EXPECT_EQ(FindSystemCall(1L << 40), nullptr);
}

/// The transfers count on where their buffer and its length are.
TEST(SystemCallTable, TransfersHaveTheirBufferSecond) {
  for (long number = 0; number < kSystemCallsMax; ++number) {
    const SystemCall* const entry = FindSystemCall(number);
    if (entry == nullptr) continue;
    const Argument& second = entry->arguments[1];
    switch (entry->treatment) {
      case Treatment::kIn:
      case Treatment::kOut:
        EXPECT_TRUE(second.reach == Reach::kOf && second.other == 2) << entry->name;
        break;
      case Treatment::kVectorsIn:
      case Treatment::kVectorsOut:
        EXPECT_TRUE(second.reach == Reach::kVectors && second.other == 2) << entry->name;
        break;
      default:
        break;
    }
  }
}

TEST(SystemCallTable, ArgumentsPointToArguments) {
  for (long number = 0; number < kSystemCallsMax; ++number) {
    const SystemCall* const entry = FindSystemCall(number);
    if (entry == nullptr) continue;
    for (const Argument& argument : entry->arguments) {
      EXPECT_LT(argument.other, 6) << entry->name;
      if (argument.reach == Reach::kFixed || argument.reach == Reach::kItems) {
        EXPECT_GT(argument.bytes, 0) << entry->name;
      }
    }
  }
}

}  // namespace
}  // namespace coracle::epc
