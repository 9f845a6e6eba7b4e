// libdarknet_quick_start.so: takes the place of libdarknet's random numbers, which it asks for by
// their public names, when it is loaded first and for all (RTLD_GLOBAL).
//
// Darknet gives each weight of a new network a normal random number (a logarithm, a root, a cosine
// and two calls of rand), and then reads the weights file over them. Under a tracer that takes some
// microseconds a weight, many times the prediction. Each weight is still written, once.
extern "C" {

__attribute__((visibility("default"))) float rand_normal() { return 0.0F; }

__attribute__((visibility("default"))) float rand_uniform(float least, float /*most*/) {
  return least;
}

}  // extern "C"
