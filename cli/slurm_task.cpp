// silc slurm-task: one rank of a cell in a job of Slurm. Started by the scripts that silc run --launcher slurm submits.
#include "schedule/slurm_task.h"

#include <cstdlib>
#include <memory>

#include "cli/session.h"

namespace silc {

void add_slurm_task(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("slurm-task", "starts an engine in a job of Slurm and watches it");
  command->group("");  // nobody calls it by hand
  const auto task = std::make_shared<SlurmTask>();
  command->add_option("--folder", task->folder, "the run folder")->required();
  command->add_option("--threads", task->threads, "threads of the engine; 0: what the job may use");
  command->callback([task, &session] {
    session.command = [task, &session] {
      task->engine = {find_engine(), session.plugin_paths};
      return run_slurm_task(*task, slurm_place([](const char* name) { return std::getenv(name); }));
    };
  });
}

}  // namespace silc
