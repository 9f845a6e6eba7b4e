#include "darknet_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "fail.h"

namespace coracle::reference {
namespace {

template <typename Function>
void Resolve(void* library, const std::string& path, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) Fail("{}: no function {}; not libdarknet", path, name);
}

/// Whether a line of a .cfg sets `key`, as Darknet reads it: blanks do not count.
bool SetsKey(std::string_view line, std::string_view key) {
  std::string compact;
  for (const char character : line) {
    if (character != ' ' && character != '\t') compact.push_back(character);
  }
  return compact.starts_with(std::string(key) + "=");
}

/// The text of a .cfg whose batch is 1. Darknet allocates for the batch before a caller can change
/// it: a training batch of 64 would take 64 times the memory.
std::string ReadCfgWithBatchOne(const std::filesystem::path& cfg_path) {
  std::ifstream file(cfg_path);
  if (!file) Fail("{}: cannot open", cfg_path.string());
  std::ostringstream text;
  std::string line;
  while (std::getline(file, line)) {
    const bool is_batch = SetsKey(line, "batch") || SetsKey(line, "subdivisions");
    if (!is_batch) text << line << '\n';
    if (line.starts_with("[net]") || line.starts_with("[network]")) {
      text << "batch=1\nsubdivisions=1\n";
    }
  }
  return text.str();
}

/// A file in the temporary directory that is removed at the end of the scope.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& text)
      : path_((std::filesystem::temp_directory_path() / "darknet-cfg-XXXXXX").string()) {
    const int descriptor = mkstemp(path_.data());
    if (descriptor < 0) Fail("{}: cannot make a temporary file", path_);
    close(descriptor);
    std::ofstream file(path_);
    file << text;
    file.close();
    if (!file) Fail("{}: cannot write", path_);
  }
  ~TemporaryFile() { unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  std::string& path() { return path_; }

 private:
  std::string path_;
};

/// Loads what takes the place of libdarknet's random numbers, for libraries that come after it.
void LoadQuickStart() {
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string path = program.parent_path() / "libdarknet_quick_start.so";
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    Fail("{}: cannot load: {}", path, dlerror());
  }
}

/// A library that was linked to find its own functions first would not have noticed.
void CheckQuickStart(void* library, const std::string& path) {
  // Each pixel is a normal number / 4 + 1/2.
  decltype(&::make_random_image) make_random_image = nullptr;
  decltype(&::free_image) free_image = nullptr;
  Resolve(library, path, "make_random_image", make_random_image);
  Resolve(library, path, "free_image", free_image);
  const image probe = make_random_image(1, 1, 1);
  if (probe.data[0] != 0.5F) Fail("{}: asks nobody for its random numbers; no quick start", path);
  free_image(probe);
}

}  // namespace

DarknetLibrary LoadDarknet(const std::string& path, int thread_count, RandomStart random_start) {
  // Before the library is loaded: OpenMP reads it then.
  setenv("OMP_NUM_THREADS", std::to_string(thread_count).c_str(), 1);
  if (random_start == RandomStart::kQuick) LoadQuickStart();
  void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) Fail("{}: cannot load: {}", path, dlerror());
  if (random_start == RandomStart::kQuick) CheckQuickStart(handle, path);
  DarknetLibrary library;
  Resolve(handle, path, "load_network", library.load_network);
  Resolve(handle, path, "network_predict", library.network_predict);
  Resolve(handle, path, "set_batch_network", library.set_batch_network);
  Resolve(handle, path, "save_weights", library.save_weights);
  Resolve(handle, path, "activate_array", library.activate_array);
  return library;
}

network* LoadNetwork(const DarknetLibrary& library, const std::filesystem::path& cfg_path,
                     const std::filesystem::path& weights_path) {
  // Darknet's own message for a missing file does not say which program asked.
  if (!weights_path.empty() && access(weights_path.c_str(), R_OK) != 0) {
    Fail("{}: cannot read the weights", weights_path.string());
  }
  TemporaryFile cfg(ReadCfgWithBatchOne(cfg_path));
  std::string weights = weights_path.string();
  network* const net =
      library.load_network(cfg.path().data(), weights.empty() ? nullptr : weights.data(), 0);
  library.set_batch_network(net, 1);
  return net;
}

std::string_view LayerTypeName(LAYER_TYPE type) {
  switch (type) {
    case CONVOLUTIONAL:
      return "convolutional";
    case DECONVOLUTIONAL:
      return "deconvolutional";
    case CONNECTED:
      return "connected";
    case MAXPOOL:
      return "maxpool";
    case SOFTMAX:
      return "softmax";
    case DETECTION:
      return "detection";
    case DROPOUT:
      return "dropout";
    case CROP:
      return "crop";
    case ROUTE:
      return "route";
    case COST:
      return "cost";
    case AVGPOOL:
      return "avgpool";
    case LOCAL:
      return "local";
    case SHORTCUT:
      return "shortcut";
    case ACTIVE:
      return "activation";
    case RNN:
      return "rnn";
    case GRU:
      return "gru";
    case LSTM:
      return "lstm";
    case BATCHNORM:
      return "batchnorm";
    case REGION:
      return "region";
    case YOLO:
      return "yolo";
    case REORG:
      return "reorg";
    case UPSAMPLE:
      return "upsample";
    default:
      return "layer";
  }
}

bool IsHead(const layer& candidate) {
  return candidate.type == SOFTMAX || candidate.type == REGION || candidate.type == YOLO ||
         candidate.type == DETECTION;
}

std::vector<int64_t> OutputShape(const layer& source) {
  const int64_t map_elements = int64_t{source.out_c} * source.out_h * source.out_w;
  const bool is_vector = source.type == CONNECTED || source.type == SOFTMAX;
  if (is_vector || map_elements != source.outputs) return {1, source.outputs};
  return {1, source.out_c, source.out_h, source.out_w};
}

}  // namespace coracle::reference
