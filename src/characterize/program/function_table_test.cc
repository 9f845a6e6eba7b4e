#include "characterize/program/function_table.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <cstring>
#include <optional>

namespace coracle::characterize {
namespace {

/// What this test itself has mapped at `address`.
std::optional<Mapping> MappingAt(uint64_t address) {
  std::string maps;
  std::FILE* const file = std::fopen("/proc/self/maps", "re");
  char part[4096];
  while (const size_t bytes = std::fread(part, 1, sizeof(part), file)) maps.append(part, bytes);
  std::fclose(file);
  for (const Mapping& mapping : ParseProcMaps(maps)) {
    if (address - mapping.begin < mapping.bytes) return mapping;
  }
  return std::nullopt;
}

uint64_t AddressOf(void (*function)()) { return reinterpret_cast<uintptr_t>(function); }

void SomeFunctionOfThisTest() { std::puts("never called"); }

TEST(FunctionTable, KnowsTheFunctionsOfARunningProgram) {
  FunctionTable table;
  const uint64_t address = AddressOf(SomeFunctionOfThisTest);
  const auto mapping = MappingAt(address);
  ASSERT_TRUE(mapping);
  const FunctionIndex function = table.Find(*mapping, address);
  const FunctionName& name = table.names().functions.at(static_cast<size_t>(function));
  EXPECT_EQ(name.name, "coracle::characterize::(anonymous namespace)::SomeFunctionOfThisTest");
  EXPECT_EQ(name.file, mapping->name.substr(mapping->name.rfind('/') + 1));
  EXPECT_EQ(table.Find(*mapping, address), function);
}

TEST(FunctionTable, KnowsThoseOfSharedLibraries) {
  FunctionTable table;
  const uint64_t address = reinterpret_cast<uintptr_t>(&::qsort);
  const auto mapping = MappingAt(address);
  ASSERT_TRUE(mapping);
  if (mapping->name.find("libc") == std::string::npos) GTEST_SKIP() << "a static C library";
  const FunctionIndex function = table.Find(*mapping, address);
  EXPECT_EQ(table.names().functions.at(static_cast<size_t>(function)).name, "qsort");
}

TEST(FunctionTable, TakesNamesThatItIsTold) {
  FunctionTable table;
  const uint64_t address = reinterpret_cast<uintptr_t>(&::qsort);
  const auto mapping = MappingAt(address);
  ASSERT_TRUE(mapping);
  if (mapping->name.find("libc") == std::string::npos) GTEST_SKIP() << "a static C library";
  // One that has a symbol keeps it.
  table.SetName(*mapping, address, "other");
  const auto name_at = [&](uint64_t at) {
    return table.names().functions.at(static_cast<size_t>(table.Find(*mapping, at))).name;
  };
  EXPECT_EQ(name_at(address), "qsort");
  // What the C library took for memset on this machine, if it is stripped.
  void* (*volatile chosen)(void*, int, size_t) = &::memset;
  const uint64_t memset_address = reinterpret_cast<uintptr_t>(chosen);
  if (memset_address - mapping->begin >= mapping->bytes) GTEST_SKIP() << "a static C library";
  const bool stripped = name_at(memset_address).find('+') != std::string::npos;
  table.SetName(*mapping, memset_address, "memset");
  EXPECT_TRUE(!stripped || name_at(memset_address) == "memset");
}

TEST(FunctionTable, OfCodeInNoFileNothingIsKnown) {
  FunctionTable table;
  EXPECT_EQ(table.Find({MemoryKind::kAnonymous, true, 0x1000, 0x1000, "", false, 0}, 0x1000),
            FunctionIndex{});
  EXPECT_EQ(table.Find({MemoryKind::kFile, false, 0x1000, 0x1000, "/nowhere", false, 0}, 0x1000),
            FunctionIndex{});
  EXPECT_EQ(table.names().functions.size(), 1u);
}

TEST(FunctionTable, NumbersPathsAndLeavesOperatorNewOut) {
  FunctionTable table;
  const auto find = [&table](uint64_t address) {
    const auto mapping = MappingAt(address);
    return mapping ? table.Find(*mapping, address) : FunctionIndex{};
  };
  const FunctionIndex sort = find(reinterpret_cast<uintptr_t>(&::qsort));
  const FunctionIndex own = find(AddressOf(SomeFunctionOfThisTest));
  const FunctionIndex make =
      find(reinterpret_cast<uintptr_t>(static_cast<void* (*)(size_t)>(&::operator new)));
  const FunctionIndex short_path[] = {own, sort};
  const FunctionIndex path_with_new[] = {make, own, sort};
  const FunctionIndex other[] = {sort, own};
  const CallPathIndex path = table.PathOf(short_path);
  EXPECT_NE(path, CallPathIndex{});
  EXPECT_NE(table.PathOf(other), path);
  EXPECT_EQ(table.PathOf({}), CallPathIndex{});
  if (table.names().functions.at(static_cast<size_t>(make)).name == "operator new") {
    EXPECT_EQ(table.PathOf(path_with_new), path);
  }
  EXPECT_EQ(table.names().call_paths.at(static_cast<size_t>(path)).size(), 2u);
  const std::vector<FunctionIndex> deep(20, own);
  EXPECT_EQ(table.names().call_paths.at(static_cast<size_t>(table.PathOf(deep))).size(),
            FunctionTable::kPathFramesMax);
}

}  // namespace
}  // namespace coracle::characterize
