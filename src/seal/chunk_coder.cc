#include "seal/chunk_coder.h"

#include <zstd.h>

#include <algorithm>

#include "base/check.h"
#include "base/checked.h"
#include "graph/chunk.h"
#include "seal/chunk_decoder.h"

namespace coracle::seal {
namespace {

/// Literals only, which is nearly all there is to gain on trained float32 weights.
constexpr int kFastLevel = 1;
/// Looks for repeated bytes as well, at about 3 MB/s: worth it where there are many (weights that
/// were quantised once).
constexpr int kThoroughLevel = 19;
constexpr double kRepetitiveShare = 2.0 / 3;
/// No window is larger than a chunk.
constexpr int kWindowLog = 18;
static_assert((1U << kWindowLog) == graph::kMaxChunkBytes);

using Text = std::vector<std::byte>;

struct ContextDeleter {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

class ZstdChunkCoder final : public ChunkCoder {
 public:
  explicit ZstdChunkCoder(std::unique_ptr<ZSTD_CCtx, ContextDeleter> context)
      : context_(std::move(context)) {}

  std::optional<Text> Code(Bytes plain) override {
    CORACLE_CHECK(!plain.empty() && plain.size() <= graph::kMaxChunkBytes &&
                  plain.size() % graph::kChunkAlignment == 0);
    Text best = CodePlanes(plain, 1, kFastLevel);
    const double share = static_cast<double>(best.size()) / static_cast<double>(plain.size());
    if (share < kRepetitiveShare) KeepSmaller(CodePlanes(plain, 1, kThoroughLevel), best);
    KeepSmaller(CodePlanes(Split(plain), kBytePlanes, kFastLevel), best);
    if (best.size() >= plain.size()) return std::nullopt;
    return best;
  }

 private:
  static void KeepSmaller(Text made, Text& best) {
    if (made.size() < best.size()) best = std::move(made);
  }

  static std::vector<std::byte> Split(Bytes plain) {
    std::vector<std::byte> planes(plain.size());
    const size_t count = plain.size() / kBytePlanes;
    for (size_t i = 0; i < plain.size(); ++i) {
      planes[i % kBytePlanes * count + i / kBytePlanes] = plain[i];
    }
    return planes;
  }

  void Set(ZSTD_cParameter parameter, int value) {
    CORACLE_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context_.get(), parameter, value)) == 0);
  }

  /// Each plane has blocks, and so a code, of its own.
  Text CodePlanes(Bytes bytes, uint32_t planes, int level) {
    CORACLE_CHECK(
        ZSTD_isError(ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_and_parameters)) == 0);
    Set(ZSTD_c_compressionLevel, level);
    Set(ZSTD_c_windowLog, kWindowLog);
    CORACLE_CHECK(ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(context_.get(), bytes.size())) == 0);
    Text coded;
    coded.resize(kCodedPrefixBytes + ZSTD_compressBound(bytes.size()) + kSlackBytes);
    coded[0] = static_cast<std::byte>(planes);
    ZSTD_outBuffer out{coded.data(), coded.size(), kCodedPrefixBytes};
    const size_t plane_bytes = bytes.size() / planes;
    for (uint32_t plane = 0; plane < planes; ++plane) {
      ZSTD_inBuffer in{bytes.data() + plane * plane_bytes, plane_bytes, 0};
      const bool last = plane + 1 == planes;
      CORACLE_CHECK(
          ZSTD_compressStream2(context_.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_flush) == 0);
    }
    std::fill(coded.begin() + static_cast<ptrdiff_t>(out.pos), coded.end(), std::byte{0});
    coded.resize(RoundUp(out.pos, graph::kChunkAlignment));
    return coded;
  }

  /// Flushed planes have a few blocks more than ZSTD_compressBound() counts.
  static constexpr size_t kSlackBytes = 256;

  std::unique_ptr<ZSTD_CCtx, ContextDeleter> context_;
};

}  // namespace

Result<std::unique_ptr<ChunkCoder>> ChunkCoder::Create() {
  std::unique_ptr<ZSTD_CCtx, ContextDeleter> context(ZSTD_createCCtx());
  if (context == nullptr) {
    return Error{Code::kUnavailable, "no memory to compress weights in"};
  }
  return std::unique_ptr<ChunkCoder>(std::make_unique<ZstdChunkCoder>(std::move(context)));
}

}  // namespace coracle::seal
