// Cells as engine processes of this machine, side by side on its threads and GPUs. No LibTorch.
#pragma once

#include <optional>
#include <vector>

#include "schedule/engine_process.h"
#include "schedule/gpus.h"
#include "schedule/launcher.h"
#include "schedule/threads.h"
#include "schedule/watchdog.h"

namespace silc {

class LocalLauncher : public Launcher {
 public:
  LocalLauncher(Engine engine, ThreadPlan threads, std::vector<Gpu> gpus, LaunchListener& listener);

  void begin(std::span<const ResolvedCell> left) override;
  [[nodiscard]] bool has_room(std::size_t running) const override;
  // That of the run folder, which the engine inherits.
  std::unique_ptr<FileLock> lock(const RunFolder& folder) override;
  std::unique_ptr<CellWork> start(const CellTask& task, std::unique_ptr<FileLock> lock) override;
  // Stops engines that hang or take too much memory.
  void look() override;
  // The first request lets the engines write checkpoints, the second kills them.
  std::string stop(const StopWish& wish) override;

 private:
  class Work;

  void watch_memory();

  Engine engine_;
  ThreadPlan threads_;
  std::vector<Gpu> all_gpus_;
  LaunchListener& listener_;
  std::optional<GpuPool> gpus_;  // once it is known which cells are left
  std::vector<Work*> works_;     // that run
  bool stopping_ = false;
  const int64_t machine_memory_ = machine_memory();
};

// What watches an engine of this cell.
WatchLimits watch_limits(const EngineSettings& engine);

// The lock of a run folder, which is made if it is not there. Null: an engine is at work in it, or its silc.
std::unique_ptr<FileLock> lock_folder(const RunFolder& folder);

}  // namespace silc
