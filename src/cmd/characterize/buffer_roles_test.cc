#include "cmd/characterize/buffer_roles.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

namespace coracle::cmd {
namespace {

LayerProfile Convolution(int number, uint64_t weights, uint64_t bias, uint64_t output,
                         uint64_t im2col) {
  LayerProfile layer;
  layer.name = "convolutional_" + std::to_string(number);
  layer.title = layer.name;
  layer.shape = "3x3x16 at 32x32";
  layer.kind = LayerKind::kConvolution;
  layer.weights_bytes = weights;
  layer.bias_bytes = bias;
  layer.output_bytes = output;
  layer.im2col_bytes = im2col;
  return layer;
}

LayerProfile Other(const std::string& name, uint64_t output) {
  LayerProfile layer;
  layer.name = layer.title = name;
  layer.kind = name.starts_with("maxpool") ? LayerKind::kPooling : LayerKind::kOther;
  layer.output_bytes = output;
  return layer;
}

LayerProfile Connected(const std::string& name, uint64_t weights, uint64_t outputs_bytes) {
  LayerProfile layer;
  layer.name = layer.title = name;
  layer.kind = LayerKind::kConnected;
  layer.weights_bytes = weights;
  layer.bias_bytes = layer.output_bytes = outputs_bytes;
  return layer;
}

/// Two convolutions of the same sizes, so that order alone tells them apart.
ModelProfile DarknetProfile() {
  ModelProfile profile;
  profile.name = "small.cfg";
  profile.input_bytes = 12288;
  profile.layers = {Other("crop_0", 12288), Convolution(1, 36864, 256, 262144, 2359296),
                    Convolution(2, 36864, 256, 262144, 2359296), Other("maxpool_3", 65536),
                    Connected("connected_4", 2097152, 4096)};
  return profile;
}

class Allocations {
 public:
  void Add(uint64_t bytes, uint64_t read, uint64_t written) {
    const uint64_t touched = read == 0 && written == 0 ? 0 : bytes;
    objects_.push_back({{"index", objects_.size()},
                        {"allocated_at", objects_.size()},
                        {"path", {"calloc", "make_layer"}},
                        {"bytes", bytes},
                        {"touched_bytes", touched},
                        {"read_bytes", read},
                        {"written_bytes", written}});
  }
  void Read(uint64_t bytes) { Add(bytes, bytes, 0); }
  void Loaded(uint64_t bytes) { Add(bytes, bytes, bytes); }
  void Both(uint64_t bytes) { Add(bytes, 9 * bytes, 2 * bytes); }
  void Written(uint64_t bytes) { Add(bytes, 0, bytes); }
  void Untouched(uint64_t bytes) { Add(bytes, 0, 0); }
  Json Take() { return std::move(objects_); }

 private:
  Json objects_ = Json::array();
};

/// As libdarknet allocates, seen by a recorder of calloc.
Json DarknetObjects() {
  Allocations all;
  all.Both(29600);  // the network itself
  all.Both(12288);
  for (int i = 0; i < 2; ++i) {
    all.Loaded(36864);
    all.Untouched(36864);
    all.Both(262144);
    all.Written(262144);
  }
  all.Written(65536);
  all.Both(65536);
  all.Written(65536);
  all.Both(4096);
  all.Written(4096);
  all.Untouched(2097152);
  all.Untouched(4096);
  all.Loaded(2097152);
  all.Loaded(4096);
  all.Read(12288);
  all.Both(2359296);
  return all.Take();
}

std::string RoleAt(const Json& objects, size_t i) {
  if (!objects[i].contains("role")) return "";
  const std::string role = objects[i].at("role").get<std::string>();
  return objects[i].contains("layer") ? role + " of " + objects[i].at("layer").get<std::string>()
                                      : role;
}

TEST(AssignRoles, FollowsDarknetsOrder) {
  Json objects = DarknetObjects();
  const RolesFound found = AssignRoles(DarknetProfile(), 0, objects);
  const std::vector<std::string> wanted = {"",
                                           "output of crop_0",
                                           "weights of convolutional_1",
                                           "weight gradients of convolutional_1",
                                           "output of convolutional_1",
                                           "output gradient of convolutional_1",
                                           "weights of convolutional_2",
                                           "weight gradients of convolutional_2",
                                           "output of convolutional_2",
                                           "output gradient of convolutional_2",
                                           "pooling indices of maxpool_3",
                                           "output of maxpool_3",
                                           "output gradient of maxpool_3",
                                           "output of connected_4",
                                           "output gradient of connected_4",
                                           "weight gradients of connected_4",
                                           "bias gradients of connected_4",
                                           "weights of connected_4",
                                           "biases of connected_4",
                                           "network input",
                                           "im2col workspace of convolutional_1, 3x3x16 at 32x32"};
  ASSERT_EQ(objects.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(RoleAt(objects, i), wanted[i]) << i;
  EXPECT_EQ(found.objects, wanted.size() - 1);
  EXPECT_EQ(found.bytes_of_all - found.bytes, 29600u);
}

TEST(AssignRoles, DoesNotNeedWhatFindingsLeaveOut) {
  Json all = DarknetObjects();
  Json objects = Json::array();
  // Those with most pages come first, and those that were never touched not at all.
  for (size_t i = all.size(); i-- > 0;) {
    if (all[i].at("touched_bytes") != 0) objects.push_back(all[i]);
  }
  AssignRoles(DarknetProfile(), 0, objects);
  const std::map<size_t, std::string> whole = {
      {6, "weights of convolutional_2"},
      {8, "output of convolutional_2"},
      {17, "weights of connected_4"},
      {20, "im2col workspace of convolutional_1, 3x3x16 at 32x32"}};
  size_t at = 0;
  size_t seen = 0;
  for (const Json& object : objects) {
    const auto index = object.at("index").get<size_t>();
    const auto wanted = whole.find(index);
    if (wanted != whole.end()) {
      EXPECT_EQ(RoleAt(objects, at), wanted->second);
      ++seen;
    }
    ++at;
  }
  EXPECT_EQ(seen, whole.size());
}

TEST(AssignRoles, OtherEnginesBuffersByTheirSizes) {
  ModelProfile profile = DarknetProfile();
  for (LayerProfile& layer : profile.layers) layer.name = "/" + layer.name;
  Allocations all;
  all.Read(2097152 + 128);  // connected_4's weights, aligned
  all.Both(262144);         // the output of either convolution
  all.Both(2359296);
  all.Both(2170880 + 4096);  // all weights in one arena
  all.Both(5000000);         // the file
  all.Both(777777);
  all.Both(4096);
  Json objects = all.Take();
  AssignRoles(profile, 5000000, objects);
  EXPECT_EQ(RoleAt(objects, 0), "weights of connected_4");
  EXPECT_EQ(RoleAt(objects, 1), "output");
  EXPECT_EQ(RoleAt(objects, 2), "im2col workspace");
  EXPECT_EQ(RoleAt(objects, 3), "weights of all layers");
  EXPECT_EQ(RoleAt(objects, 4), "model file");
  EXPECT_EQ(RoleAt(objects, 5), "");
  EXPECT_EQ(RoleAt(objects, 6), "");
}

}  // namespace
}  // namespace coracle::cmd
