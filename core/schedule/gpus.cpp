#include "schedule/gpus.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace silc {

namespace {

constexpr std::string_view kNumbered = "cuda:";

// N of "cuda:N".
std::optional<std::size_t> number_of(std::string_view device) {
  if (!device.starts_with(kNumbered)) return std::nullopt;
  device.remove_prefix(kNumbered.size());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(device.data(), device.data() + device.size(), number);
  if (error != std::errc() || end != device.data() + device.size()) return std::nullopt;
  return number;
}

// A GPU gets its second engine when all have their first, unless cells choose for themselves.
bool may_meet(std::size_t gpus, std::span<const ResolvedCell> cells, int64_t jobs) {
  int64_t on_gpus = 0;
  bool some_choose = false;
  for (const ResolvedCell& cell : cells) {
    on_gpus += wants_gpu(cell.engine.device) ? 1 : 0;
    some_choose = some_choose || number_of(cell.engine.device);
  }
  const int64_t at_once = std::min(jobs, on_gpus);
  return at_once > static_cast<int64_t>(gpus) || (some_choose && at_once > 1);
}

}  // namespace

std::vector<Gpu> gpus_of(const nlohmann::json& about) {
  std::vector<Gpu> gpus;
  for (const auto& device : about.value("devices", nlohmann::json::array())) {
    const std::string visible = device.value("visible", "");
    if (visible.empty()) continue;  // the CPU
    gpus.push_back({visible, device.value("name", ""), device.value("memory", int64_t{0}),
                    device.value("free_memory", int64_t{0})});
  }
  return gpus;
}

std::vector<Gpu> find_gpus(const Engine& engine, std::span<const ResolvedCell> cells) {
  const bool some =
      std::any_of(cells.begin(), cells.end(), [](const ResolvedCell& cell) { return wants_gpu(cell.engine.device); });
  return some ? gpus_of(ask_engine(engine, {"about"})) : std::vector<Gpu>{};
}

std::string gpu_label(std::string_view visible) {
  constexpr std::size_t kShort = 12;  // "GPU-" or "MIG-" and the first group of a UUID
  const bool number = visible.find_first_not_of("0123456789") == std::string_view::npos;
  return number ? "GPU " + std::string(visible) : std::string(visible.substr(0, kShort));
}

bool wants_gpu(std::string_view device) { return device != "cpu"; }

GpuPool::GpuPool(std::vector<Gpu> gpus, std::span<const ResolvedCell> cells, int64_t jobs)
    : gpus_(std::move(gpus)), engines_meet_(may_meet(gpus_.size(), cells, jobs)) {
  for (const Gpu& gpu : gpus_) {
    others_.push_back(2 * gpu.free_memory < gpu.memory);
    engines_.push_back(others_.back() ? 1 : 0);
  }
}

GpuPlace GpuPool::take(std::string_view device) {
  GpuPlace place;
  if (gpus_.empty() || !wants_gpu(device)) return place;
  const auto number = number_of(device);
  if (number && *number >= gpus_.size()) return place;
  const auto fewest = std::min_element(engines_.begin(), engines_.end());
  place.gpu_ = number.value_or(static_cast<std::size_t>(fewest - engines_.begin()));
  place.visible_ = gpus_[place.gpu_].visible;
  if (!number) place.environment_.emplace_back("CUDA_VISIBLE_DEVICES", place.visible_);
  if (engines_meet_ || others_[place.gpu_]) place.environment_.emplace_back("SILC_DEVICE_SHARED", "1");
  ++engines_[place.gpu_];
  place.pool_ = this;
  return place;
}

GpuPlace::GpuPlace(GpuPlace&& other) noexcept { *this = std::move(other); }

GpuPlace& GpuPlace::operator=(GpuPlace&& other) noexcept {
  std::swap(pool_, other.pool_);
  std::swap(gpu_, other.gpu_);
  visible_.swap(other.visible_);
  environment_.swap(other.environment_);
  return *this;
}

GpuPlace::~GpuPlace() {
  if (pool_ != nullptr) --pool_->engines_[gpu_];
}

}  // namespace silc
