#include "schedule/slurm_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "plugin/similar.h"
#include "schedule/engine_process.h"
#include "silc/error.h"

namespace silc {
namespace {

constexpr std::chrono::seconds kInsistence{120};     // until an unreachable controller counts as gone
constexpr std::chrono::milliseconds kBetween{2000};  // two tries

}  // namespace

SlurmClient::SlurmClient() {
  for (const char* program : {"sbatch", "squeue", "scontrol", "scancel"})
    if (find_program(program).empty())
      throw Error(
          fmt::format("this machine has no {} (PATH): --launcher slurm works where jobs are submitted, on a login "
                      "node of a cluster; --launcher local trains on this machine",
                      program));
}

SlurmAnswer SlurmClient::call(const std::vector<std::string>& line, double patience) const {
  std::vector<std::string> program = line;
  program[0] = find_program(line[0]).string();
  if (program[0].empty()) return {false, "", line[0] + " is not there"};
  EngineAnswer answer = run_program(program, {{"SLURM_TIME_FORMAT", "%s"}}, {}, {}, patience, true);
  if (answer.gave_up) return {false, "", line[0] + ": Unable to contact slurm controller (no answer)"};
  return {answer.end.signal == 0 && answer.end.exit_code == 0, std::move(answer.output), std::move(answer.errors)};
}

SlurmAnswer SlurmClient::insist(const std::vector<std::string>& line,
                                const std::function<void(const std::string&)>& waiting) const {
  const auto until = std::chrono::steady_clock::now() + kInsistence;
  bool told = false;
  while (true) {
    SlurmAnswer answer = call(line);
    if (answer.ok || answer.refusal() != SlurmRefusal::unreachable) return answer;
    if (std::chrono::steady_clock::now() >= until)
      throw Error(fmt::format("Slurm's controller cannot be reached: {}; sinfo tells when it can", answer.complaint()));
    if (!std::exchange(told, true))
      waiting(fmt::format("Slurm's controller cannot be reached ({}); trying for two minutes", answer.complaint()));
    std::this_thread::sleep_for(kBetween);
  }
}

std::vector<std::string> squeue_line() {
  return {"squeue",
          "--noheader",
          "--array",
          "--states=all",
          fmt::format("--user={}", getuid()),
          "--format=" + std::string(kSqueueFormat)};
}

std::vector<std::string> sbatch_line(const SlurmSubmission& submission, const SlurmSettings& settings) {
  std::vector<std::string> line = {"sbatch", "--parsable"};
  for (const std::string& option : sbatch_options(submission, settings))
    for (std::string& argument : arguments_of(option)) line.push_back(std::move(argument));
  line.push_back(submission.script.string());
  return line;
}

ClusterFacts check_cluster(const SlurmClient& client, const SlurmSettings& settings, const std::vector<int64_t>& ranks,
                           const std::function<void(const std::string&)>& waiting) {
  const SlurmAnswer config = client.insist({"scontrol", "show", "config"}, waiting);
  if (!config.ok)
    throw Error(fmt::format("scontrol show config failed: {}; is this a login node of a cluster?", config.complaint()));

  Faults faults;
  if (!settings.partition.empty() && !find_program("sinfo").empty()) {
    const SlurmAnswer known = client.insist({"sinfo", "--noheader", "--all", "--format=%P"}, waiting);
    const std::vector<std::string> names = parse_partitions(known.output);
    // "a,b": the first that is free
    std::string_view rest = settings.partition;
    while (known.ok && !rest.empty()) {
      const std::string name(rest.substr(0, rest.find(',')));
      rest.remove_prefix(std::min(name.size() + 1, rest.size()));
      if (std::find(names.begin(), names.end(), name) == names.end())
        faults.add(settings.partition_place,
                   fmt::format("launcher.slurm.partition: the cluster has no partition \"{}\"{}", name,
                               suggestion(name, names)));
    }
  }
  faults.throw_if_any();

  for (const int64_t each : ranks) {
    SlurmSubmission trial;
    trial.name = "silc-test";
    trial.ranks = each;
    trial.outputs = "/tmp";
    trial.working_folder = "/tmp";
    std::vector<std::string> line = {"sbatch", "--test-only"};
    for (const std::string& option : sbatch_options(trial, settings))
      for (std::string& argument : arguments_of(option)) line.push_back(std::move(argument));
    line.emplace_back("--wrap=true");
    const SlurmAnswer answer = client.insist(line, waiting);
    if (answer.ok || answer.refusal() == SlurmRefusal::limit) continue;
    const std::string remedy = remedy_for(answer.complaint());
    faults.add(settings.place,
               fmt::format("launcher.slurm: sbatch refuses a job of {} rank{} with these settings: {}{}", each,
                           each == 1 ? "" : "s", answer.complaint(), remedy.empty() ? "" : "; " + remedy));
  }
  faults.throw_if_any();
  return parse_config(config.output);
}

std::string remedy_for(std::string_view complaint) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kRemedies = {{
      {"artition", "sinfo lists partitions, launcher.slurm.partition names one"},
      {"ccount", "launcher.slurm.account names an account that you may use (sacctmgr show associations user=$USER)"},
      {"QOS", "launcher.slurm.qos and launcher.slurm.max_jobs keep to what you may use"},
      {"qos", "launcher.slurm.qos names a quality of service that you may use"},
      {"time limit", "launcher.slurm.time must be within the partition's (sinfo --format='%P %l')"},
      {"gres", "sinfo --format='%P %G' lists what nodes have, launcher.slurm.gres asks for it"},
      {"node configuration",
       "no node has what is asked for: launcher.slurm.nodes, ntasks_per_node, cpus_per_task, mem and "
       "gres, with engine.ranks and engine.threads"},
      {"node count", "the partition has fewer nodes: launcher.slurm.nodes and ntasks_per_node"},
      {"eature", "sinfo --format='%P %f' lists features, launcher.slurm.constraint asks for them"},
  }};
  for (const auto& [part, remedy] : kRemedies)
    if (complaint.find(part) != std::string_view::npos) return std::string(remedy);
  return {};
}

}  // namespace silc
