// Coracle: predictions from a sealed model within a budget of secure memory.
//
//   auto model = coracle::Model::Open("model.sealed", "owner.key");
//   if (!model.ok()) return Fail(model.error());
//   auto predictor = model->Plan({.memory_bytes = 8 << 20});
//   if (!predictor.ok()) return Fail(predictor.error());
//   auto outputs = predictor->Predict({{"input", pixels}});
//
// Nothing throws. A Predictor serves one thread at a time; make one per concurrent prediction.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace coracle {

/// Why something failed: a stable code name ("tampered", "out_of_budget", ...) and one clear line.
struct Failure {
  std::string code;
  std::string message;
};

/// A value or a Failure.
template <typename T>
class [[nodiscard]] Expected {
 public:
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Expected(Failure failure)                                                // NOLINT: implicit
      : state_(std::in_place_index<1>, std::move(failure)) {}
  bool ok() const { return state_.index() == 0; }
  T& operator*() { return std::get<0>(state_); }
  T* operator->() { return &std::get<0>(state_); }
  const Failure& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Failure> state_;
};

/// A named input or output: dimensions in the model file's own order.
struct TensorInfo {
  std::string name;
  std::vector<uint32_t> shape;
};

struct PlanOptions {
  uint64_t memory_bytes = UINT64_MAX;  ///< secure memory budget: pool, workspace and chunk slots
  uint32_t threads = 1;                ///< a maximum
  uint32_t batch = 1;                  ///< inputs of one prediction; weights are opened for all
};

/// What the last prediction used.
struct Usage {
  uint64_t planned_bytes = 0;
  uint64_t pool_peak_bytes = 0;
  uint64_t decrypted_bytes = 0;
};

class Predictor {
 public:
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;
  ~Predictor();

  /// Runs once. `inputs` maps every input's name to its elements in row-major order of its shape;
  /// with a batch, those of one input after the other, as the outputs are. The results do not
  /// depend on the batch. Returns the outputs by name. Fails with "invalid_argument" or "tampered".
  Expected<std::map<std::string, std::vector<float>>> Predict(
      const std::map<std::string, std::span<const float>>& inputs);
  const Usage& usage() const;

 private:
  friend class Model;
  struct State;
  explicit Predictor(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Model {
 public:
  /// Maps the sealed file and authenticates its manifest. Fails with "tampered", "not_found", ...
  static Expected<Model> Open(const std::string& sealed_path, const std::string& key_path);
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const std::vector<TensorInfo>& inputs() const;
  const std::vector<TensorInfo>& outputs() const;
  const std::vector<std::string>& labels() const;
  /// The least budget that Plan accepts.
  uint64_t least_memory_bytes() const;
  /// Plans for a budget. Fails with "out_of_budget" before anything runs, and with "unsupported"
  /// where the network cannot take the batch. The Predictor keeps what
  /// it needs of the Model alive.
  Expected<Predictor> Plan(const PlanOptions& options) const;

 private:
  struct State;
  friend class Predictor;
  explicit Model(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace coracle
