#include "characterize/analysis/findings_by_part.h"

#include <string>
#include <tuple>
#include <vector>

#include "base/index.h"

namespace coracle::characterize {
namespace {

Json LoadsJson(const LoadCounts& loads, const TraceAnalysis& analysis) {
  Json json = Json::array();
  for (size_t i = 0; i < analysis.epc().size(); ++i) json.push_back(loads[i]);
  return json;
}

FunctionName NameOf(FunctionIndex function, const TraceNames& names) {
  const size_t index = Position(function);
  return index < names.functions.size() ? names.functions[index] : FunctionName();
}

Json PathJson(CallPathIndex path, const TraceNames& names) {
  const size_t index = Position(path);
  return index < names.call_paths.size() ? Json(names.call_paths[index]) : Json::array();
}

/// Null for never.
Json TimeJson(uint64_t time) { return time == ObjectMap::kNever ? Json() : Json(time); }

Json FunctionsJson(const TraceAnalysis& analysis, const TraceNames& names) {
  const auto& uses = analysis.functions().uses();
  Json json = Json::array();
  for (const size_t i : Largest(uses, kFunctionsListed, [](const FunctionUses::Use& use) {
         return use.volume.accesses();
       })) {
    const Volume& volume = uses[i].volume;
    if (volume.accesses() == 0) break;
    const FunctionName name = NameOf(FunctionIndex{static_cast<uint16_t>(i)}, names);
    json.push_back({{"name", name.name},
                    {"file", name.file},
                    {"accesses", volume.accesses()},
                    {"read_bytes", volume.read_bytes},
                    {"written_bytes", volume.written_bytes},
                    {"loads", LoadsJson(uses[i].loads, analysis)}});
  }
  return json;
}

/// Those that read or wrote most, as `bytes` says.
Json AccessorsJson(const ObjectMap::Object& object, uint64_t ObjectMap::Accessor::*bytes,
                   const TraceNames& names) {
  Json json = Json::array();
  for (const size_t i :
       Largest(object.accessors, kAccessorsListed,
               [bytes](const ObjectMap::Accessor& accessor) { return accessor.*bytes; })) {
    const ObjectMap::Accessor& accessor = object.accessors[i];
    if (accessor.*bytes == 0) break;
    json.push_back(
        {{"function", NameOf(accessor.function, names).name}, {"bytes", accessor.*bytes}});
  }
  return json;
}

Json ObjectJson(const ObjectMap::Object& object, const TraceAnalysis& analysis,
                const TraceNames& names) {
  Json json = {{"index", Position(object.index)},
               {"path", PathJson(object.path, names)},
               {"ordinal", object.ordinal},
               {"bytes", object.bytes},
               {"allocated_at", object.allocated_at},
               {"freed_at", TimeJson(object.freed_at)},
               {"first_access", TimeJson(object.first_access)},
               {"last_access", TimeJson(object.last_access)},
               {"touched_bytes", object.pages << kPageShift},
               {"page_returns", Number(object.returns.total())},
               {"page_distance_median", MedianDistance(object.returns)},
               {"loads", LoadsJson(object.loads, analysis)},
               {"writers", AccessorsJson(object, &ObjectMap::Accessor::written_bytes, names)},
               {"readers", AccessorsJson(object, &ObjectMap::Accessor::read_bytes, names)}};
  json.update(VolumeJson(object.volume));
  return json;
}

Json ObjectsJson(const TraceAnalysis& analysis, const TraceNames& names) {
  const auto& objects = analysis.objects().objects();
  Json json = Json::array();
  for (const size_t i : Largest(objects, kObjectsListed, [](const ObjectMap::Object& object) {
         return std::tuple(object.pages, object.volume.accesses(), object.bytes);
       })) {
    json.push_back(ObjectJson(objects[i], analysis, names));
  }
  return json;
}

Json CallPathsJson(const TraceAnalysis& analysis, const TraceNames& names) {
  const auto& paths = analysis.objects().paths();
  Json json = Json::array();
  for (const size_t i : Largest(paths, kCallPathsListed, [](const ObjectMap::PathUse& use) {
         return std::tuple(use.volume.read_bytes + use.volume.written_bytes, use.live_bytes_max,
                           use.allocations);
       })) {
    const ObjectMap::PathUse& use = paths[i];
    if (use.allocations == 0 && use.live_bytes_max == 0) continue;
    Json one = {{"path", PathJson(CallPathIndex{static_cast<uint32_t>(i)}, names)},
                {"allocations", use.allocations},
                {"bytes", use.bytes},
                {"live_bytes_max", use.live_bytes_max},
                {"touched_bytes", use.pages << kPageShift}};
    one.update(VolumeJson(use.volume));
    one["loads"] = LoadsJson(use.loads, analysis);
    json.push_back(std::move(one));
  }
  return json;
}

Json LayersJson(const TraceAnalysis& analysis) {
  Json json = Json::array();
  for (const LayerUses::Layer& layer : analysis.layers().layers()) {
    Volume all;
    Json kinds = Json::array();
    for (size_t i = 0; i < kMemoryKindCount; ++i) {
      const Volume& volume = layer.volumes[i];
      if (volume.accesses() == 0) continue;
      all.Add(volume);
      Json kind = {{"kind", MemoryKindName(static_cast<MemoryKind>(i))}};
      kind.update(VolumeJson(volume));
      kinds.push_back(std::move(kind));
    }
    Json one = {{"name", layer.name}, {"entered", layer.entered}, {"accesses", all.accesses()}};
    one.update(VolumeJson(all));
    one["touched_bytes"] = layer.pages << kPageShift;
    one["cold_bytes"] = layer.cold_pages << kPageShift;
    one["loads"] = LoadsJson(layer.loads, analysis);
    one["kinds"] = std::move(kinds);
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace

Json PartsJson(const TraceAnalysis& analysis, const TraceNames& names) {
  Json json = Json::object();
  // Accesses that nobody names a function for are all of function 0.
  if (analysis.functions().uses().size() > 1) json["functions"] = FunctionsJson(analysis, names);
  if (!analysis.objects().paths().empty()) {
    json["objects"] = ObjectsJson(analysis, names);
    json["call_paths"] = CallPathsJson(analysis, names);
  }
  if (!analysis.layers().layers().empty()) json["layers"] = LayersJson(analysis);
  return json;
}

}  // namespace coracle::characterize
