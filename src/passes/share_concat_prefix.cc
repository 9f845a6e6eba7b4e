#include <algorithm>
#include <map>
#include <vector>

#include "passes/passes.h"
#include "passes/rewriter.h"

namespace coracle::passes {

using graph::Node;
using graph::NodeIndex;
using graph::TensorIndex;

size_t ShareConcatPrefix(graph::Graph& graph) {
  Rewriter rewriter(graph);
  // Operands that two or more earlier tensors make together, as the original graph has them.
  struct Known {
    uint32_t axis;
    std::vector<TensorIndex> parts;
    TensorIndex whole;
  };
  std::map<TensorIndex, std::vector<Known>> by_first;
  rewriter.ForEach([&](NodeIndex index) {
    const Node& node = graph.node(index);
    if (node.kind() != graph::OpKind::kConcat || node.inputs.size() < 2) return;
    const uint32_t axis = std::get<graph::Concat>(node.attrs).axis;
    std::vector<Known>& candidates = by_first[node.inputs[0]];
    const Known original{axis, node.inputs, node.output};
    const Known* longest = nullptr;
    for (const Known& known : candidates) {
      const bool prefix = known.axis == axis && known.parts.size() < node.inputs.size() &&
                          std::equal(known.parts.begin(), known.parts.end(), node.inputs.begin());
      if (prefix && (longest == nullptr || known.parts.size() > longest->parts.size())) {
        longest = &known;
      }
    }
    if (longest != nullptr) {
      Node shared = node;
      shared.inputs.assign(1, longest->whole);
      shared.inputs.insert(shared.inputs.end(),
                           node.inputs.begin() + static_cast<ptrdiff_t>(longest->parts.size()),
                           node.inputs.end());
      rewriter.SetNode(index, std::move(shared));
    }
    candidates.push_back(original);
  });
  return rewriter.Finish();
}

}  // namespace coracle::passes
