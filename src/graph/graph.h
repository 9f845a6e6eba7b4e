// Graph: a network as a list of nodes in topological order over tensors of fixed shape.
//
// Owner side, a graph is imported in Stage::kLogical, rewritten by passes/, lowered to Stage::kRows
// and given its chunks; only then is it sealed. Inside of the TEE graphs are always kRows, decoded
// from an authenticated manifest and verified (verify.h) before use: a valid tag does not make them
// trusted.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/index.h"
#include "graph/activation.h"
#include "graph/chunk.h"
#include "graph/constant.h"
#include "graph/op.h"
#include "graph/quantization.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace coracle::graph {

enum class TensorIndex : uint32_t {};
enum class NodeIndex : uint32_t {};

enum class Stage : uint8_t {
  kLogical = 0,  ///< axes as the model's file has them (N,C,H,W)
  kRows = 1,     ///< channels last (N,H,W,C); what kernels, planner and runtime take
};

/// An activation tensor.
struct Tensor {
  std::string name;
  DType dtype = DType::kFloat32;
  Shape shape;
  bool operator==(const Tensor&) const = default;
};

/// When the residual (the node's last input, same shape as the output) is added at store.
enum class Residual : uint8_t {
  kNone = 0,
  kBeforeActivation = 1,  ///< activation(op + residual)
  kAfterActivation = 2,   ///< activation(op) + residual
};

struct Node {
  std::string name;
  Attributes attrs;
  /// Activation operands, in order; the residual (or the range of a quantised operand) last if
  /// there is one.
  std::vector<TensorIndex> inputs;
  TensorIndex output{};
  Activation activation;
  /// Conv, ConvTranspose, Dense only.
  Residual residual = Residual::kNone;
  /// Owner side, until packed: null for nodes without constants, and always null inside of the TEE.
  std::shared_ptr<const WeightSource> source;
  /// Conv, ConvTranspose, Dense; else kFloat32.
  WeightType weight_type = WeightType::kFloat32;
  /// WeightType::kDot8; else as it is.
  IntegerSums integer;
  /// kRows, once packed: empty for nodes without constants.
  WeightLayout weights;

  OpKind kind() const { return static_cast<OpKind>(attrs.index()); }
};

/// A graph input or output as the user sees it: `shape` in the model file's axis order, of which
/// physical axis i is axis perm[i] (identity in kLogical). Element order for users is always
/// `shape`'s.
struct Port {
  std::string name;
  TensorIndex tensor{};
  Shape shape;
  std::vector<uint32_t> perm;
  bool operator==(const Port&) const = default;
};

struct Graph {
  Stage stage = Stage::kLogical;
  std::vector<Tensor> tensors;
  std::vector<Node> nodes;  ///< topological order
  std::vector<Port> inputs;
  std::vector<Port> outputs;

  const Tensor& tensor(TensorIndex index) const { return tensors.at(Position(index)); }
  Tensor& tensor(TensorIndex index) { return tensors.at(Position(index)); }
  const Node& node(NodeIndex index) const { return nodes.at(Position(index)); }
  Node& node(NodeIndex index) { return nodes.at(Position(index)); }
  const Shape& shape(TensorIndex index) const { return tensor(index).shape; }

  /// Appends a tensor and returns its index.
  TensorIndex AddTensor(std::string name, Shape shape, DType dtype = DType::kFloat32);
  /// Appends a node and returns its index. Requires: its inputs exist and precede it.
  NodeIndex AddNode(Node node);
};

/// True for a Conv that the depthwise kernel takes: groups == in_channels == out_channels.
bool IsDepthwise(const Graph& graph, const Node& node);

/// K: the products in each sum of a Conv or Dense.
uint64_t SumTerms(const Graph& graph, const Node& node);

/// True for a Conv that Winograd's algorithms can compute, whatever its algorithm is: 3x3, stride
/// 1, dilation 1, no groups, a multiple of kWinogradInputChannels inputs, no integer sums.
/// Requires: kRows.
bool AllowsWinograd(const Graph& graph, const Node& node);

/// A tensor seen as rows (kRows): rank 4 N,H,W,C: `images` N, rows H, pixels W; rank 3 N,T,C: rows
/// T, pixels 1; rank 2 R,C: images 1, rows R, pixels 1; rank 1: one row; rank 5 and more N,A,...,C:
/// rows A, pixels the product of the axes between. rows counts one image's; the rows of all images
/// follow one another.
struct RowShape {
  uint32_t images = 1;
  uint32_t rows = 1;
  uint32_t pixels = 1;
  uint32_t channels = 1;
  uint64_t RowElements() const { return uint64_t{pixels} * channels; }
  uint64_t AllRows() const { return uint64_t{images} * rows; }
};
RowShape RowsOf(const Shape& shape);

}  // namespace coracle::graph
