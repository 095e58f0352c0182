#include "schedule/slurm_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

namespace silc {
namespace {

// "0-2,5"
std::string ranges_of(std::vector<int64_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  std::string text;
  for (std::size_t first = 0; first < numbers.size();) {
    std::size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[first]);
    if (last > first) text += fmt::format("-{}", numbers[last]);
    first = last + 1;
  }
  return text;
}

// sbatch reads "%a" and the like in names of files.
std::string file_pattern(const std::filesystem::path& file) {
  std::string text;
  for (const char c : file.string()) text += c == '%' ? "%%" : std::string(1, c);
  return text;
}

std::string output_pattern(const SlurmSubmission& submission) {
  const std::string stem = file_pattern(submission.outputs / submission.name);
  return stem + (submission.indices.empty() ? ".out" : "-%a.out");
}

void add_if(std::vector<std::string>& options, std::string_view name, const std::string& value) {
  if (!value.empty()) options.push_back(fmt::format("--{}={}", name, value));
}

// As a #SBATCH line has it: quoted where it holds a space.
std::string directive(const std::string& option) {
  if (option.find_first_of(" \t\"'\\#") == std::string::npos) return option;
  const auto equals = option.find('=');
  if (equals == std::string::npos) return option;
  std::string quoted;
  for (const char c : option.substr(equals + 1))
    quoted += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return option.substr(0, equals + 1) + '"' + quoted + '"';
}

// The text of a script whose @NAME@ are filled in.
std::string filled(std::string text, std::initializer_list<std::pair<std::string_view, std::string>> values) {
  for (const auto& [name, value] : values) {
    const std::string mark = fmt::format("@{}@", name);
    const auto at = text.find(mark);
    if (at != std::string::npos) text.replace(at, mark.size(), value);
  }
  return text;
}

constexpr std::string_view kBody = R"SH(
# Nothing of the login node's environment comes along but this; what the job has, its steps have.
export SLURM_EXPORT_ENV=ALL
@environment@
cells=(
@cells@)
cell=${cells[${SLURM_ARRAY_TASK_ID:-0}]}
job=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}
echo "silc: job $job, start $((${SLURM_RESTART_COUNT:-0} + 1)), on $SLURM_JOB_NODELIST: $cell"
@setup@
# Where ranks meet: the first node, by the address that Slurm itself reaches it at.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
MASTER_ADDR=$(scontrol --oneliner show node "$first" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
export MASTER_ADDR=${MASTER_ADDR:-$first}
export MASTER_PORT=$((20000 + (SLURM_JOB_ID * 7 + ${SLURM_RESTART_COUNT:-0} * 1009) % 12000))

checkpoints() { ls "$cell/checkpoints" 2>/dev/null | grep '^step-.*safetensors$'; }
before=$(checkpoints)
warned=
trap 'again=yes; warned=yes; echo "silc: warned of the time limit"; kill -USR1 "$ranks"' USR1
trap again=yes TERM

@srun@ &
ranks=$!
# A signal ends a wait early.
again=yes
while [ -n "$again" ]; do
  again=
  wait "$ranks"
  code=$?
done
echo "silc: ended with $code${warned:+, after the warning}"
[ "$code" = 0 ] && exit 0
# One that ends within the grace time of its preemption has ended, for Slurm, on its own.
preempted=$(scontrol --oneliner show job "$job" | grep -o ' PreemptTime=[0-9]')
if [ -n "$warned" ] && [ "$(checkpoints)" = "$before" ]; then
  echo "silc: no checkpoint was written between the start and the warning, so starting again would lead nowhere"
elif [ -n "$warned$preempted" ]; then
  if scontrol requeue "$job"; then
    sleep 300  # until Slurm ends this start
  else
    echo "silc: $job could not be requeued; silc run goes on from its checkpoint"
  fi
fi
exit "$code"
)SH";

}  // namespace

SlurmLayout layout_of(int64_t ranks, const SlurmSettings& settings) {
  const int64_t each = settings.ntasks_per_node;
  const int64_t needed = each > 0 ? (ranks + each - 1) / each : std::min(ranks, std::max<int64_t>(settings.nodes, 1));
  if (each == 0) return {needed, 0};
  return {needed, std::min(each, ranks)};
}

