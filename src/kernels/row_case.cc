#include "kernels/row_case.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/checked.h"
#include "base/index.h"
#include "fmt/format.h"
#include "graph/infer.h"
#include "kernels/packing.h"

namespace coracle::kernels {
namespace {

std::vector<float> Draw(uint64_t count, ValueRange values, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(values.low, values.high);
  std::vector<float> out(count);
  for (float& value : out) value = uniform(random);
  return out;
}

/// Rows of one of the case's images.
uint32_t RowsOfImage(const RowCase& test, const Shape& shape) {
  const graph::RowShape rows = graph::RowsOf(shape);
  return PerImage(test.graph, test.node) ? rows.rows : static_cast<uint32_t>(rows.AllRows());
}

std::span<std::byte> Workspace(const RowCase& test, std::vector<std::byte>& storage) {
  const uint64_t bytes = WorkspaceBytes(test.graph, test.node);
  storage.resize(bytes + 64);
  void* aligned = storage.data();
  size_t space = storage.size();
  std::align(64, bytes, aligned, space);
  return {static_cast<std::byte*>(aligned), bytes};
}

/// The operands and result of one image in a run.
struct PlacedImage {
  std::vector<TestTensor> inputs;
  std::vector<TestTensor> output;  // one, or none if in place
  std::vector<Rows> input_rows;
  Image image;
};

PlacedImage Place(const RowCase& test, size_t index, const RowRun& run) {
  PlacedImage placed;
  for (size_t i = 0; i < test.node.inputs.size(); ++i) {
    const Shape& shape = test.graph.shape(test.node.inputs[i]);
    const RowRange kept = InputRows(test.graph, test.node, static_cast<uint32_t>(i), run.rows);
    placed.inputs.emplace_back(graph::RowsOf(shape), RowsOfImage(test, shape), run.input, kept);
    placed.inputs.back().Fill(test.inputs[index][i]);
  }
  for (const TestTensor& input : placed.inputs) placed.input_rows.push_back(input.rows());
  const Shape& out = test.graph.shape(test.node.output);
  if (!run.in_place) {
    placed.output.emplace_back(graph::RowsOf(out), RowsOfImage(test, out), run.output, run.rows);
  }
  placed.image.output = run.in_place ? placed.input_rows[0] : placed.output[0].rows();
  return placed;
}

/// All rows of all images, dense, each image by itself.
std::vector<std::vector<float>> RunDense(const RowCase& test, const KernelSet& set) {
  const Shape& out = test.graph.shape(test.node.output);
  const RowRun run{.rows = {0, RowsOfImage(test, out)}};
  std::vector<std::byte> storage;
  const std::span<std::byte> workspace = Workspace(test, storage);
  std::vector<std::vector<float>> results;
  for (size_t i = 0; i < test.inputs.size(); ++i) {
    results.emplace_back(graph::RowsOf(out).RowElements() * run.rows.end);
    PlacedImage placed = Place(test, i, run);
    placed.image.inputs = placed.input_rows;
    placed.image.output.base = results.back().data();
    const RowArgs args{
        &test.graph, &test.node, {&placed.image, 1}, test.constants.data(), workspace};
    set.rows[Position(test.node.kind())](args, run.rows);
  }
  return results;
}

std::string CompareImage(const std::vector<float>& expected, size_t index, const Rows& out,
                         RowRange rows, float tolerance) {
  for (uint32_t y = rows.begin; y < rows.end; ++y) {
    for (uint32_t x = 0; x < out.pixels; ++x) {
      for (uint32_t c = 0; c < out.channels; ++c) {
        const size_t at = (size_t{y} * out.pixels + x) * out.channels + c;
        const float want = expected[at];
        const float got = out.Pixel(y, x)[c];
        const bool same = got == want || (std::isnan(got) && std::isnan(want));
        if (same || std::abs(got - want) <= tolerance * std::max(1.0F, std::abs(want))) continue;
        return fmt::format("image {} row {} pixel {} channel {}: {} instead of {}", index, y, x, c,
                           got, want);
      }
    }
  }
  return "";
}

std::string Describe(const RowRun& run) {
  return fmt::format("in {}/{}{} out {}/{}{} rows {}..{}{}", run.input.pixel_gap, run.input.row_gap,
                     run.input.ring ? " ring" : "", run.output.pixel_gap, run.output.row_gap,
                     run.output.ring ? " ring" : "", run.rows.begin, run.rows.end,
                     run.in_place ? " in place" : "");
}

}  // namespace

TestTensor::TestTensor(const graph::RowShape& extent, uint32_t rows, const TestLayout& layout,
                       RowRange kept)
    : kept_(layout.ring ? kept : RowRange{0, rows}) {
  rows_.rows = rows;
  rows_.pixels = extent.pixels;
  rows_.channels = extent.channels;
  rows_.pixel_stride = ptrdiff_t{extent.channels} + layout.pixel_gap;
  rows_.row_stride = rows_.pixel_stride * extent.pixels + layout.row_gap;
  rows_.ring_rows = layout.ring ? std::max(1U, kept.count()) : 0;
  const uint32_t stored = layout.ring ? rows_.ring_rows : rows;
  // Exactly up to the last pixel's last channel: a sanitizer sees any read behind it.
  const ptrdiff_t last = rows_.row_stride * (ptrdiff_t{stored} - 1) +
                         rows_.pixel_stride * (ptrdiff_t{extent.pixels} - 1) + extent.channels;
  storage_.assign(static_cast<size_t>(last), kGap);
  rows_.base = storage_.data();
}

void TestTensor::Fill(const std::vector<float>& dense) {
  const size_t row = size_t{rows_.pixels} * rows_.channels;
  for (uint32_t y = kept_.begin; y < kept_.end; ++y) {
    for (uint32_t x = 0; x < rows_.pixels; ++x) {
      std::copy_n(dense.data() + y * row + size_t{x} * rows_.channels, rows_.channels,
                  rows_.Pixel(y, x));
    }
  }
}

bool TestTensor::GapsUntouched() const {
  std::vector<bool> used(storage_.size());
  for (uint32_t y = kept_.begin; y < kept_.end; ++y) {
    for (uint32_t x = 0; x < rows_.pixels; ++x) {
      const auto first = static_cast<size_t>(rows_.Pixel(y, x) - rows_.Row(0));
      for (uint32_t c = 0; c < rows_.channels; ++c) used[first + c] = true;
    }
  }
  for (size_t i = 0; i < storage_.size(); ++i) {
    if (!used[i] && storage_[i] != kGap) return false;
  }
  return true;
}

graph::Node NodeOf(graph::Attributes attrs, graph::Activation activation) {
  graph::Node node;
  node.attrs = std::move(attrs);
  node.activation = activation;
  return node;
}

uint32_t RowCase::ImageRows(graph::TensorIndex tensor) const {
  return RowsOfImage(*this, graph.shape(tensor));
}

RowCase MakeRowCase(graph::Node node, const std::vector<Shape>& inputs, std::mt19937& random,
                    ValueRange values, const Shape& declared) {
  RowCase test;
  test.graph.stage = graph::Stage::kRows;
  node.name = "node";
  for (const Shape& shape : inputs) node.inputs.push_back(test.graph.AddTensor("in", shape));
  Result<Shape> out = graph::InferShape(node, inputs, graph::Stage::kRows, declared);
  if (!out.ok()) fmt::print("{}\n", out.error().message);
  node.output = test.graph.AddTensor("out", out.value());
  test.node = node;
  test.graph.AddNode(node);

  const uint64_t constant_floats = ConstantBlockBytes(test.graph, test.node) / sizeof(float);
  test.constants = Draw(RoundUp(constant_floats, 16), values, random);
  const uint32_t images =
      PerImage(test.graph, test.node) ? graph::RowsOf(inputs[0]).images : 2;  // 2: a convoy
  for (uint32_t i = 0; i < images; ++i) {
    test.inputs.emplace_back();
    for (const Shape& shape : inputs) {
      const uint64_t floats = graph::RowsOf(shape).RowElements() * RowsOfImage(test, shape);
      test.inputs.back().push_back(Draw(floats, values, random));
    }
  }
  std::vector<std::byte> workspace;
  test.expected = RunDense(test, ReferenceKernels());
  return test;
}

std::string CompareRun(const RowCase& test, const KernelSet& set, const RowRun& run,
                       const std::vector<std::vector<float>>& expected, float tolerance) {
  std::vector<PlacedImage> placed;
  for (size_t i = 0; i < test.inputs.size(); ++i) placed.push_back(Place(test, i, run));
  std::vector<Image> images;
  for (PlacedImage& one : placed) {
    one.image.inputs = one.input_rows;
    images.push_back(one.image);
  }
  std::vector<std::byte> storage;
  const RowArgs args{&test.graph, &test.node, images, test.constants.data(),
                     Workspace(test, storage)};
  set.rows[Position(test.node.kind())](args, run.rows);
  for (size_t i = 0; i < placed.size(); ++i) {
    std::string wrong = CompareImage(expected[i], i, images[i].output, run.rows, tolerance);
    for (const TestTensor& tensor : placed[i].inputs) {
      if (!tensor.GapsUntouched()) wrong += " an input's gap changed";
    }
    for (const TestTensor& tensor : placed[i].output) {
      if (!tensor.GapsUntouched()) wrong += " the output's gap changed";
    }
    if (!wrong.empty()) return fmt::format("{} {}: {}", set.name, Describe(run), wrong);
  }
  return "";
}

std::string CompareAll(const RowCase& test, std::mt19937& random, float tolerance) {
  const uint32_t rows = test.ImageRows(test.node.output);
  const auto draw = [&random](uint32_t low, uint32_t high) {
    return std::uniform_int_distribution<uint32_t>(low, high)(random);
  };
  std::vector<RowRun> runs{{.rows = {0, rows}}};
  for (int i = 0; i < 3; ++i) {
    const uint32_t begin = draw(0, rows - 1);
    runs.push_back({.input = {draw(0, 5), draw(0, 9), draw(0, 1) == 1},
                    .output = {draw(0, 5), draw(0, 9), draw(0, 1) == 1},
                    .rows = {begin, draw(begin + 1, rows)}});
  }
  if (InPlaceAllowed(test.graph, test.node, 0)) {
    runs.push_back({.rows = {0, rows}, .in_place = true});
    runs.push_back({.input = {3, 2}, .rows = {0, rows}, .in_place = true});
  }
  std::vector<const KernelSet*> sets(AllSimdKernels().begin(), AllSimdKernels().end());
  sets.push_back(&ReferenceKernels());
  for (const KernelSet* set : sets) {
    std::string wrong = CompareRun(test, *set, runs[0], test.expected, tolerance);
    const std::vector<std::vector<float>> own = RunDense(test, *set);
    for (const RowRun& run : runs) {
      if (wrong.empty()) wrong = CompareRun(test, *set, run, own, 0);
    }
    if (!wrong.empty()) return wrong;
  }
  return "";
}

}  // namespace coracle::kernels
