// Which GPU each engine gets. No LibTorch.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schedule/engine_process.h"
#include "spec/cell.h"

namespace silc {

// One that LibTorch can use, or the part of one that MIG makes of it.
struct Gpu {
  std::string visible;      // what CUDA_VISIBLE_DEVICES calls it: "1", "GPU-8932f937-…", "MIG-…"
  std::string name;         // "NVIDIA H200"
  int64_t memory = 0;       // bytes; 0: not known
  int64_t free_memory = 0;  // bytes, when it was asked
};

// What `silc-engine about` answered, which heeds CUDA_VISIBLE_DEVICES.
std::vector<Gpu> gpus_of(const nlohmann::json& about);

// Those on which cells may run: none where all of them choose the CPU, without asking the engine. Throws silc::Error.
std::vector<Gpu> find_gpus(const Engine& engine, std::span<const ResolvedCell> cells);

// "GPU 1", "GPU-8932f937": short, for people.
std::string gpu_label(std::string_view visible);

// Whether a cell with this engine.device trains on a GPU where there are some.
bool wants_gpu(std::string_view device);

class GpuPool;

// One engine's place on a GPU, given back at its end.
class GpuPlace {
 public:
  GpuPlace() = default;
  GpuPlace(GpuPlace&& other) noexcept;
  GpuPlace& operator=(GpuPlace&& other) noexcept;
  ~GpuPlace();

  // As CUDA_VISIBLE_DEVICES names it; empty: the engine has no GPU of its own.
  [[nodiscard]] const std::string& visible() const { return visible_; }
  // For the engine: CUDA_VISIBLE_DEVICES, unless the cell names a GPU by its number, and SILC_DEVICE_SHARED where what
  // the whole GPU does cannot be put down to one cell.
  [[nodiscard]] const Environment& environment() const { return environment_; }

 private:
  friend class GpuPool;
  GpuPool* pool_ = nullptr;
  std::size_t gpu_ = 0;
  std::string visible_;
  Environment environment_;
};

// The GPUs of a run and how many engines are on each. Outlives the places on them.
class GpuPool {
 public:
  // `cells`: that will run, at most `jobs` at a time.
  GpuPool(std::vector<Gpu> gpus, std::span<const ResolvedCell> cells, int64_t jobs);

  // For a cell with this engine.device: the GPU that it names ("cuda:1"), else the one with the fewest engines, the
  // first of them. A GPU of whose memory others have taken half counts as one with an engine more. No place for the
  // CPU, where there are no GPUs, and where it names one that is not there.
  GpuPlace take(std::string_view device);

 private:
  friend class GpuPlace;
  std::vector<Gpu> gpus_;
  std::vector<int64_t> engines_;  // of each, that of others included
  std::vector<bool> others_;      // use it too
  bool engines_meet_ = false;     // two of this run may come to be on one GPU
};

}  // namespace silc
