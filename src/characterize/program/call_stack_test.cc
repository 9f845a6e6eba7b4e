#include "characterize/program/call_stack.h"

#include <gtest/gtest.h>

#include <vector>

namespace coracle::characterize {
namespace {

CallKind Classify(std::vector<uint8_t> bytes) { return ClassifyCall(bytes); }

TEST(ClassifyCall, KnowsCallsAndReturnsByTheirBytes) {
  EXPECT_EQ(Classify({0xe8, 1, 2, 3, 4}), CallKind::kCall);
  EXPECT_EQ(Classify({0x67, 0xe8, 1, 2, 3, 4}), CallKind::kCall);
  EXPECT_EQ(Classify({0xff, 0xd0}), CallKind::kCall);                    // call *%rax
  EXPECT_EQ(Classify({0x41, 0xff, 0x14, 0xdc}), CallKind::kCall);        // call *(%r12,%rbx,8)
  EXPECT_EQ(Classify({0x3e, 0xff, 0xd0}), CallKind::kCall);              // notrack
  EXPECT_EQ(Classify({0xf2, 0xff, 0x15, 1, 2, 3, 4}), CallKind::kCall);  // bnd
  EXPECT_EQ(Classify({0xc3}), CallKind::kReturn);
  EXPECT_EQ(Classify({0xf3, 0xc3}), CallKind::kReturn);
  EXPECT_EQ(Classify({0xf2, 0xc3}), CallKind::kReturn);
  EXPECT_EQ(Classify({0xc2, 8, 0}), CallKind::kReturn);
}

TEST(ClassifyCall, LeavesAllOthersAlone) {
  EXPECT_EQ(Classify({}), CallKind::kNone);
  EXPECT_EQ(Classify({0xf3}), CallKind::kNone);
  EXPECT_EQ(Classify({0xff}), CallKind::kNone);
  EXPECT_EQ(Classify({0xff, 0xe0}), CallKind::kNone);        // jmp *%rax
  EXPECT_EQ(Classify({0xff, 0x1f}), CallKind::kNone);        // a far call
  EXPECT_EQ(Classify({0xff, 0x30}), CallKind::kNone);        // push (%rax)
  EXPECT_EQ(Classify({0x48, 0x89, 0xe8}), CallKind::kNone);  // mov %rbp, %rax
  EXPECT_EQ(Classify({0x0f, 0x05}), CallKind::kNone);        // syscall
}

std::vector<uint64_t> Addresses(const CallStack& stack) {
  std::vector<uint64_t> addresses;
  for (const CallStack::Frame& frame : stack.frames()) addresses.push_back(frame.return_address);
  return addresses;
}

TEST(CallStack, FollowsCallsAndReturns) {
  CallStack stack;
  stack.Call(0x1000, 1);
  stack.Call(0xf00, 2);
  stack.Call(0xe00, 3);
  EXPECT_EQ(Addresses(stack), (std::vector<uint64_t>{1, 2, 3}));
  stack.Return(0xe00);
  EXPECT_EQ(Addresses(stack), (std::vector<uint64_t>{1, 2}));
  stack.Call(0xe80, 4);
  stack.Return(0xe80);
  stack.Return(0xf00);
  stack.Return(0x1000);
  stack.Return(0x1000);
  EXPECT_TRUE(stack.frames().empty());
}

TEST(CallStack, ForgetsWhatALongJumpLeft) {
  CallStack stack;
  for (uint64_t i = 0; i < 10; ++i) stack.Call(0x1000 - i * 0x40, i);
  // Back in the second frame without a return, which calls again.
  stack.Call(0xf80, 20);
  EXPECT_EQ(Addresses(stack), (std::vector<uint64_t>{0, 1, 20}));
  for (uint64_t i = 0; i < 10; ++i) stack.Call(0xf00 - i * 0x40, i);
  stack.Return(0xfc0);
  EXPECT_EQ(Addresses(stack), (std::vector<uint64_t>{0}));
}

TEST(CallStack, KeepsTheInnerFramesOfADeepRecursion) {
  CallStack stack;
  for (uint64_t i = 0; i < 100000; ++i) stack.Call(0x10000000 - i * 16, i);
  ASSERT_LE(stack.frames().size(), 2 * CallStack::kDepthKept);
  ASSERT_GE(stack.frames().size(), CallStack::kDepthKept);
  EXPECT_EQ(stack.frames().back().return_address, 99999u);
  for (uint64_t i = 100000; i-- > 99800;) stack.Return(0x10000000 - i * 16);
  EXPECT_EQ(stack.frames().back().return_address, 99799u);
}

}  // namespace
}  // namespace coracle::characterize
