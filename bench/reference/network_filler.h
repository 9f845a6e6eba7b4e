#pragma once

#include <cstdint>
#include <vector>

#include "darknet_library.h"

namespace coracle::reference {

/// The logits of one softmax, region or yolo layer, as they came out for the synthetic image.
struct HeadLogits {
  int head_index = 0;
  double deviation = 0;
};

/// Gives every weight, bias and batch-norm value of the network a sane random value: weights are
/// He-initialised (He et al., Delving Deep into Rectifiers, ICCV 2015), then each layer is rescaled
/// by what it computes on a synthetic image (as in Mishkin and Matas, All You Need Is a Good Init,
/// ICLR 2016), so that activations keep a standard deviation near 1 at any depth. The same seed
/// gives the same values. Ends the program if a layer has weights and is neither convolutional nor
/// connected nor (plainly) recurrent.
std::vector<HeadLogits> FillNetwork(const DarknetLibrary& library, network& net, uint64_t seed);

}  // namespace coracle::reference