std::vector<std::string> sbatch_options(const SlurmSubmission& submission, const SlurmSettings& settings) {
  const SlurmLayout layout = layout_of(submission.ranks, settings);
  const int64_t cpus = settings.cpus_per_task > 0 ? settings.cpus_per_task : submission.threads;
  std::vector<std::string> options = {"--job-name=" + submission.name};
  add_if(options, "partition", settings.partition);
  add_if(options, "account", settings.account);
  add_if(options, "qos", settings.qos);
  add_if(options, "constraint", settings.constraint);
  options.push_back(fmt::format("--nodes={}", layout.nodes));
  options.push_back(fmt::format("--ntasks={}", submission.ranks));
  if (layout.tasks_per_node > 0) options.push_back(fmt::format("--ntasks-per-node={}", layout.tasks_per_node));
  if (cpus > 0) options.push_back(fmt::format("--cpus-per-task={}", cpus));
  add_if(options, "mem", settings.mem);
  add_if(options, "gres", settings.gres);
  add_if(options, "time", settings.time);
  options.push_back(fmt::format("--signal=B:USR1@{}", settings.signal_seconds));
  options.emplace_back("--requeue");
  options.emplace_back("--open-mode=append");
  options.emplace_back("--export=NONE");
  options.push_back("--chdir=" + submission.working_folder.string());
  options.push_back("--output=" + output_pattern(submission));
  if (!submission.indices.empty()) {
    const std::string most = submission.most_at_once > 0 ? fmt::format("%{}", submission.most_at_once) : "";
    options.push_back("--array=" + ranges_of(submission.indices) + most);
  }
  if (!submission.dependency.empty()) {
    options.push_back("--dependency=" + submission.dependency);
    options.emplace_back("--kill-on-invalid-dep=yes");
  }
  options.insert(options.end(), settings.extra.begin(), settings.extra.end());
  return options;
}

std::string render_script(const SlurmSubmission& submission, const SlurmSettings& settings) {
  std::string script = "#!/bin/bash\n# Written by silc for its jobs.\n";
  for (const std::string& option : sbatch_options(submission, settings))
    script += "#SBATCH " + directive(option) + "\n";

  std::string environment;
  for (const auto& [name, value] : submission.environment)
    environment += fmt::format("export {}={}\n", name, shell_word(value));
  std::string cells;
  for (std::size_t i = 0; i < submission.folders.size(); ++i)
    cells += fmt::format("  [{}]={}\n", submission.indices.empty() ? 0 : submission.indices[i],
                         shell_word(submission.folders[i].string()));
  std::string setup;
  for (const std::string& line : settings.setup)
    setup += fmt::format("{} || {{ echo \"silc: launcher.slurm.setup failed: \"{} >&2; exit 1; }}\n", line,
                         shell_word(line));

  // srun does not take the CPUs of a task from the job.
  const int64_t cpus = settings.cpus_per_task > 0 ? settings.cpus_per_task : submission.threads;
  std::string srun = fmt::format("srun --ntasks={} --kill-on-bad-exit=0 --wait=0", submission.ranks);
  if (cpus > 0) srun += fmt::format(" --cpus-per-task={}", cpus);
  srun += " " + shell_word(submission.silc.string()) + " slurm-task --folder \"$cell\"";
  if (submission.threads > 0) srun += fmt::format(" --threads {}", submission.threads);
  for (const auto& path : submission.plugin_paths) srun += " --plugin-path " + shell_word(path.string());
  return script +
         filled(std::string(kBody), {{"environment", environment}, {"cells", cells}, {"setup", setup}, {"srun", srun}});
}

std::filesystem::path output_of(const SlurmSubmission& submission, int64_t index) {
  return submission.outputs / (submission.name + (submission.indices.empty() ? ".out" : fmt::format("-{}.out", index)));
}

SlurmGroup next_group(const std::vector<SlurmCandidate>& candidates, int64_t most) {
  const SlurmCandidate& first = candidates.front();
  const auto array_of = [](const std::string& job) { return job.substr(0, job.find('_')); };
  const auto members_that = [&](const auto& belongs) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < candidates.size() && static_cast<int64_t>(members.size()) < most; ++i)
      if (candidates[i].alike(first) && belongs(candidates[i], members)) members.push_back(i);
    return members;
  };
  SlurmGroup group;
  group.members = members_that([&](const SlurmCandidate& each, const auto&) { return each.before == first.before; });
  if (!first.before.empty()) group.dependency = "afterok:" + first.before;
  if (group.members.size() > 1) {
    for (std::size_t i = 0; i < group.members.size(); ++i) group.indices.push_back(static_cast<int64_t>(i));
    return group;
  }
  if (first.before.find('_') == std::string::npos) return group;
  const auto corresponding = members_that([&](const SlurmCandidate& each, const std::vector<std::size_t>& members) {
    const auto same = [&](std::size_t member) { return candidates[member].before == each.before; };
    return each.before.find('_') != std::string::npos && array_of(each.before) == array_of(first.before) &&
           std::none_of(members.begin(), members.end(), same);
  });
  if (corresponding.size() < 2) return group;
  group.members = corresponding;
  group.dependency = "aftercorr:" + array_of(first.before);
  for (const std::size_t member : corresponding)
    group.indices.push_back(std::stoll(candidates[member].before.substr(candidates[member].before.find('_') + 1)));
  return group;
}

std::string shell_word(std::string_view text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

std::vector<std::string> arguments_of(const std::string& option) {
  const auto space = option.find(' ');
  if (space == std::string::npos || option.find('=') < space) return {option};
  const auto value = option.find_first_not_of(' ', space);
  if (value == std::string::npos) return {option.substr(0, space)};
  return {option.substr(0, space), option.substr(value)};
}

}  // namespace silc
