#include "characterize/analysis/layer_uses.h"

namespace coracle::characterize {

void LayerUses::Begin(std::string_view name) {
  current_ = nullptr;
  if (name.empty()) return;
  if (layers_.size() + 1 >= kLayersMax && !index_.contains(name)) name = kFurther;
  auto at = index_.find(name);
  if (at == index_.end()) {
    at = index_.emplace(name, layers_.size()).first;
    layers_.emplace_back().name = name;
  }
  current_ = &layers_[at->second];
  ++current_->entered;
}

void LayerUses::Forget(uint32_t page_id) {
  for (Layer& layer : layers_) {
    if (page_id / 64 >= layer.touched.size()) continue;
    layer.touched[page_id / 64] &= ~(uint64_t{1} << (page_id % 64));
  }
}

void LayerUses::Restart() {
  const std::string name = current_ == nullptr ? std::string() : current_->name;
  layers_.clear();
  index_.clear();
  Begin(name);
}

}  // namespace coracle::characterize
