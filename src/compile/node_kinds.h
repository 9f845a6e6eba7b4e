// Nodes that quantising treats in ways of their own.
#pragma once

#include "graph/graph.h"

namespace coracle::compile {

inline bool IsMaxPool(const graph::Node& node) {
  const auto* const pool = std::get_if<graph::Pool>(&node.attrs);
  return pool != nullptr && pool->kind == graph::PoolKind::kMax;
}

/// A Resize whose results are values of its input.
inline bool IsNearestResize(const graph::Node& node) {
  const auto* const resize = std::get_if<graph::Resize>(&node.attrs);
  return resize != nullptr && resize->mode == graph::ResizeMode::kNearest;
}

/// A sum of two tensors of the same shape.
inline bool IsAddition(const graph::Graph& graph, const graph::Node& node) {
  const auto* const binary = std::get_if<graph::Binary>(&node.attrs);
  return binary != nullptr && binary->kind == graph::BinaryKind::kAdd &&
         binary->operands == graph::Operands::kTensors &&
         graph.shape(node.inputs[0]) == graph.shape(node.inputs[1]);
}

}  // namespace coracle::compile
