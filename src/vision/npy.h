// Tensors in files: .npy read and written, .raw read, as float32, piece by piece.
//
// Nothing here holds a whole tensor: reading and writing pass through buffers of 16 KiB at most, so
// that the memory beside a prediction's budget stays small.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "vision/input_file.h"
#include "vision/output_file.h"

namespace coracle::vision {

/// A tensor in a file. Threads: Read may be called from several at once.
class NpyReader {
 public:
  /// A .npy file (npy_header.h says what is accepted), of exactly the length its shape needs.
  /// Errors: as InputFile::Open and ParseNpyHeader.
  static Result<NpyReader> Open(const std::string& path);
  /// A .raw file: little-endian float32 elements of `shape`, and not one byte more.
  /// Errors: as InputFile::Open; kMalformed (another length).
  static Result<NpyReader> OpenRaw(const std::string& path, const Shape& shape);

  const Shape& shape() const { return shape_; }
  /// The type of the file's elements; they are delivered as float32 (int32, int64 and float64
  /// rounded to the nearest).
  DType dtype() const { return dtype_; }
  /// Elements [first, first + values.size()) in row-major order.
  /// Requires: in range. Errors: kUnavailable.
  Status Read(uint64_t first, std::span<float> values) const;

 private:
  NpyReader(InputFile file, DType dtype, const Shape& shape, uint64_t data_offset)
      : file_(std::move(file)), dtype_(dtype), shape_(shape), data_offset_(data_offset) {}

  InputFile file_;
  DType dtype_;
  Shape shape_;
  uint64_t data_offset_;
};

/// Writes a float32 .npy file that appears whole or not at all.
class NpyWriter {
 public:
  /// Errors: as OutputFile::Create.
  static Result<NpyWriter> Create(const std::string& path, const Shape& shape);
  /// The next elements in row-major order. Requires: no more than the shape has.
  /// Errors: kUnavailable.
  Status Append(std::span<const float> values);
  /// False for a device or a pipe: Append alone.
  bool TakesAnyOrder() const { return file_.TakesAnyOrder(); }
  /// Elements [first, first + values.size()), each written once, in any order.
  /// Requires: TakesAnyOrder(); no Append; in range. Errors: kUnavailable.
  Status WriteAt(uint64_t first, std::span<const float> values);
  /// Requires: every element was appended. Errors: kUnavailable.
  Status Finish();

 private:
  NpyWriter(OutputFile file, uint64_t elements, uint64_t data_offset)
      : file_(std::move(file)), elements_(elements), left_(elements), data_offset_(data_offset) {}

  OutputFile file_;
  uint64_t elements_;
  uint64_t left_;
  uint64_t data_offset_;
};

}  // namespace coracle::vision
