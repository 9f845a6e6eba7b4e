// pack_bench CAPACITY_BYTES FILE.csv...: packs each instance (minimalloc's format) and prints what
// was proven, what was reached and what it took. Exit code 1 if one does not fit, 2 for wrong
// usage.
#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "plan/pack.h"
#include "plan/test_pack_instance.h"

namespace coracle::bench {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitWrongUsage = 2;
constexpr uint64_t kSearchWork = 400'000'000;

/// Prints one line; whether the instance fits.
bool PackFile(const std::string& path, uint64_t capacity_bytes) {
  std::ifstream file(path);
  if (!file) {
    fmt::print(stderr, "pack_bench: {}: cannot be read\n", path);
    return false;
  }
  const auto buffers = plan::ParsePackInstance(
      std::string{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  if (!buffers.ok()) {
    fmt::print(stderr, "pack_bench: {}: {}\n", path, buffers.error().message);
    return false;
  }
  const auto begin = std::chrono::steady_clock::now();
  const plan::Packing packing = plan::Pack(*buffers, {}, {capacity_bytes, kSearchWork});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const std::string wrong = plan::CheckPacking(*buffers, {}, packing);
  fmt::print("{}: {} buffers, bound {}, achieved {}, {} nodes, {:.3f} s{}\n",
             path.substr(path.rfind('/') + 1), buffers->size(), packing.bound_bytes,
             packing.pool_bytes, packing.nodes, took.count(), wrong.empty() ? "" : ": " + wrong);
  return wrong.empty() && packing.pool_bytes <= capacity_bytes;
}

int Main(int argc, char** argv) {
  uint64_t capacity_bytes = 0;
  const std::string_view capacity = argc > 2 ? argv[1] : "";
  const auto [end, error] =
      std::from_chars(capacity.data(), capacity.data() + capacity.size(), capacity_bytes);
  if (error != std::errc() || end != capacity.data() + capacity.size()) {
    fmt::print(stderr, "usage: pack_bench CAPACITY_BYTES FILE.csv...\n");
    return kExitWrongUsage;
  }
  bool all_fit = true;
  for (int i = 2; i < argc; ++i) all_fit &= PackFile(argv[i], capacity_bytes);
  return all_fit ? 0 : kExitFailed;
}

}  // namespace
}  // namespace coracle::bench

int main(int argc, char** argv) { return coracle::bench::Main(argc, argv); }
