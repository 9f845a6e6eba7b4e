#include "plan/storage.h"

#include "gtest/gtest.h"
#include "plan/test_networks.h"

namespace coracle::plan {
namespace {

StorageMap Share(const graph::Graph& graph, Sharing sharing = Sharing::kAll) {
  return ShareStorages(graph, LiveRangesOf(graph), sharing,
                       std::vector<uint64_t>(graph.nodes.size()));
}

const View& ViewOf(const StorageMap& map, graph::TensorIndex tensor) {
  return map.views[Position(tensor)];
}

TEST(Storage, NestedConcatsShareTheLargest) {
  NetworkBuilder net;
  const auto a = net.Conv(net.Input({1, 8, 8, 3}), 16, 3);
  const auto b = net.Conv(a, 32, 3);
  const auto ab = net.Concat({a, b}, 3);
  const auto c = net.Conv(ab, 8, 3);
  const auto abc = net.Concat({ab, c}, 3);
  net.Output(net.Conv(abc, 4, 1));
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  for (const auto tensor : {a, b, ab, c}) {
    EXPECT_EQ(ViewOf(map, tensor).storage, ViewOf(map, abc).storage);
    EXPECT_EQ(ViewOf(map, tensor).pitch, 56U * 4);
  }
  EXPECT_EQ(ViewOf(map, ab).offset, 0U);
  EXPECT_EQ(ViewOf(map, b).offset, 16U * 4);
  EXPECT_EQ(ViewOf(map, c).offset, 48U * 4);
  const Storage& storage = map.storages[Position(ViewOf(map, abc).storage)];
  EXPECT_EQ(storage.bytes, 64U * 56 * 4);
  EXPECT_EQ(storage.first, 0U);
  EXPECT_EQ(storage.last, 5U);
}

TEST(Storage, ConcatThatCannotBeSharedIsCopied) {
  NetworkBuilder net;
  const auto in = net.Input({1, 8, 8, 4});
  const auto a = net.Conv(in, 4, 3);
  const auto b = net.Conv(in, 4, 3);
  const auto ab = net.Concat({a, b}, 3);
  const auto ba = net.Concat({b, a}, 3);
  const auto with_input = net.Concat({in, net.Conv(in, 4, 3)}, 3);
  const auto twice = net.Conv(ba, 4, 3);
  const auto doubled = net.Concat({twice, twice}, 3);
  for (const auto out : {ab, with_input, doubled}) net.Output(out);
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  EXPECT_TRUE(map.elided[2]);
  EXPECT_FALSE(map.elided[3]);
  EXPECT_FALSE(map.elided[5]);
  EXPECT_FALSE(map.elided[7]);
}

TEST(Storage, SliceIsAWindowOfItsSource) {
  NetworkBuilder net;
  const auto a = net.Conv(net.Input({1, 8, 8, 4}), 32, 3);
  const auto channels = net.Slice(a, 3, 16, 16);
  const auto rows = net.Slice(a, 1, 2, 3);
  const auto columns = net.Slice(a, 2, 2, 3);
  for (const auto out : {channels, rows, columns}) net.Output(out);
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  EXPECT_EQ(ViewOf(map, channels).offset, 64U);
  EXPECT_EQ(ViewOf(map, channels).pitch, 128U);
  EXPECT_EQ(ViewOf(map, rows).offset, 2U * 8 * 128);
  EXPECT_TRUE(map.elided[1] && map.elided[2]);
  EXPECT_FALSE(map.elided[3]);  // neither outermost nor channels
}

TEST(Storage, InPlaceOnlyOverADyingOperandThatNobodyShares) {
  NetworkBuilder net;
  const auto a = net.Conv(net.Input({1, 8, 8, 4}), 32, 3);
  const auto slice = net.Slice(a, 3, 0, 16);
  const auto over_shared = net.Relu(a);  // the slice is read later
  const auto b = net.Conv(slice, 32, 3);
  const auto over_residual = net.ConvAdd(b, over_shared, 32, 3);
  const auto over_dying = net.Relu(over_residual);
  net.Output(over_dying);
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  EXPECT_NE(ViewOf(map, over_shared).storage, ViewOf(map, a).storage);
  EXPECT_EQ(ViewOf(map, over_residual).storage, ViewOf(map, over_shared).storage);
  EXPECT_EQ(ViewOf(map, over_dying).storage, ViewOf(map, over_residual).storage);
}

TEST(Storage, OutputsAreNotReplaced) {
  NetworkBuilder net;
  const auto a = net.Conv(net.Input({1, 8, 8, 4}), 32, 3);
  const auto relu = net.Relu(a);
  net.Output(a);
  net.Output(relu);
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  EXPECT_NE(ViewOf(map, a).storage, ViewOf(map, relu).storage);
}

TEST(Storage, ReshapedHeadsMeetInOneResult) {
  NetworkBuilder net;
  const auto in = net.Input({1, 8, 8, 4});
  const auto a = net.Reshape(net.Conv(in, 12, 1), {1, 192, 4});
  const auto b = net.Reshape(net.Conv(net.Pool(in, 2, 2), 12, 1), {1, 48, 4});
  const auto all = net.Concat({a, b}, 1);
  net.Output(all);
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  EXPECT_EQ(ViewOf(map, a).storage, ViewOf(map, all).storage);
  EXPECT_EQ(ViewOf(map, b).offset, 192U * 4 * 4);
  EXPECT_EQ(ViewOf(map, graph.nodes[0].output).pitch, 12U * 4);
}

TEST(Storage, BytesLieWhereverTheyBegin) {
  NetworkBuilder net;
  const auto in = net.Input({1, 8, 8, 4});
  const auto a = net.Quantize(net.Conv(in, 5, 1));
  const auto b = net.Quantize(net.Conv(in, 2, 1));
  const auto ab = net.Concat({a, b}, 3);
  const auto cut = net.Slice(ab, 3, 3, 3);
  net.Output(net.Dequantize(cut));
  net.Output(net.Dequantize(ab));
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  EXPECT_EQ(ViewOf(map, ab).pitch, 7U);
  EXPECT_EQ(ViewOf(map, b).offset, 5U);
  EXPECT_EQ(ViewOf(map, cut).offset, 3U);
  EXPECT_EQ(ViewOf(map, cut).storage, ViewOf(map, a).storage);
  EXPECT_EQ(map.storages[Position(ViewOf(map, ab).storage)].used_bytes, 7U * 64);
}

TEST(Storage, NothingIsReplacedByAnotherType) {
  NetworkBuilder net;
  const auto a = net.Conv(net.Input({1, 8, 8, 4}), 8, 1);
  const auto quantized = net.Quantize(a);
  const auto other = net.Quantize(net.Conv(a, 8, 1));
  const auto sum = net.QuantizedAdd(quantized, other);
  const auto back = net.Dequantize(sum);
  net.Output(net.Relu(back));
  const graph::Graph graph = net.Finish();
  const StorageMap map = Share(graph);
  EXPECT_NE(ViewOf(map, quantized).storage, ViewOf(map, a).storage);
  EXPECT_EQ(ViewOf(map, sum).storage, ViewOf(map, quantized).storage);
  EXPECT_NE(ViewOf(map, back).storage, ViewOf(map, sum).storage);
}

TEST(Storage, SelectiveDeclinesWhatRaisesThePeak) {
  NetworkBuilder net;
  const auto skip = net.Conv(net.Input({1, 16, 16, 4}), 8, 3);
  auto deep = net.Conv(skip, 64, 3);
  deep = net.Conv(deep, 64, 3);  // the peak: the result of the Concat must not exist yet
  const auto wide = net.Conv(deep, 16, 1);
  net.Output(net.Conv(net.Concat({skip, wide}, 3), 4, 1));
  const graph::Graph graph = net.Finish();
  EXPECT_EQ(Share(graph, Sharing::kSelective).declined_count, 1U);
  EXPECT_TRUE(Share(graph).elided[4]);
  EXPECT_FALSE(Share(graph, Sharing::kSelective).elided[4]);
}

}  // namespace
}  // namespace coracle::plan
