#include "characterize/digests/code_names.h"

#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace coracle::characterize {

/// Somewhere to be found.
__attribute__((noinline)) int FunctionToBeFound(int x) { return x * 3 + 1; }

namespace {

/// Where this program's own files lie, as a tracer would have read it.
std::vector<CodeNames::Piece> OwnPieces() {
  std::vector<CodeNames::Piece> pieces;
  std::FILE* const maps = std::fopen("/proc/self/maps", "re");
  char line[4096];
  while (maps != nullptr && std::fgets(line, sizeof(line), maps) != nullptr) {
    CodeNames::Piece piece;
    const char* const slash = std::strchr(line, '/');
    if (slash == nullptr || std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &piece.begin,
                                        &piece.end, &piece.file_offset) != 3) {
      continue;
    }
    piece.path.assign(slash, std::strcspn(slash, "\n"));
    pieces.push_back(piece);
  }
  if (maps != nullptr) std::fclose(maps);
  return pieces;
}

TEST(CodeNames, FindOurOwnFunctions) {
  CodeNames names(OwnPieces());
  const auto address = reinterpret_cast<uint64_t>(&FunctionToBeFound);
  const CodePlace place = names.PlaceOf(address + 2);
  EXPECT_EQ(place.function, "coracle::characterize::FunctionToBeFound");
  EXPECT_NE(place.file.find("characterize_test"), std::string::npos);
  EXPECT_EQ(names.PlaceOf(address).offset + 2, place.offset);
}

TEST(CodeNames, FindFunctionsOfLibraries) {
  CodeNames names(OwnPieces());
  // Stripped: from its dynamic symbols. Under several names.
  const CodePlace place = names.PlaceOf(reinterpret_cast<uint64_t>(&std::fopen));
  EXPECT_NE(place.function.find("fopen"), std::string::npos) << place.function;
}

TEST(CodeNames, SayNothingOfWhatTheyDoNotKnow) {
  CodeNames names({{0x1000, 0x2000, 16, "/nowhere/at/all"}});
  const CodePlace place = names.PlaceOf(0x1234);
  EXPECT_EQ(place.function, "+0x244");
  EXPECT_EQ(place.file, "/nowhere/at/all");
  EXPECT_EQ(place.offset, 0x244u);
  EXPECT_EQ(names.PlaceOf(0x9999).file, "");
  EXPECT_EQ(names.PlaceOf(0x9999).function, "");
  EXPECT_EQ(names.PlaceOf(0x9999).offset, 0x9999u);
}

}  // namespace
}  // namespace coracle::characterize
