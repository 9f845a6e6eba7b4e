#include "cmd/characterize/plan_codec.h"

#include <vector>

namespace coracle::cmd {
namespace {

/// Fields that are numbers, in the struct's order; enums by their value.
template <typename... Fields>
Json Pack(Fields... fields) {
  return Json::array({static_cast<uint64_t>(fields)...});
}

template <typename T>
T Field(const Json& json, size_t field) {
  return static_cast<T>(json.at(field).get<uint64_t>());
}

template <typename T>
Json EncodeAll(const std::vector<T>& items, Json (*encode)(const T&)) {
  Json all = Json::array();
  for (const T& item : items) all.push_back(encode(item));
  return all;
}

template <typename T>
std::vector<T> DecodeAll(const Json& json, T (*decode)(const Json&)) {
  std::vector<T> all;
  for (const Json& item : json) all.push_back(decode(item));
  return all;
}

Json EncodeRange(const plan::PoolRange& range) { return Pack(range.offset, range.bytes); }
plan::PoolRange DecodeRange(const Json& json) {
  return {Field<uint64_t>(json, 0), Field<uint64_t>(json, 1)};
}

Json EncodePlace(const plan::Placement& place) {
  return Pack(place.offset, place.row_stride_bytes, place.pixel_stride_bytes);
}
plan::Placement DecodePlace(const Json& json) {
  return {Field<uint64_t>(json, 0), Field<uint64_t>(json, 1), Field<uint64_t>(json, 2)};
}

Json EncodeTensor(const plan::TensorPlan& tensor) {
  return Json::array({static_cast<uint64_t>(tensor.home), EncodePlace(tensor.place),
                      tensor.block_rows, EncodeRange(tensor.counters)});
}
plan::TensorPlan DecodeTensor(const Json& json) {
  return {Field<plan::Home>(json, 0), DecodePlace(json.at(1)), Field<uint32_t>(json, 2),
          DecodeRange(json.at(3))};
}

Json EncodeWindow(const plan::Window& window) {
  return Json::array(
      {static_cast<uint64_t>(window.tensor), EncodePlace(window.place), window.ring_rows});
}
plan::Window DecodeWindow(const Json& json) {
  return {Field<graph::TensorIndex>(json, 0), DecodePlace(json.at(1)), Field<uint32_t>(json, 2)};
}

Json EncodePart(const plan::Part& part) {
  return Pack(part.node, part.elided, part.weights, part.split, part.held.offset, part.held.bytes);
}
plan::Part DecodePart(const Json& json) {
  return {Field<graph::NodeIndex>(json, 0),
          Field<bool>(json, 1),
          Field<plan::WeightsMode>(json, 2),
          Field<plan::Split>(json, 3),
          {Field<uint64_t>(json, 4), Field<uint64_t>(json, 5)}};
}

Json EncodeAction(const plan::Action& action) {
  return Pack(action.kind, action.index, action.begin, action.end);
}
plan::Action DecodeAction(const Json& json) {
  return {Field<plan::ActionKind>(json, 0), Field<uint32_t>(json, 1), Field<uint32_t>(json, 2),
          Field<uint32_t>(json, 3)};
}

Json EncodeStep(const plan::Step& step) {
  return {{"form", static_cast<uint64_t>(step.form)},
          {"turns", static_cast<uint64_t>(step.turns)},
          {"parts", EncodeAll(step.parts, EncodePart)},
          {"windows", EncodeAll(step.windows, EncodeWindow)},
          {"actions", EncodeAll(step.actions, EncodeAction)},
          {"workers", step.workers},
          {"slots", EncodeAll(step.slots, EncodeRange)},
          {"workspaces", EncodeAll(step.workspaces, EncodeRange)},
          {"live_bytes", step.live_bytes},
          {"predicted_ms", step.predicted_ms}};
}
plan::Step DecodeStep(const Json& json) {
  plan::Step step;
  step.form = static_cast<plan::Form>(json.at("form").get<uint64_t>());
  step.turns = static_cast<plan::Turns>(json.at("turns").get<uint64_t>());
  step.parts = DecodeAll(json.at("parts"), DecodePart);
  step.windows = DecodeAll(json.at("windows"), DecodeWindow);
  step.actions = DecodeAll(json.at("actions"), DecodeAction);
  step.workers = json.at("workers");
  step.slots = DecodeAll(json.at("slots"), DecodeRange);
  step.workspaces = DecodeAll(json.at("workspaces"), DecodeRange);
  step.live_bytes = json.at("live_bytes");
  step.predicted_ms = json.at("predicted_ms");
  return step;
}

}  // namespace

Json EncodePlan(const plan::Plan& plan) {
  return {{"batch", plan.batch},
          {"budget_bytes", plan.budget_bytes},
          {"pool_bytes", plan.pool_bytes},
          {"workspace_bytes", plan.workspace_bytes},
          {"pinned_bytes", plan.pinned_bytes},
          {"live_load_bound_bytes", plan.live_load_bound_bytes},
          {"threads", plan.threads},
          {"tensors", EncodeAll(plan.tensors, EncodeTensor)},
          {"input_staging", EncodeRange(plan.input_staging)},
          {"output_staging", EncodeRange(plan.output_staging)},
          {"decoding", EncodeAll(plan.decoding, EncodeRange)},
          {"steps", EncodeAll(plan.steps, EncodeStep)},
          {"predicted_ms", plan.predicted_ms}};
}

plan::Plan DecodePlan(const Json& json) {
  plan::Plan plan;
  plan.batch = json.at("batch");
  plan.budget_bytes = json.at("budget_bytes");
  plan.pool_bytes = json.at("pool_bytes");
  plan.workspace_bytes = json.at("workspace_bytes");
  plan.pinned_bytes = json.at("pinned_bytes");
  plan.live_load_bound_bytes = json.at("live_load_bound_bytes");
  plan.threads = json.at("threads");
  plan.tensors = DecodeAll(json.at("tensors"), DecodeTensor);
  plan.input_staging = DecodeRange(json.at("input_staging"));
  plan.output_staging = DecodeRange(json.at("output_staging"));
  plan.decoding = DecodeAll(json.at("decoding"), DecodeRange);
  plan.steps = DecodeAll(json.at("steps"), DecodeStep);
  plan.predicted_ms = json.at("predicted_ms");
  return plan;
}

}  // namespace coracle::cmd
