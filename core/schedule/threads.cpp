#include "schedule/threads.h"

#include <sched.h>

#include <algorithm>

#include "schedule/gpus.h"

namespace silc {

int64_t available_threads() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) != 0) return 1;
  return std::max(1, CPU_COUNT(&cores));
}

int64_t ThreadPlan::of(const ResolvedCell& cell) const {
  if (cell.engine.threads > 0) return cell.engine.threads;
  return std::max<int64_t>(1, threads / (jobs * cell.engine.ranks));
}

ThreadPlan plan_threads(const ThreadRequest& request, std::span<const ResolvedCell> cells, std::size_t gpus) {
  ThreadPlan plan;
  plan.threads = request.threads > 0 ? request.threads : available_threads();
  if (request.jobs > 0) {
    plan.jobs = request.jobs;
    return plan;
  }
  // The greediest cell decides: a machine with too many threads at work slows all of them down.
  int64_t greatest = 0, most_ranks = 1;
  bool all_fixed = !cells.empty();
  bool all_on_gpus = gpus > 0;
  for (const ResolvedCell& cell : cells) {
    all_fixed = all_fixed && cell.engine.threads > 0;
    all_on_gpus = all_on_gpus && wants_gpu(cell.engine.device);
    greatest = std::max(greatest, cell.engine.threads * cell.engine.ranks);
    most_ranks = std::max(most_ranks, cell.engine.ranks);
  }
  const auto places = static_cast<int64_t>(std::min(gpus / static_cast<std::size_t>(most_ranks), cells.size()));
  if (all_fixed) plan.jobs = std::max<int64_t>(1, plan.threads / greatest);
  if (all_on_gpus) plan.jobs = all_fixed ? std::min(plan.jobs, places) : std::max<int64_t>(1, places);
  return plan;
}

}  // namespace silc
