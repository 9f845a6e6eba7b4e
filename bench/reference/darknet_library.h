#pragma once

#include <darknet.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace coracle::reference {

inline constexpr char kDarknetLibrary[] = "/usr/lib/darknet/libdarknet.so";

/// The functions of libdarknet that are called, found with dlopen. Their contracts are in Darknet's
/// source; they print to standard error and exit on an error.
struct DarknetLibrary {
  decltype(&::load_network) load_network = nullptr;
  decltype(&::network_predict) network_predict = nullptr;
  decltype(&::set_batch_network) set_batch_network = nullptr;
  decltype(&::save_weights) save_weights = nullptr;
  void (*activate_array)(float* values, int count, ACTIVATION activation) = nullptr;
};

/// What the weights of a new network are before the file's take their place.
enum class RandomStart : uint8_t {
  kDarknets,  ///< random, as libdarknet makes them
  kQuick      ///< all the same: darknet_quick_start.cc. Predictions are the same to the bit
};

/// Ends the program if `path` is not libdarknet, or does not start as asked. Darknet computes on
/// one thread unless it was built with OpenMP, as Debian's was not; `thread_count` is what OpenMP
/// would take (OMP_NUM_THREADS).
DarknetLibrary LoadDarknet(const std::string& path, int thread_count,
                           RandomStart random_start = RandomStart::kDarknets);

/// Builds the network of a .cfg for inference on one image. `weights_path` is empty for a network
/// whose weights are left as Darknet makes them. The result lives to the end of the program. Ends
/// the program if a file cannot be read.
network* LoadNetwork(const DarknetLibrary& library, const std::filesystem::path& cfg_path,
                     const std::filesystem::path& weights_path);

/// The section name of a layer's type in a .cfg, such as "convolutional"; "layer" for rare ones.
std::string_view LayerTypeName(LAYER_TYPE type);

/// Whether a layer's output is an answer: softmax, region, yolo and detection.
bool IsHead(const layer& candidate);

/// N,C,H,W for a map, N,C for a vector. Batch is 1.
std::vector<int64_t> OutputShape(const layer& source);

}  // namespace coracle::reference
