#include "cli/slurm_launch.h"

#include <fmt/format.h>

#include <set>

#include "silc/error.h"

namespace silc {

void add_launcher_flag(CLI::App& command, std::string& launcher) {
  command
      .add_option(
          "--launcher", launcher,
          "what trains cells: local: processes of this machine; slurm: jobs of the cluster whose login node this "
          "is, asked for as [launcher.slurm] says (default: what the experiment says, else local)")
      ->option_text("local|slurm")
      ->check(CLI::IsMember({"local", "slurm"}));
}

SlurmOrder slurm_order(const ExperimentPlan& plan, const ThreadRequest& threads) {
  SlurmOrder order;
  order.settings = plan.experiment.launcher.slurm;
  if (threads.jobs > 0) order.settings.max_jobs = threads.jobs;
  order.threads = threads.threads;
  order.engine = plan.engine;
  order.silc = std::filesystem::read_symlink("/proc/self/exe");
  order.runs = plan.runs;
  Faults faults;
  const int64_t room = order.settings.room();
  for (const ResolvedCell& cell : plan.chosen_cells())
    if (room > 0 && ranks_of(cell) > room)
      faults.add(
          order.settings.tasks_place,
          fmt::format("row \"{}\" is to be trained by {} ranks (engine.ranks), and {} node{} with {} task{} each "
                      "(launcher.slurm.nodes, ntasks_per_node) hold{} {}; ask for more, or use fewer ranks",
                      row_label(cell), cell.engine.ranks, order.settings.nodes, order.settings.nodes == 1 ? "" : "s",
                      order.settings.ntasks_per_node, order.settings.ntasks_per_node == 1 ? "" : "s",
                      order.settings.nodes == 1 ? "s" : "", room));
  faults.throw_if_any();
  return order;
}

void check_slurm(const Session& session, const ExperimentPlan& plan, SlurmOrder& order) {
  std::set<int64_t> ranks;
  for (const ResolvedCell& cell : plan.chosen_cells()) ranks.insert(ranks_of(cell));
  order.facts = check_cluster(SlurmClient(), order.settings, {ranks.begin(), ranks.end()},
                              [&](const std::string& words) { note(session, words); });
}

std::set<std::size_t> in_queue(const std::vector<CellTask>& tasks) {
  std::vector<RunFolder> folders;
  for (const CellTask& task : tasks) folders.push_back(task.folder);
  const auto queue = look_into_queue(folders);
  std::set<std::size_t> found;
  for (std::size_t index = 0; index < tasks.size(); ++index)
    if (queue.contains(tasks[index].folder.path)) found.insert(index);
  return found;
}

}  // namespace silc
