#include "import/onnx/node_order.h"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "import/quoted.h"

namespace coracle::import {
namespace {

using Producers = std::unordered_map<std::string, int>;

/// Appends the names that a subgraph reads from outside of itself.
void CollectFreeNames(const onnx::GraphProto& graph, std::vector<std::string>& names) {
  std::unordered_set<std::string> own;
  for (const auto& input : graph.input()) own.insert(input.name());
  for (const auto& tensor : graph.initializer()) own.insert(tensor.name());
  for (const onnx::NodeProto& node : graph.node()) {
    own.insert(node.output().begin(), node.output().end());
  }
  std::vector<std::string> read;
  for (const onnx::NodeProto& node : graph.node()) {
    read.insert(read.end(), node.input().begin(), node.input().end());
    for (const onnx::AttributeProto& attribute : node.attribute()) {
      if (attribute.has_g()) CollectFreeNames(attribute.g(), read);
    }
  }
  for (const auto& output : graph.output()) read.push_back(output.name());
  for (std::string& name : read) {
    if (!name.empty() && own.count(name) == 0) names.push_back(std::move(name));
  }
}

std::vector<std::string> NamesRead(const onnx::NodeProto& node) {
  std::vector<std::string> names;
  for (const std::string& name : node.input()) {
    if (!name.empty()) names.push_back(name);
  }
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.has_g()) CollectFreeNames(attribute.g(), names);
  }
  return names;
}

std::string NameOf(const onnx::NodeProto& node) {
  if (!node.name().empty() || node.output_size() == 0) return Quoted(node.name());
  return Quoted(node.output(0));
}

Result<Producers> FindProducers(const onnx::GraphProto& graph, const NamePredicate& is_own) {
  Producers producers;
  for (int i = 0; i < graph.node_size(); ++i) {
    for (const std::string& name : graph.node(i).output()) {
      if (name.empty()) continue;
      if (!producers.emplace(name, i).second || is_own(name)) {
        return Error{Code::kMalformed, fmt::format("two definitions of {}", Quoted(name))};
      }
    }
  }
  return producers;
}

enum class Mark : uint8_t { kNew, kOpen, kDone };

/// Depth first from the outputs, with a stack of our own: chains are as long as the file says.
class Walk {
 public:
  Walk(const onnx::GraphProto& graph, const Producers& producers)
      : graph_(graph),
        producers_(producers),
        marks_(static_cast<size_t>(graph.node_size()), Mark::kNew) {}

  Status From(const std::string& name) {
    TRY(Push(name));
    while (!stack_.empty()) {
      Frame& top = stack_.back();
      if (top.next < top.reads.size()) {
        const std::string read = std::move(top.reads[top.next++]);
        TRY(Push(read));
        continue;
      }
      marks_[static_cast<size_t>(top.node)] = Mark::kDone;
      order_.push_back(top.node);
      stack_.pop_back();
    }
    return {};
  }

  std::vector<int> TakeOrder() { return std::move(order_); }

 private:
  struct Frame {
    int node;
    std::vector<std::string> reads;
    size_t next = 0;
  };

  Status Push(const std::string& name) {
    const auto producer = producers_.find(name);
    if (producer == producers_.end()) return {};
    Mark& mark = marks_[static_cast<size_t>(producer->second)];
    const onnx::NodeProto& node = graph_.node(producer->second);
    if (mark == Mark::kOpen) {
      return Error{Code::kMalformed,
                   fmt::format("node {} depends on its own output", NameOf(node))};
    }
    if (mark == Mark::kDone) return {};
    mark = Mark::kOpen;
    stack_.push_back({producer->second, NamesRead(node)});
    return {};
  }

  const onnx::GraphProto& graph_;
  const Producers& producers_;
  std::vector<Mark> marks_;
  std::vector<Frame> stack_;
  std::vector<int> order_;
};

}  // namespace

Result<std::vector<int>> OrderNodes(const onnx::GraphProto& graph, const NamePredicate& is_own,
                                    const NamePredicate& is_known) {
  TRY_ASSIGN(const Producers producers, FindProducers(graph, is_own));
  for (const onnx::NodeProto& node : graph.node()) {
    for (const std::string& name : NamesRead(node)) {
      if (producers.count(name) == 0 && !is_known(name)) {
        return Error{Code::kMalformed, fmt::format("node {} reads {}, which nothing defines",
                                                   NameOf(node), Quoted(name))};
      }
    }
  }
  Walk walk(graph, producers);
  for (const auto& output : graph.output()) {
    if (producers.count(output.name()) == 0 && !is_known(output.name())) {
      return Error{Code::kMalformed,
                   fmt::format("nothing defines output {}", Quoted(output.name()))};
    }
    TRY(walk.From(output.name()));
  }
  return walk.TakeOrder();
}

}  // namespace coracle::import
