#include "characterize/digests/access_digests.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "base/epc_mark.h"

namespace coracle::characterize {
namespace {

struct Touch {
  uint64_t address = 0;
  uint32_t bytes = 8;
  AccessKind kind = AccessKind::kRead;
};

/// What one instruction's accesses come to, by stream.
std::array<std::string, kAddressStreamCount> DigestsOf(const std::vector<Touch>& touches) {
  AccessDigests digests({}, {});
  digests.OnThreadStart(0);
  const uint32_t instruction = digests.TranslatedInstruction(0x400000);
  for (const Touch& touch : touches) {
    digests.OnAccess(0, instruction, touch.address, touch.bytes, touch.kind);
  }
  std::array<std::string, kAddressStreamCount> hex;
  for (size_t i = 0; i < hex.size(); ++i) hex[i] = (*digests.StreamsOf(0))[i].Hex();
  return hex;
}

constexpr auto kPages = static_cast<size_t>(AddressStream::kDataPages);
constexpr auto kLines = static_cast<size_t>(AddressStream::kDataLines);

TEST(AccessDigests, SeeLinesAndPagesAndNothingFiner) {
  const auto first = DigestsOf({{0x10000}, {0x20000}});
  EXPECT_EQ(first, DigestsOf({{0x10008}, {0x20038}})) << "within a line";
  const auto line = DigestsOf({{0x10040}, {0x20000}});
  EXPECT_NE(first[kLines], line[kLines]);
  EXPECT_EQ(first[kPages], line[kPages]);
  EXPECT_NE(first[kLines], DigestsOf({{0x1003c}, {0x20000}})[kLines]) << "across two lines";
  const auto page = DigestsOf({{0x11000}, {0x20000}});
  EXPECT_NE(first[kLines], page[kLines]);
  EXPECT_NE(first[kPages], page[kPages]);
}

TEST(AccessDigests, SeeOrderAndNumber) {
  EXPECT_NE(DigestsOf({{0x10000}, {0x10040}})[kLines], DigestsOf({{0x10040}, {0x10000}})[kLines]);
  const auto once = DigestsOf({{0x10000}});
  const auto twice = DigestsOf({{0x10000}, {0x10000}});
  EXPECT_NE(once[kLines], twice[kLines]);
  EXPECT_EQ(once[kPages], twice[kPages]) << "nobody sees a second touch of a page that is there";
}

TEST(AccessDigests, SeeWrites) {
  const auto reads = DigestsOf({{0x10000}, {0x10000}});
  const auto writes = DigestsOf({{0x10000}, {0x10000, 8, AccessKind::kWrite}});
  EXPECT_NE(reads[kLines], writes[kLines]);
  EXPECT_NE(reads[kPages], writes[kPages]);
  EXPECT_EQ(writes[kPages], DigestsOf({{0x10000},
                                       {0x10000, 8, AccessKind::kWrite},
                                       {0x10000, 8, AccessKind::kWrite}})[kPages]);
}

TEST(AccessDigests, NameTheInstructionThatDiffers) {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{64}, uint64_t{4096}}) {
    AccessDigests one({}, {});
    AccessDigests other({}, {});
    for (AccessDigests* digests : {&one, &other}) {
      digests->OnThreadStart(0);
      const uint32_t steady = digests->TranslatedInstruction(0x400000);
      const uint32_t leaky = digests->TranslatedInstruction(0x400004);
      for (uint64_t i = 0; i < 10; ++i) {
        digests->OnAccess(0, steady, 0x10000 + 64 * i, 4, AccessKind::kRead);
        const uint64_t moved = digests == &other && i == 5 ? offset : 0;
        digests->OnAccess(0, leaky, 0x90000 + moved, 4, AccessKind::kRead);
      }
    }
    const auto a = one.Instructions();
    const auto b = other.Instructions();
    ASSERT_EQ(a.size(), 2u);
    ASSERT_EQ(b.size(), 2u);
    EXPECT_EQ(a[0].lines, b[0].lines);
    EXPECT_EQ(a[1].address, 0x400004u);
    EXPECT_EQ(a[1].accesses, 10u);
    EXPECT_EQ(a[1].lines == b[1].lines, offset == 0);
    EXPECT_EQ(a[1].pages == b[1].pages, offset < 4096);
  }
}

