// The header of a .npy file (NumPy format versions 1.0, 2.0, 3.0), parsed strictly.
//
// Spec: numpy/lib/format.py. "\x93NUMPY", major, minor, header length (u16 in 1.0, u32 after), then
// a Python dictionary literal with exactly the keys descr, fortran_order and shape, spaces, "\n".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace coracle::vision {

/// Header bytes that a reader may need to see before it can parse: longer headers are refused.
inline constexpr uint64_t kNpyHeaderBytesMax = 16 << 10;

struct NpyHeader {
  DType dtype = DType::kFloat32;
  Shape shape;
  uint64_t data_offset = 0;
};

/// Parses the first bytes of a file of `file_bytes`; `prefix` holds at least the first
/// min(file_bytes, kNpyHeaderBytesMax). `name` is the file's, for messages. Little-endian C order
/// only; the data must end exactly where the file ends.
/// Errors: kMalformed; kUnsupported (big-endian, Fortran order, other element types, rank over 8).
Result<NpyHeader> ParseNpyHeader(Bytes prefix, uint64_t file_bytes, std::string_view name);

/// The bytes before the data of a float32 file of `shape` (version 1.0, a multiple of 64 bytes).
std::vector<std::byte> FormatNpyHeader(const Shape& shape);

}  // namespace coracle::vision
