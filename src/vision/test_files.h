// What the tests of this folder share: a scratch folder, and outputs held in memory.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vision/decode.h"

namespace coracle::vision {

/// A folder that is removed with what is in it.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "coracle-vision-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string At(std::string_view name) const { return (path_ / name).string(); }
  std::string Write(std::string_view name, std::string_view bytes) const {
    std::ofstream(At(name), std::ios::binary) << bytes;
    return At(name);
  }
  size_t FileCount() const {
    const std::filesystem::directory_iterator files(path_);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }

 private:
  std::filesystem::path path_;
};

inline std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class MemoryOutput : public OutputView {
 public:
  MemoryOutput(std::string name, const Shape& shape, std::vector<float> values)
      : name_(std::move(name)), shape_(shape), values_(std::move(values)) {
    values_.resize(shape.Elements());
  }
  std::string_view name() const override { return name_; }
  const Shape& shape() const override { return shape_; }
  void Read(uint64_t first, std::span<float> values) const override {
    ASSERT_LE(first + values.size(), values_.size());
    std::copy_n(values_.begin() + static_cast<ptrdiff_t>(first), values.size(), values.begin());
  }
  std::vector<float>& values() { return values_; }

 private:
  std::string name_;
  Shape shape_;
  std::vector<float> values_;
};

}  // namespace coracle::vision
