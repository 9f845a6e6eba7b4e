#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace coracle::reference {

/// Element types that a .npy file holds here; all little-endian.
enum class NpyType : uint8_t {
  kFloat32,
  kFloat64,
  kFloat16,
  kInt64,
  kInt32,
  kInt16,
  kInt8,
  kUint16,
  kUint8,
  kBool,
};

/// Bytes of one element.
size_t ElementBytes(NpyType type);

/// NumPy's name of the type, such as "float32".
std::string_view TypeName(NpyType type);

/// An array in C order, as numpy.save writes it. Spec: numpy.lib.format, versions 1.0 and 2.0.
struct NpyArray {
  NpyType type = NpyType::kFloat32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  int64_t element_count() const;

  /// Requires: type is kFloat32.
  std::span<const float> floats() const;
  std::span<float> floats();
};

/// An array of zeros. Requires: every dimension is at least 0.
NpyArray MakeNpyArray(NpyType type, std::vector<int64_t> shape);

/// Reads a file, or ends the program with a message that names it: it must be in C order, of a type
/// above, and exactly as long as its header says.
NpyArray ReadNpy(const std::filesystem::path& path);

/// Writes a temporary file beside `path`, then renames it. Ends the program if it cannot.
void WriteNpy(const std::filesystem::path& path, const NpyArray& array);

}  // namespace coracle::reference
