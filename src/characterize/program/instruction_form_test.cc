#include "characterize/program/instruction_form.h"

#include <gtest/gtest.h>

#include <vector>

namespace coracle::characterize {
namespace {

bool IsFused(std::vector<uint8_t> bytes) { return IsFusedMultiplyAdd(bytes); }

TEST(InstructionForm, KnowsFusedMultiplyAdds) {
  EXPECT_TRUE(IsFused({0xc4, 0xe2, 0x7d, 0xb8, 0xc1}));              // vfmadd231ps ymm0,ymm0,ymm1
  EXPECT_TRUE(IsFused({0xc4, 0xe2, 0x71, 0xa9, 0xc2}));              // vfmadd213ss xmm0,xmm1,xmm2
  EXPECT_TRUE(IsFused({0xc4, 0xe2, 0xf5, 0x9c, 0x04, 0x24}));        // vfnmadd132pd ymm0,ymm1,[rsp]
  EXPECT_TRUE(IsFused({0xc4, 0x62, 0x7d, 0xb6, 0x84, 0x24, 0, 0}));  // vfmaddsub231ps ymm8,...
}

TEST(InstructionForm, AndNothingElse) {
  EXPECT_FALSE(IsFused({}));
  EXPECT_FALSE(IsFused({0xc4, 0xe2, 0x7d}));
  EXPECT_FALSE(IsFused({0xc4, 0xe2, 0x7d, 0x18, 0x00}));  // vbroadcastss ymm0,[rax]
  EXPECT_FALSE(IsFused({0xc4, 0xe3, 0x7d, 0xb8, 0xc1}));  // another map
  EXPECT_FALSE(IsFused({0xc4, 0xe2, 0x7d, 0x92, 0xc1}));  // vgatherdps
  EXPECT_FALSE(IsFused({0xc5, 0xfc, 0x58, 0xb8, 0xc1}));  // vaddps
  EXPECT_FALSE(IsFused({0x0f, 0x38, 0xb8, 0xb8}));
}

}  // namespace
}  // namespace coracle::characterize
