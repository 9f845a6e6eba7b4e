#include <optional>
#include <string>
#include <utility>

#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {
namespace {

using graph::Attention;
using graph::AttentionMask;
using graph::Graph;
using graph::MatMul;
using graph::Node;
using graph::NodeIndex;
using graph::OpKind;
using graph::TensorIndex;
using graph::TransposeB;

/// softmax(scale q k' + mask) v, and where its operands come from.
struct Match {
  Attention attrs;
  TensorIndex q{}, k{}, v{};
  bool keys_as_columns = false;  // k is [..., D, T]
  Shape mask;                    // rank 0: none
  TensorIndex mask_tensor{};     // AttentionMask::kTensor
  std::shared_ptr<const graph::WeightSource> source;
};

/// A shape of rank 2 to 4 as [N, heads, rows, columns].
std::optional<Shape> WithHeads(const Shape& shape) {
  if (shape.rank() < 2 || shape.rank() > 4) return std::nullopt;
  Shape full;
  for (uint32_t i = shape.rank(); i < 4; ++i) full.Append(1);
  for (uint32_t dim : shape.dims()) full.Append(dim);
  return full;
}

const MatMul* ProductOf(const Node* node) {
  if (node == nullptr || node->activation.kind != graph::ActivationKind::kNone) return nullptr;
  return std::get_if<MatMul>(&node->attrs);
}

/// Takes the mask off `node`, if it is one that adds; returns what is masked.
const Node* TakeMask(const Rewriter& rewriter, const Node* node, Match& match) {
  const auto* add = node == nullptr ? nullptr : std::get_if<graph::Binary>(&node->attrs);
  if (add == nullptr) return node;
  if (add->kind != graph::BinaryKind::kAdd ||
      node->activation.kind != graph::ActivationKind::kNone) {
    return nullptr;
  }
  if (add->operands != graph::Operands::kTensors) {
    const auto full = WithHeads(add->constant_shape);
    if (!full) return nullptr;
    match.attrs.mask = AttentionMask::kConstant;
    match.mask = *full;
    match.source = node->source;
    return rewriter.SoleProducer(node->inputs[0]);
  }
  for (size_t scores = 0; scores < 2; ++scores) {
    const Node* product = rewriter.SoleProducer(node->inputs[scores]);
    const TensorIndex mask = node->inputs[1 - scores];
    const auto full = WithHeads(rewriter.graph().shape(mask));
    if (ProductOf(product) == nullptr || !full) continue;
    if (rewriter.graph().shape(product->output) != rewriter.graph().shape(node->output)) continue;
    match.attrs.mask = AttentionMask::kTensor;
    match.mask = *full;
    match.mask_tensor = mask;
    return product;
  }
  return nullptr;
}

/// What the operator asks of its mask, beside broadcasting.
bool MaskIsTaken(const Match& match, const Shape& scores) {
  if (match.attrs.mask == AttentionMask::kNone) return true;
  const uint32_t images = match.attrs.mask == AttentionMask::kTensor ? scores[0] : 1;
  return match.mask[0] == images && match.mask[3] == scores[3];
}

std::optional<Match> MatchAttention(const Rewriter& rewriter, const Node& node) {
  const Graph& graph = rewriter.graph();
  const MatMul* sum = ProductOf(&node);
  if (sum == nullptr || sum->scale != 1 || sum->transpose_b == TransposeB::kYes) {
    return std::nullopt;
  }
  const Node* softmax = rewriter.SoleProducer(node.inputs[0]);
  const auto* over = softmax == nullptr ? nullptr : std::get_if<graph::Softmax>(&softmax->attrs);
  if (over == nullptr || over->axis + 1 != graph.shape(softmax->output).rank()) {
    return std::nullopt;
  }
  Match match;
  const Node* scores = TakeMask(rewriter, rewriter.SoleProducer(softmax->inputs[0]), match);
  const MatMul* product = ProductOf(scores);
  if (product == nullptr || graph.shape(scores->output) != graph.shape(softmax->output)) {
    return std::nullopt;
  }
  match.attrs.scale = product->scale;
  match.keys_as_columns = product->transpose_b == TransposeB::kNo;
  match.q = scores->inputs[0];
  match.k = scores->inputs[1];
  match.v = node.inputs[1];
  const Shape& q = graph.shape(match.q);
  const Shape& k = graph.shape(match.k);
  const Shape& v = graph.shape(match.v);
  const auto full = WithHeads(graph.shape(scores->output));
  if (!full || q.rank() != k.rank() || q.rank() != v.rank()) return std::nullopt;
  for (uint32_t axis = 0; axis + 2 < q.rank(); ++axis) {
    if (q[axis] != k[axis] || q[axis] != v[axis]) return std::nullopt;
  }
  if (!MaskIsTaken(match, *full)) return std::nullopt;
  if (match.attrs.mask == AttentionMask::kConstant) match.attrs.mask_shape = match.mask;
  return match;
}

/// The graph's nodes anew, each match's last node replaced by several.
class Rebuilder {
 public:
  explicit Rebuilder(Graph& graph) : graph_(graph) {}

