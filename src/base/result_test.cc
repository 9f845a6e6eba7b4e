#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/checked.h"

namespace coracle {
namespace {

Result<int> Half(int value) {
  if (value % 2 != 0) return Error{Code::kInvalidArgument, "odd"};
  return value / 2;
}

Result<int> Quarter(int value) {
  TRY_ASSIGN(const int half, Half(value));
  TRY_ASSIGN(const int quarter, Half(half));
  return quarter;
}

Status CheckQuarter(int value) {
  TRY(Quarter(value));
  return {};
}

TEST(ResultTest, CarriesValueOrError) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_EQ(Quarter(6).error().message, "odd");
  EXPECT_TRUE(CheckQuarter(8).ok());
  EXPECT_EQ(CheckQuarter(7).error().code, Code::kInvalidArgument);
}

TEST(ResultTest, HoldsMoveOnlyValues) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(4);
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 4);
}

TEST(ResultDeathTest, ValueOfAnErrorIsOurBug) {
  Result<int> result = Error{Code::kMalformed, "bad"};
  EXPECT_DEATH({ [[maybe_unused]] const int value = result.value(); }, "internal error");
}

TEST(ResultTest, EveryCodeHasItsName) {
  EXPECT_EQ(CodeName(Code::kTampered), "tampered");
  EXPECT_EQ(CodeName(Code::kOutOfBudget), "out_of_budget");
}

TEST(CheckedTest, OverflowIsNothing) {
  EXPECT_EQ(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(CheckedMul(3, 5), 15U);
  EXPECT_EQ(CheckedAdd(UINT64_MAX, 1), std::nullopt);
  EXPECT_EQ(RoundUp(65, 64), 128U);
  EXPECT_EQ(CeilDiv(7, 2), 4U);
}

}  // namespace
}  // namespace coracle
