#include "kernels/index_map.h"
#include "kernels/reference/reference.h"

namespace coracle::kernels::reference {

void Move(const RowArgs& args, RowRange rows) {
  const graph::Graph& graph = *args.graph;
  const graph::Node& node = *args.node;
  const Shape& shape = graph.shape(node.output);
  const auto* pad = std::get_if<graph::Pad>(&node.attrs);
  for (const Image& image : args.images) {
    const uint64_t row = uint64_t{image.output.pixels} * image.output.channels;
    for (uint64_t e = rows.begin * row; e < rows.end * row; ++e) {
      const ElementSource source = SourceOf(graph, node, IndexOf(shape, e));
      const Shape& in = graph.shape(node.inputs[source.operand]);
      *ElementAt(image.output, e) =
          source.inside ? *ElementAt(image.inputs[source.operand], ElementOf(in, source.index))
                        : pad->value;
    }
  }
}

}  // namespace coracle::kernels::reference