TEST(AccessDigests, NameTheJumpThatDiffers) {
  AccessDigests one({}, {});
  AccessDigests other({}, {});
  for (AccessDigests* digests : {&one, &other}) {
    digests->OnThreadStart(0);
    const auto* asks = digests->TranslatedBlock(0x400000, 16, 0x40000e);
    const auto* left = digests->TranslatedBlock(0x400010, 8, 0x400016);
    const auto* right = digests->TranslatedBlock(0x400018, 8, 0x40001e);
    EXPECT_EQ(digests->TranslatedBlock(0x400000, 16, 0x40000e), asks);
    for (int i = 0; i < 10; ++i) {
      digests->OnBlock(0, *asks);
      // As often to each side, in another order.
      const bool goes_left = digests == &one ? i < 5 : i % 2 == 0;
      digests->OnBlock(0, goes_left ? *left : *right);
    }
  }
  const auto a = one.Blocks();
  const auto b = other.Blocks();
  ASSERT_EQ(a.size(), 3u);
  EXPECT_EQ(a[0].last_instruction, 0x40000eu);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(a[i].runs, b[i].runs);
  EXPECT_NE(a[0].followers, b[0].followers);
  EXPECT_EQ(a[1].followers, b[1].followers);
  EXPECT_EQ(a[2].followers, b[2].followers);
  const auto& streams_a = *one.StreamsOf(0);
  const auto& streams_b = *other.StreamsOf(0);
  const auto differs = [&](AddressStream stream) {
    const auto i = static_cast<size_t>(stream);
    return streams_a[i].Hex() != streams_b[i].Hex();
  };
  EXPECT_TRUE(differs(AddressStream::kCodeBlocks));
  EXPECT_FALSE(differs(AddressStream::kCodeLines)) << "all on one line";
  EXPECT_FALSE(differs(AddressStream::kCodePages));
}

TEST(AccessDigests, CountWhatLiesBetweenTheMarks) {
  AccessDigests digests(4, 5);
  digests.OnThreadStart(0);
  const uint32_t instruction = digests.TranslatedInstruction(0x400000);
  for (uint64_t label = 0; label < 10; ++label) {
    digests.OnSystemCall(0, SYS_prctl, kEpcMarkCall, label);
    EXPECT_EQ(digests.marks_seen(), label >= 5);
    digests.OnSystemCall(0, SYS_read, 0, 0);
    digests.OnAccess(0, instruction, label << kPageShift, 4, AccessKind::kWrite);
  }
  ASSERT_EQ(digests.Instructions().size(), 1u);
  EXPECT_EQ(digests.Instructions()[0].accesses, 1u);
  const std::map<int64_t, uint64_t> calls = {{SYS_read, 1}};
  EXPECT_EQ(digests.SystemCalls(), calls);
}

TEST(AccessDigests, KeepThreadsApart) {
  AccessDigests one({}, {});
  AccessDigests other({}, {});
  for (AccessDigests* digests : {&one, &other}) {
    const uint32_t instruction = digests->TranslatedInstruction(0x400000);
    digests->OnThreadStart(0);
    digests->OnThreadStart(1);
    for (uint64_t i = 0; i < 8; ++i) {
      // The same accesses, by the other thread.
      const unsigned thread = (i < 4) == (digests == &one) ? 0 : 1;
      digests->OnAccess(thread, instruction, (i % 4) << 6, 4, AccessKind::kRead);
      digests->OnAccess(5, instruction, 0, 4, AccessKind::kRead);
    }
    digests->OnAccess(0, instruction, digests == &one ? 0 : 64, 4, AccessKind::kRead);
    digests->OnAccess(1, instruction, digests == &one ? 64 : 0, 4, AccessKind::kRead);
  }
  EXPECT_EQ(one.Instructions()[0].accesses, other.Instructions()[0].accesses);
  EXPECT_NE(one.Instructions()[0].lines, other.Instructions()[0].lines);
  EXPECT_EQ(one.StreamsOf(5), nullptr);
}

}  // namespace
}  // namespace coracle::characterize
