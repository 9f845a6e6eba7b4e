// A prediction from a sealed model in a budget, on an all-zero input.
// Usage: predict_example MODEL.sealed OWNER.key MEMORY_MIB
#include <coracle/coracle.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  auto model = coracle::Model::Open(argv[1], argv[2]);
  if (!model.ok()) return std::fprintf(stderr, "%s\n", model.error().message.c_str()), 1;
  auto predictor = model->Plan({.memory_bytes = std::strtoull(argv[3], nullptr, 10) << 20});
  if (!predictor.ok()) return std::fprintf(stderr, "%s\n", predictor.error().message.c_str()), 1;

  size_t elements = 1;
  for (const uint32_t dim : model->inputs()[0].shape) elements *= dim;
  const std::vector<float> pixels(elements);
  auto outputs = predictor->Predict({{model->inputs()[0].name, pixels}});
  if (!outputs.ok()) return std::fprintf(stderr, "%s\n", outputs.error().message.c_str()), 1;

  for (const auto& [name, values] : *outputs)
    std::printf("%s: %zu values, first %g\n", name.c_str(), values.size(), values[0]);
  std::printf("secure memory: %llu bytes\n",
              static_cast<unsigned long long>(predictor->usage().pool_peak_bytes));
  return 0;
}