  void Keep(Node node) { nodes_.push_back(std::move(node)); }

  void Replace(const Node& node, const Match& match) {
    const Shape out = graph_.shape(node.output);
    TensorIndex k = match.k;
    if (match.keys_as_columns) k = Turned(node.name + ".keys", k);
    Node attention =
        NodeLike(node, match.attrs, {WithRank4(match.q), WithRank4(k), WithRank4(match.v)});
    if (match.attrs.mask == AttentionMask::kTensor) {
      attention.inputs.push_back(WithRank4(match.mask_tensor));
    }
    if (match.source != nullptr) {
      auto source = std::make_shared<graph::WeightSource>(*match.source);
      auto mask = std::make_shared<graph::Constant>(*source->weight);
      mask->shape = match.mask;
      source->weight = std::move(mask);
      attention.source = std::move(source);
    }
    const TensorIndex result = attention.output;
    if (out.rank() < 4) attention.output = graph_.AddTensor(node.name + ".heads", *WithHeads(out));
    const TensorIndex heads = attention.output;
    nodes_.push_back(std::move(attention));
    if (heads != result) nodes_.push_back(Plain(node.name + ".shape", heads, result));
  }

  void Finish() { graph_.nodes = std::move(nodes_); }

 private:
  static Node Plain(const std::string& name, TensorIndex input, TensorIndex output) {
    Node node;
    node.name = name;
    node.attrs = graph::Reshape{};
    node.inputs = {input};
    node.output = output;
    return node;
  }

  TensorIndex WithRank4(TensorIndex tensor) {
    const Shape full = *WithHeads(graph_.shape(tensor));
    if (full == graph_.shape(tensor)) return tensor;
    const std::string name = graph_.tensor(tensor).name + ".heads";
    const TensorIndex result = graph_.AddTensor(name, full);
    nodes_.push_back(Plain(name, tensor, result));
    return result;
  }

  TensorIndex Turned(const std::string& name, TensorIndex tensor) {
    Shape shape = graph_.shape(tensor);
    const uint32_t rank = shape.rank();
    std::vector<uint32_t> perm(rank);
    for (uint32_t axis = 0; axis < rank; ++axis) perm[axis] = axis;
    std::swap(perm[rank - 1], perm[rank - 2]);
    const uint32_t columns = shape[rank - 1];
    shape.Set(rank - 1, shape[rank - 2]);
    shape.Set(rank - 2, columns);
    Node node = Plain(name, tensor, graph_.AddTensor(name, shape));
    node.attrs = graph::Transpose{std::move(perm)};
    nodes_.push_back(node);
    return node.output;
  }

  Graph& graph_;
  std::vector<Node> nodes_;
};

}  // namespace

size_t FuseAttention(Graph& graph) {
  if (graph.stage != graph::Stage::kLogical) return 0;
  std::vector<std::optional<Match>> matches(graph.nodes.size());
  size_t rewrites = 0;
  {
    Rewriter rewriter(graph);
    rewriter.ForEach([&](NodeIndex index) {
      auto& match = matches[Position(index)];
      match = MatchAttention(rewriter, graph.node(index));
      if (match) ++rewrites;
    });
  }
  if (rewrites == 0) return 0;
  Rebuilder rebuilder(graph);
  const std::vector<Node> nodes = graph.nodes;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (matches[i]) {
      rebuilder.Replace(nodes[i], *matches[i]);
    } else {
      rebuilder.Keep(nodes[i]);
    }
  }
  rebuilder.Finish();
  Rewriter(graph).Finish();  // drops what only the matches read
  return rewrites;
}

}  // namespace coracle::passes
