// What `silc run` and `silc plan` share of --launcher slurm. No LibTorch.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>

#include "cli/experiment_plan.h"
#include "schedule/slurm_launcher.h"

namespace silc {

// --launcher
void add_launcher_flag(CLI::App& command, std::string& launcher);

// How the plan's cells are to be submitted. Throws SpecError where a row has more ranks than what is asked for holds.
SlurmOrder slurm_order(const ExperimentPlan& plan, const ThreadRequest& threads);

// Asks the cluster whether it takes such jobs, before anything is started. Throws silc::Error.
void check_slurm(const Session& session, const ExperimentPlan& plan, SlurmOrder& order);

// Those of `tasks` that have a job in the queue, by their place.
std::set<std::size_t> in_queue(const std::vector<CellTask>& tasks);

}  // namespace silc
