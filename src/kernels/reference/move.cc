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
      std::byte* const out = BytesOfElement(image.output, e);
      const uint32_t bytes = image.output.element_bytes;
      if (source.inside) {
        const Rows& from = image.inputs[source.operand];
        std::memcpy(out, BytesOfElement(from, ElementOf(in, source.index)), bytes);
      } else if (bytes == 1) {
        *out = static_cast<std::byte>(PadByte(*pad));
      } else {
        std::memcpy(out, &pad->value, bytes);
      }
    }
  }
}

}  // namespace coracle::kernels::reference
